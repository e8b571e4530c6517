"""Programs in an Apptainer (Singularity) image."""

from __future__ import annotations

import csv
import io
import os
import shutil
import time
from pathlib import Path

from bids_app.dataset.checksums import sha256
from bids_app.errors import MissingInputError
from bids_app.tools.call import Bind, Call, Limits, ToolRun, failure, inside, status_meaning
from bids_app.tools.process import run_process


class Apptainer:
    """A back end that runs an image with Apptainer.

    Parameters
    ----------
    image : str
        A ``.sif`` file, an unpacked folder, or an address such as ``docker://name@sha256:…``.
    """

    def __init__(self, image: str) -> None:
        self.image = image

    def check(self, executable: str | None) -> None:  # noqa: ARG002 - it is in the image
        """Check that engine and image exist; see `Runner`."""
        self._engine()

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run a program and wait for its end; see `Runner`."""
        engine = self._engine()
        image = self.image if "://" in self.image else str(Path(self.image).absolute())
        name = call.executable or image
        options = [f"--mount={_mount(bind)}" for bind in call.binds]
        if limits.gpu:
            options.append("--nv")
        command = (
            engine,
            "run" if call.executable is None else "exec",
            # Nothing of the host but the binds: no variables, home folder or temporary files.
            "--cleanenv",
            "--containall",
            *options,
            f"--pwd={inside(call.folder, call.binds)}",
            image,
            *(() if call.executable is None else (call.executable,)),
            *call.arguments_inside(),
        )
        variables = {"OMP_NUM_THREADS": str(limits.threads), **call.environment}
        # Not --env, which splits values at commas.
        environment = {
            **os.environ,
            **{f"APPTAINERENV_{key}": value for key, value in variables.items()},
        }
        start = time.monotonic()
        try:
            status = run_process(command, call.folder, environment, limits.seconds, log)
        except TimeoutError:
            raise failure(name, f"was stopped after {limits.seconds:g} s", log) from None
        except OSError as error:
            raise MissingInputError(f"{engine} cannot be started: {error.strerror}.") from error
        if status != 0:
            raise failure(name, status_meaning(status), log)
        seconds = time.monotonic() - start
        return ToolRun("apptainer", command, _version(image), log, seconds)

    def _engine(self) -> str:
        engine = shutil.which("apptainer") or shutil.which("singularity")
        if engine is None:
            raise MissingInputError(
                f"Neither apptainer nor singularity is on the PATH, but {self.image} needs one."
            )
        if "://" not in self.image and not Path(self.image).exists():
            raise MissingInputError(
                f"{self.image}: no such Apptainer image. Build it with "
                "'apptainer build FILE.sif docker://IMAGE', or specify the address of an image."
            )
        return engine


def _version(image: str) -> str:
    """Return the digest of an image file, or the address or folder itself."""
    path = Path(image)
    return f"sha256:{sha256(path)}" if path.is_file() else image


def _mount(bind: Bind) -> str:
    """Write a bind as one CSV line, in which commas and colons of paths are quoted."""
    fields = ["type=bind", f"source={bind.source}", f"destination={bind.target}"]
    if not bind.writable:
        fields.append("ro")
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
