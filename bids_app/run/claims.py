"""Claims, by which simultaneous runs on one output folder work on different sessions.

A claim is a file that only one process can create, also on network file systems. It only avoids
duplicate work: files are published atomically and do not depend on the run that measured them.
Therefore a claim may be taken over from a run that seems to have ended, and no lock daemon is
needed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

from bids_app.dataset.owners import machine, process_start
from bids_app.dataset.staging import PARTIAL, cannot_write, clear_unit, partial_folder
from bids_app.errors import CannotCreateError

# Interval in seconds at which a run refreshes its claims.
BEAT = 5.0
# Time in seconds without a refresh, by the monotonic clock of the observer, after which a run on
# another machine is considered to have ended.
PATIENCE = 60.0


class Claims:
    """Claims of one run.

    Parameters
    ----------
    output_dir : Path
    """

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir
        self._owner = f"{machine()} {os.getpid()} {process_start(os.getpid())}"
        self._claimed: set[str] = set()
        self._watched: dict[str, tuple[float, float]] = {}
        self._beat = time.monotonic()

    def take(self, name: str) -> bool:
        """Claim a session; False if another active run has claimed it.

        Raises
        ------
        CannotCreateError
            If the claim cannot be written.
        """
        path = self._path(name)
        while True:
            try:
                if self._create(path):
                    self._claimed.add(name)
                    return True
                with contextlib.suppress(FileNotFoundError):
                    owner = _owner(path)
                    if self._is_active(path, *owner):
                        return False
                    clear_unit(self._output_dir, name, owner[0])
                path.unlink(missing_ok=True)
            except FileNotFoundError as error:
                # Another run may have removed the empty folder in between.
                if not self._output_dir.is_dir():
                    raise CannotCreateError(cannot_write(self._output_dir, error)) from error
            except OSError as error:
                raise CannotCreateError(cannot_write(self._output_dir, error)) from error

    def _create(self, path: Path) -> bool:
        """Create the file of a claim; False if it exists."""
        partial_folder(self._output_dir)
        try:
            with path.open("x", encoding="ascii") as stream:
                stream.write(self._owner)
        except FileExistsError:
            return False
        return True

    def beat(self) -> None:
        """Refresh the claims of this run if the last time is longer ago than `BEAT`."""
        if time.monotonic() - self._beat < BEAT:
            return
        self._beat = time.monotonic()
        for name in self._claimed:
            # Another run may have taken the claim over, at worst measuring the session twice.
            with contextlib.suppress(OSError):
                os.utime(self._path(name))

    def give_back(self, name: str) -> None:
        """Release the claim of a session."""
        self._claimed.discard(name)
        with contextlib.suppress(OSError):
            self._path(name).unlink(missing_ok=True)
            self._path(name).parent.rmdir()

    def give_all_back(self) -> None:
        """Release all claims."""
        for name in list(self._claimed):
            self.give_back(name)

    def _is_active(self, path: Path, host: str, process: str, started: str, touched: float) -> bool:
        """Whether the run that owns a claim has not ended."""
        if host == machine():
            return bool(started) and process_start(process) == started
        # Processes of another machine or container are not visible, and clocks of two machines
        # cannot be compared: the run is active as long as the time of the file changes.
        now = time.monotonic()
        before, since = self._watched.get(path.name, (None, now))
        if before != touched:
            since = now
        self._watched[path.name] = (touched, since)
        return now - since < PATIENCE

    def _path(self, name: str) -> Path:
        return self._output_dir / PARTIAL / f"{name}.claim"


def _owner(path: Path) -> tuple[str, str, str, float]:
    """Read machine, process and its start from a claim, and when it was last refreshed."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # no claim: a pipe would be waited for
            return "", "", "", 0.0
        host, process, started = path.read_text(encoding="ascii").split(" ")
        return host, process, started, path.stat().st_mtime
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        # The claim is still being written.
        return "", "", "", 0.0
