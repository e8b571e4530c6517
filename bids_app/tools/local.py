"""Programs that are installed on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bids_app.errors import MissingInputError
from bids_app.tools.call import Call, Limits, ToolRun, failure, status_meaning
from bids_app.tools.process import run_process

VERSION_SECONDS = 60


class Local:
    """A back end that runs programs on the PATH."""

    back_end = "local"

    def check(self, executable: str | None) -> None:
        """Check that the program exists; see `Runner`."""
        self._path_of(executable)

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run a program and wait for its end; see `Runner`."""
        path = self._path_of(call.executable)
        name = call.executable or path
        command = (path, *map(str, call.arguments))
        threads = str(limits.threads)
        # Programs read their number of threads from variables of OpenMP and ITK.
        environment = {
            **self._variables(),
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
            self.back_end,
            command,
            self._version(path, call.version_arguments),
            log,
            time.monotonic() - start,
        )

    def _path_of(self, executable: str | None) -> str:
        """Find the program."""
        path = shutil.which(executable) if executable else None
        if path is None:
            raise MissingInputError(
                f"{executable or 'The program'} is not on the PATH. Install it, or specify a "
                "virtual environment, or a Docker or Apptainer image."
            )
        return path

    def _variables(self) -> Mapping[str, str]:
        """Return the variables that the program inherits."""
        return os.environ

    def _version(self, path: str, arguments: tuple[str, ...]) -> str:
        """Return the first line that the program prints with these arguments."""
        if not arguments:
            return "unknown"
        try:
            answer = subprocess.run(  # noqa: S603 - a list, no shell
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=VERSION_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return "unknown"
        lines = (answer.stdout or answer.stderr).decode(errors="replace").strip().splitlines()
        return lines[0] if lines else "unknown"
