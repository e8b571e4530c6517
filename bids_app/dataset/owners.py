"""Owners of unfinished files: the process that writes them, and the machine that it is on."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

# Age at which files of processes on other machines are considered abandoned.
_ABANDONED_SECONDS = 86400


def machine() -> str:
    """Identify the set of processes that are visible here: those of a host or of a container.

    Containers may share the name of their host (Apptainer's do), but not its processes.
    """
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux, hence no containers
        namespace = 0
    return f"{socket.gethostname()}.{namespace}"


def process_start(process: int | str) -> str:
    """Read when a visible process began, in clock ticks since boot; empty if it has ended."""
    try:
        fields = (
            Path(f"/proc/{process}/stat").read_text("ascii", "replace").rsplit(")", 1)[1].split()
        )
    except (OSError, IndexError):
        return ""
    # A killed process whose parent does not wait for it remains as a zombie, mostly in containers.
    return "" if fields[0] in ("Z", "X") else fields[19]


def is_abandoned(partial: Path) -> bool:
    """Whether the process that writes a file or folder has ended; for other machines by its age."""
    _, host, process, _ = partial.name.rsplit("@", 3)
    if host == machine():
        return not process_start(process)
    with contextlib.suppress(OSError):
        return time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS
    return False
