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
    """Runs what is on the PATH."""

    def check(self, program: str | None) -> None:
        """See whether it is there; see `Runner`."""
        _found(program)

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run to the end; see `Runner`."""
        found = _found(call.program)
        name = call.program or found
        command = (found, *map(str, call.arguments))
        threads = str(limits.threads)
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
            took = f"was stopped after {limits.seconds:g} s"
            raise failure(name, took, log) from None
        except OSError as error:
            raise MissingInputError(f"{found} cannot be started: {error.strerror}.") from error
        if status != 0:
            raise failure(name, status_meaning(status), log)
        return ToolRun(
            "local",
            command,
            _version(found, call.version_arguments),
            log,
            time.monotonic() - start,
        )


def _found(program: str | None) -> str:
    found = shutil.which(program) if program else None
    if found is None:
        raise MissingInputError(
            f"{program or 'The program'} is not on the PATH. Install it, or name a Docker or "
            "Apptainer image."
        )
    return found


def _version(program: str, arguments: tuple[str, ...]) -> str:
    """First line that the program prints about its version."""
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
