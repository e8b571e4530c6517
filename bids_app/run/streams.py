"""Standard streams that outlive their readers."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STANDARD = (0, 1, 2)
# The other end of a pipe, or the terminal, is gone.
_GONE = (errno.EPIPE, errno.EIO)


class _Outlet(io.FileIO):
    """A file descriptor that leads to the null device once its reader is gone."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _GONE:
                raise
        # In its place, so that libraries and programs that write to it are not ended either.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)
        return super().write(data)


def keep_streams() -> None:
    """Let a run continue when its output has no reader any more (``| head``, a lost terminal).

    Streams that are missing are opened on the null device: the next file that is opened would
    otherwise take their number, and with it what libraries report.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = _kept(sys.stdout, 1, "strict")
    sys.stderr = _kept(sys.stderr, 2, "backslashreplace")


def _kept(stream: TextIO | None, number: int, errors: str) -> TextIO:
    """Give a stream of the same kind that outlives its reader."""
    if stream is not None:
        stream.flush()
    outlet = io.BufferedWriter(_Outlet(number, "w", closefd=False))
    return io.TextIOWrapper(
        outlet,
        encoding="utf-8" if stream is None else stream.encoding,
        errors=errors if stream is None else stream.errors,
        line_buffering=number == 2 or outlet.isatty(),
    )
