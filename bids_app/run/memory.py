"""What the C library does with the memory of arrays that are freed (glibc; others ignore it)."""

from __future__ import annotations

import contextlib
import ctypes

# Of glibc's mallopt: unused memory above which the heap is trimmed, and the size above which an
# array gets memory of its own, which is returned with it.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MIB = 1024**2


def return_freed_memory() -> None:
    """Return the memory of images when they are freed; coarser ones use theirs again."""
    _set(mapped=8 * _MIB, trimmed=64 * _MIB)


def keep_freed_memory() -> None:
    """Use the memory of masks again for the next ones.

    Requesting it each time would take half of the time to read a mask of 1 mm.
    """
    # The largest that glibc accepts for arrays.
    _set(mapped=32 * _MIB, trimmed=256 * _MIB)


def _set(mapped: int, trimmed: int) -> None:
    # Other C libraries have no such function and keep less.
    with contextlib.suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, mapped)
        libc.mallopt(_TRIM_THRESHOLD, trimmed)
