"""Numbers of simultaneous sessions and of processors for each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bids_app.options import Resources

# Peak of one session with a 256³ image, rounded up; measured by benchmarks/one_scan.py.
SESSION_GIB = 1.5


@dataclass(frozen=True)
class Allocation:
    """Division of a machine among sessions.

    Attributes
    ----------
    workers : int
        Simultaneous sessions.
    threads : int
        Processors per session.
    """

    workers: int
    threads: int


def available_processors() -> int:
    """Count the processors of this process, the minimum of affinity, cgroup quota and SLURM."""
    bounds = [len(os.sched_getaffinity(0))]
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if granted.isdecimal() and int(granted) > 0:
        bounds.append(int(granted))
    for group in _cgroups():
        quota = _read(group / "cpu.max").split()
        if len(quota) == 2 and quota[0].isdecimal() and quota[1].isdecimal():
            bounds.append(max(1, int(quota[0]) // int(quota[1])))
    return min(bounds)


def available_memory_gib() -> float:
    """Determine the available memory in GiB, within the limits of cgroups and SLURM."""
    bounds = [
        int(line.split()[1]) / 1024**2
        for line in _read(Path("/proc/meminfo")).splitlines()
        if line.startswith("MemAvailable:")
    ]
    for group in _cgroups():
        limit = _read(group / "memory.max").strip()
        if limit.isdecimal():
            used = _read(group / "memory.current").strip()
            bounds.append((int(limit) - int(used or 0)) / 1024**3)
    granted = os.environ.get("SLURM_MEM_PER_NODE", "")
    if granted.isdecimal() and int(granted) > 0:
        bounds.append(int(granted) / 1024)
    return max(0.0, min(bounds)) if bounds else SESSION_GIB


def _cgroups() -> list[Path]:
    """List the cgroup (version 2) of this process and its parents, which all have limits."""
    root = Path("/sys/fs/cgroup")
    name = next(
        (line[3:] for line in _read(Path("/proc/self/cgroup")).splitlines() if line[:3] == "0::"),
        "/",
    )
    # In a container the path may be that of the host, and not exist.
    group = root / name.lstrip("/")
    return [folder for folder in (group, *group.parents) if folder.is_relative_to(root)]


def allocate(sessions: int, limits: Resources) -> Allocation:
    """Divide processors and memory among sessions.

    Parameters
    ----------
    sessions : int
        Number of sessions to run.
    limits : Resources
        Limits set by the user.

    Returns
    -------
    Allocation
        At least one worker with one thread.
    """
    processors = limits.nprocs or available_processors()
    memory = limits.memory_gib if limits.memory_gib is not None else available_memory_gib()
    by_memory = max(1, int(memory // SESSION_GIB))
    at_once = max(1, min(sessions, by_memory, processors // (limits.omp_nthreads or 1) or 1))
    threads = limits.omp_nthreads or max(1, processors // at_once)
    return Allocation(at_once, threads)


def _read(path: Path) -> str:
    """Read a file of the kernel; empty if there is none."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
