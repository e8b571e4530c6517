"""The start of every command; ``python -m bids_app`` is ``thalbids``.

Python's own start-up has imported ``os`` and ``sys``, and ``_signal`` is built in. Everything else
is imported once the working folder is no longer searched: a ``signal.py`` in it must not take the
place of Python's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # what signal.py wraps; not in the stubs
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130
# Not where a shell has started the command in the background.
_INTERRUPTIBLE = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler


def _stop(*_: object) -> None:
    """End the process at once: modules on import may turn an exception into another one."""
    os.write(2, b"thalbids: interrupted before anything was done.\n")
    os._exit(_INTERRUPTED)


if _INTERRUPTIBLE:
    _signal.signal(_signal.SIGINT, _stop)


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
    """Import a command and run it; an interrupt is one sentence, whenever it comes."""
    leave_out_working_folder()
    from bids_app.run.streams import keep_streams

    keep_streams()
    command = load()
    try:
        if _INTERRUPTIBLE:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        code = command()
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted.\n")
        code = _INTERRUPTED
    if _INTERRUPTIBLE:
        # While Python clears up, there is nothing left to report.
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    return code


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
