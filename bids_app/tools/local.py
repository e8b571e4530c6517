"""Programs that are installed on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from bids_app.errors import MissingInputError
from bids_app.tools.call import Call, Limits, ToolRun, failure, status_meaning
from bids_app.tools.process import run_process

VERSION_SECONDS = 60


class Local:
    """A back end that runs programs on the PATH."""

    def check(self, executable: str | None) -> None:
        """Check that the program exists; see `Runner`."""
        _path_of(executable)

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run a program and wait for its end; see `Runner`."""
        path = _path_of(call.executable)
        name = call.executable or path
        command = (path, *map(str, call.arguments))
        threads = str(limits.threads)
        # Programs read their number of threads from variables of OpenMP and ITK.
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": threads,
            **call.environment,
        }
        start = time.monotonic()
        try:
            status = run_process(command, call.folder, environment, limits.seconds, log)
        except TimeoutError:
            raise failure(name, f"was stopped after {limits.seconds:g} s", log) from None
        except OSError as error:
            raise MissingInputError(f"{path} cannot be started: {error.strerror}.") from error
        if status != 0:
            raise failure(name, status_meaning(status), log)
        return ToolRun(
            "local",
            command,
            _version(path, call.version_arguments),
            log,
            time.monotonic() - start,
        )


def _path_of(executable: str | None) -> str:
    path = shutil.which(executable) if executable else None
    if path is None:
        raise MissingInputError(
            f"{executable or 'The program'} is not on the PATH. Install it, or specify a Docker or "
            "Apptainer image."
        )
    return path


def _version(program: str, arguments: tuple[str, ...]) -> str:
    """Return the first line that the program prints with these arguments."""
    if not arguments:
        return "unknown"
    try:
        answer = subprocess.run(  # noqa: S603 - a list, no shell
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    lines = (answer.stdout or answer.stderr).decode(errors="replace").strip().splitlines()
    return lines[0] if lines else "unknown"
