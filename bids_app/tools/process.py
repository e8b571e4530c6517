"""Processes that end by themselves, at their time limit, or with this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


@contextlib.contextmanager
def guarded(kind: str, name: str) -> Iterator[None]:
    """End a process group or container if this process dies meanwhile, even by SIGKILL.

    A second process waits for the end of a pipe that only this process holds.

    Parameters
    ----------
    kind : {'group', 'container'}
    name : str
        Number of the process group, or identifier of the container.
    """
    command = [sys.executable, "-P", "-m", "bids_app.tools.guard", kind, name]
    guard = subprocess.Popen(  # noqa: S603 - a list, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            guard.communicate(b"done")


def run_process(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float, log: Path
) -> int:
    """Run a command without a shell and write its output to a file.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Working directory.
    environment : mapping of str to str
        All variables of the process.
    seconds : float
        Time limit.
    log : Path
        File for standard output and standard error.

    Returns
    -------
    int
        Exit status; the negative number of the signal if one ended it.

    Raises
    ------
    TimeoutError
        If it takes longer than ``seconds``; it and its children are killed then.
    OSError
        If it cannot be started.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a list, no shell
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # One process group, so that a signal reaches all children.
            start_new_session=True,
        )
        try:
            with guarded("group", str(process.pid)):
                return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            # Children that outlive the program would continue to write.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
