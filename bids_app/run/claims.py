"""Claims: two runs on one output folder do not work on the same session at the same time.

A claim is a file that only one process can create, on network filesystems too. Nothing rests on
it but economy: results are published file by file, whole, and are the same whoever made them. So a
claim may be taken from an owner that seems dead, and no lock daemon is needed.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from bids_app.dataset.staging import PARTIAL, cannot_write, clear_unit, machine
from bids_app.errors import CannotCreateError

# An owner refreshes its claims this often (seconds) ...
BEAT = 5.0
# ... and is given up when none came for so long, by the watcher's own monotonic clock.
PATIENCE = 60.0


class Claims:
    """Claims of one run.

    Parameters
    ----------
    output_dir : Path
    """

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir
        self._owner = f"{machine()} {os.getpid()} {_started(os.getpid())}"
        self._mine: set[str] = set()
        self._watched: dict[str, tuple[float, float]] = {}
        self._beat = time.monotonic()

    def take(self, name: str) -> bool:
        """Claim a session; False if another living run has it.

        Raises
        ------
        CannotCreateError
            If the claim cannot be written.
        """
        path = self._path(name)
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="ascii") as stream:
                stream.write(self._owner)
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                owner = _owner(path)
                if self._is_alive(path, *owner):
                    return False
                clear_unit(self._output_dir, name, owner[0])
            path.unlink(missing_ok=True)
            return self.take(name)
        except FileNotFoundError as error:
            if self._output_dir.is_dir():  # another run has just removed the empty folder
                return self.take(name)
            raise CannotCreateError(cannot_write(self._output_dir, error)) from error
        except OSError as error:
            raise CannotCreateError(cannot_write(self._output_dir, error)) from error
        self._mine.add(name)
        return True

    def beat(self) -> None:
        """Show that this run is alive; call it every now and then."""
        if time.monotonic() - self._beat < BEAT:
            return
        self._beat = time.monotonic()
        for name in self._mine:
            # A claim that was taken away is not worth stopping for.
            with contextlib.suppress(OSError):
                os.utime(self._path(name))

    def give_back(self, name: str) -> None:
        """Let others have a session."""
        self._mine.discard(name)
        with contextlib.suppress(OSError):
            self._path(name).unlink(missing_ok=True)
            self._path(name).parent.rmdir()

    def give_all_back(self) -> None:
        """Let others have every session."""
        for name in list(self._mine):
            self.give_back(name)

    def _is_alive(self, path: Path, host: str, process: str, started: str, touched: float) -> bool:
        if host == machine():
            return bool(started) and _started(process) == started
        # It runs on another machine or in another container, whose processes cannot be seen.
        # Clocks of two machines cannot be compared; whether a file changes can be seen.
        now = time.monotonic()
        before, since = self._watched.get(path.name, (None, now))
        if before != touched:
            since = now
        self._watched[path.name] = (touched, since)
        return now - since < PATIENCE

    def _path(self, name: str) -> Path:
        return self._output_dir / PARTIAL / f"{name}.claim"


def _owner(path: Path) -> tuple[str, str, str, float]:
    """Machine, process and its start as a claim names them, and when it was last touched."""
    try:
        host, process, started = path.read_text(encoding="ascii").split(" ")
        return host, process, started, path.stat().st_mtime
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        # Just being written.
        return "", "", "", 0.0


def _started(process: int | str) -> str:
    """When a process that can be seen began, in clock ticks since boot; empty if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    # A killed process whose parent does not ask for it stays as a zombie, in containers mostly.
    return "" if fields[0] in ("Z", "X") else fields[19]
