"""Starting Python processes that neither the working folder nor an interrupt can disturb."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

# A new interpreter searches the working folder for modules, unless this variable is set.
_VARIABLE = "PYTHONSAFEPATH"
# Distinguishes it from a value of the user's, which other programs are to inherit.
_VALUE = "thalbids"


@contextmanager
def shielded() -> Iterator[None]:
    """Start processes within the block; the first that they do is `settle`.

    Until then an interrupt, which reaches all processes of a terminal, is held back.
    """
    is_set = os.environ.setdefault(_VARIABLE, _VALUE) != _VALUE
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if not is_set:
            del os.environ[_VARIABLE]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle() -> None:
    """Leave interrupts to the process that started this one, and clear its environment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # Other programs may rely on modules next to their scripts.
    if os.environ.get(_VARIABLE) == _VALUE:
        del os.environ[_VARIABLE]
