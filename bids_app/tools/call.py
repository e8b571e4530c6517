"""What is run, within which limits, and what came of it: the same for all three back ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from bids_app.errors import BadDataError

LOG_LINES = 10


class ToolError(BadDataError):
    """An external program failed; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Bind:
    """A folder that the program sees.

    Attributes
    ----------
    source : Path
        Absolute, on this machine.
    target : str
        Where it lies inside a container; a local program sees ``source``.
    writable : bool
        Inputs are not.
    """

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Call:
    """One run of one program.

    Attributes
    ----------
    program : str or None
        Its name; None is the image's own entry point, which a local run does not have.
    arguments : tuple of str and Path
        Paths are absolute, within one of ``binds``, and are written as the program sees them.
        As they begin with a slash none can be mistaken for an option.
    binds : tuple of Bind
    folder : Path
        Working directory and home, within a writable bind.
    environment : mapping of str to str
    version_arguments : tuple of str
        Make a local program print its version; a container is known by its digest.
    """

    program: str | None
    arguments: tuple[str | Path, ...]
    binds: tuple[Bind, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    version_arguments: tuple[str, ...] = ("--version",)


@dataclass(frozen=True)
class Limits:
    """What a run may use.

    Attributes
    ----------
    seconds : float
    threads : int
    memory_gib : float or None
        Imposed on Docker containers; elsewhere the scheduler's limit holds.
    gpu : bool
    """

    seconds: float
    threads: int = 1
    memory_gib: float | None = None
    gpu: bool = False


@dataclass(frozen=True)
class ToolRun:
    """How a result came about, for the provenance.

    Attributes
    ----------
    back_end : str
        ``local``, ``docker`` or ``apptainer``.
    command : tuple of str
        As it was started.
    version : str
        What the program says of itself, or the digest of its image.
    log : Path
        Standard output and error.
    seconds : float
    """

    back_end: str
    command: tuple[str, ...]
    version: str
    log: Path
    seconds: float


class Runner(Protocol):
    """A back end."""

    def check(self, program: str | None) -> None:
        """See whether a program can be run at all.

        Raises
        ------
        MissingInputError
            If the program, the engine or the image is not there.
        """

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run to the end.

        Raises
        ------
        MissingInputError
            If the program, the engine or the image is not there.
        ToolError
            If it fails, or takes longer than it may. Nothing is left running.
        """


def inside(path: Path, binds: Iterable[Bind]) -> str:
    """Where a container sees a path; the innermost bind counts.

    Raises
    ------
    ValueError
        If no bind holds it.
    """
    holding = [bind for bind in binds if path.is_relative_to(bind.source)]
    if not holding:
        raise ValueError(f"{path} is in none of the folders that the program sees")
    bind = max(holding, key=lambda bind: len(bind.source.parts))
    return str(PurePosixPath(bind.target) / path.relative_to(bind.source).as_posix())


def failure(name: str, what: str, log: Path) -> ToolError:
    """An error that names the program and ends with the last lines of its log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line for line in lines if line.strip()][-LOG_LINES:]
    tail = "\n".join(said) if said else "(it printed nothing)"
    return ToolError(f"{name} {what}. The last lines of its log:\n{tail}")


def status_meaning(status: int) -> str:
    """An exit status in words; -9 and 137 are what a lack of memory looks like."""
    if status in (-9, 137):
        return "was killed, most likely because memory ran out"
    return f"failed with exit status {status}"
