"""Calls of programs, their limits and outcomes, the same for all back ends."""

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
    """A folder or file that a program can access.

    Attributes
    ----------
    source : Path
        Absolute, on this machine.
    target : str
        Path inside a container; a local program uses ``source``.
    writable : bool
        False for inputs.
    """

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class Call:
    """One run of one program.

    Attributes
    ----------
    executable : str or None
        Name of the program; None: the entry point of the image, which a local run does not have.
    arguments : tuple of str and Path
        Paths are absolute and within one of ``binds``; inside a container they are replaced by
        paths there. As they begin with a slash, none can be mistaken for an option.
    binds : tuple of Bind
    folder : Path
        Working directory and home, within a writable bind.
    environment : mapping of str to str
    version_arguments : tuple of str
        Arguments with which a local program prints its version; a container is identified by its
        digest.
    """

    executable: str | None
    arguments: tuple[str | Path, ...]
    binds: tuple[Bind, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    version_arguments: tuple[str, ...] = ("--version",)

    def arguments_inside(self) -> list[str]:
        """Return the arguments for a program in a container."""
        return [
            inside(argument, self.binds) if isinstance(argument, Path) else argument
            for argument in self.arguments
        ]


@dataclass(frozen=True)
class Limits:
    """Limits of a run.

    Attributes
    ----------
    seconds : float
    threads : int
    memory_gib : float or None
        Imposed on Docker containers; elsewhere the limit of the scheduler applies.
    gpu : bool
    """

    seconds: float
    threads: int = 1
    memory_gib: float | None = None
    gpu: bool = False


@dataclass(frozen=True)
class ToolRun:
    """A run that succeeded, for the provenance of its result.

    Attributes
    ----------
    back_end : str
        ``local``, ``venv``, ``docker`` or ``apptainer``.
    command : tuple of str
        Command line that was started.
    version : str
        Version that the program prints, or the digest of its image.
    log : Path
        File with standard output and standard error.
    seconds : float
    """

    back_end: str
    command: tuple[str, ...]
    version: str
    log: Path
    seconds: float


class Runner(Protocol):
    """A back end."""

    def check(self, executable: str | None) -> None:
        """Check that a program can be run.

        Raises
        ------
        MissingInputError
            If the program, the engine or the image is missing.
        """

    def run(self, call: Call, limits: Limits, log: Path) -> ToolRun:
        """Run a program and wait for its end.

        Raises
        ------
        MissingInputError
            If the program, the engine or the image is missing.
        ToolError
            If it fails or takes longer than allowed. No process is left running.
        """


def inside(path: Path, binds: Iterable[Bind]) -> str:
    """Return a path as it is inside a container.

    Parameters
    ----------
    path : Path
        Absolute, on this machine.
    binds : iterable of Bind
        The innermost one that holds the path is used.

    Raises
    ------
    ValueError
        If no bind holds the path.

    Examples
    --------
    >>> inside(Path("/scratch/in/t1w.nii.gz"), [Bind(Path("/scratch/in"), "/thalbids/in")])
    '/thalbids/in/t1w.nii.gz'
    """
    holding = [bind for bind in binds if path.is_relative_to(bind.source)]
    if not holding:
        raise ValueError(f"{path} is in none of the folders that are bound into the container")
    bind = max(holding, key=lambda bind: len(bind.source.parts))
    return str(PurePosixPath(bind.target) / path.relative_to(bind.source).as_posix())


def failure(name: str, what: str, log: Path) -> ToolError:
    """Make an error that names the program and ends with the last lines of its log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    printed = [line for line in lines if line.strip()][-LOG_LINES:]
    tail = "\n".join(printed) if printed else "(it printed nothing)"
    return ToolError(f"{name} {what}. The last lines of its log:\n{tail}")


def status_meaning(status: int) -> str:
    """Describe an exit status; -9 and 137 are those of a process killed for lack of memory."""
    if status in (-9, 137):
        return "was killed, probably out of memory"
    return f"failed with exit status {status}"
