"""The start of every command; ``python -m bids_app`` is ``thalbids``.

Python's own start-up has imported ``os`` and ``sys``. Everything else is imported once the working
folder is no longer searched: a ``signal.py`` in it must not take the place of Python's.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130


def thalbids() -> int:
    """Run ``thalbids`` and return its exit code."""

    def load() -> Callable[[], int]:
        from bids_app.cli import main

        return main

    return _start("thalbids", load)


def thalbids_docker() -> int:
    """Run ``thalbids-docker`` and return its exit code."""

    def load() -> Callable[[], int]:
        from bids_app.launch.docker import main

        return main

    return _start("thalbids-docker", load)


def thalbids_slurm() -> int:
    """Run ``thalbids-slurm`` and return its exit code."""

    def load() -> Callable[[], int]:
        from bids_app.launch.slurm import main

        return main

    return _start("thalbids-slurm", load)


def _start(name: str, load: Callable[[], Callable[[], int]]) -> int:
    """Import a command and run it; an interrupt is one sentence from the first moment on."""
    leave_out_working_folder()
    import signal

    def stop(*_: object) -> None:
        # Importing modules may turn an exception into another one.
        os.write(2, f"{name}: interrupted before anything was done.\n".encode())
        os._exit(_INTERRUPTED)

    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not is_ignored:
        signal.signal(signal.SIGINT, stop)
    command = load()
    if not is_ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return command()
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted.\n")
        return _INTERRUPTED


def leave_out_working_folder() -> None:
    """Search the working folder for no modules, or last if it is where this package lies."""
    try:
        here = os.path.realpath(os.getcwd())  # noqa: PTH109 (pathlib imports other modules)
    except OSError:  # it was removed
        here = ""

    def elsewhere(entries: list[str]) -> list[str]:
        return [entry for entry in entries if entry and os.path.realpath(entry) != here]

    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    last = [here] if package == here else []
    sys.path[:] = elsewhere(sys.path) + last
    # Processes that are started read it; an empty entry means the working folder.
    if "PYTHONPATH" in os.environ:
        entries = elsewhere(os.environ["PYTHONPATH"].split(os.pathsep)) + last
        os.environ["PYTHONPATH"] = os.pathsep.join(entries)


if __name__ == "__main__":
    sys.exit(thalbids())
