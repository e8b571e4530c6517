"""Starting Python processes that neither the working folder nor an interrupt can disturb."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

# A new interpreter searches the working folder for modules, unless this variable is set.
_VARIABLE = "PYTHONSAFEPATH"
# Distinguishes it from a value of the user's, which other programs are to inherit.
_VALUE = "thalbids"

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def limit_threads(threads: int) -> None:
    """Limit the threads that libraries use in processes that are started from now on."""
    # They read these when they are first imported.
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    # ONNX Runtime would keep a device number in the home folder, and report to its makers.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


# What stops a run: a terminal, or a scheduler.
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def shielded() -> Iterator[None]:
    """Start processes within the block; the first that they do is `settle`.

    Until then an interrupt, which reaches all processes of a terminal, is held back in them. In
    this process signals to stop take effect after the block: a process that was started, but never
    sent its work, would end with a traceback. A mask alone does not achieve that, as it is that of
    one thread, and Python acts on a signal whichever thread receives it.
    """
    is_set = os.environ.setdefault(_VARIABLE, _VALUE) != _VALUE
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in _STOPPING
    }
    # Python starts this one along with the first process; it would end the mask (before 3.12).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if not is_set:
            del os.environ[_VARIABLE]
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for late in received:
            signal.raise_signal(late)


def settle() -> None:
    """Leave interrupts to the process that started this one, and clear its environment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # Other programs may rely on modules next to their scripts.
    if os.environ.get(_VARIABLE) == _VALUE:
        del os.environ[_VARIABLE]
