"""Checksums of files: of inputs, and of results while they are written."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from bids_app.dataset.annex import fetch_advice
from bids_app.errors import MissingInputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@dataclass(frozen=True)
class Content:
    """What a file contained when it was written.

    Attributes
    ----------
    size : int
        In bytes.
    sha256 : str
        Hexadecimal.
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Describe the content of a file that is in memory."""
        return cls(len(data), hashlib.sha256(data).hexdigest())

    def is_in(self, path: Path) -> bool:
        """Check whether a file still has this content; files of another size are not read."""
        try:
            return path.stat().st_size == self.size and sha256(path) == self.sha256
        except (OSError, MissingInputError):
            return False


class HashedFile(io.RawIOBase):
    """A file that computes its checksum while it is written, from its first byte to its last.

    Parameters
    ----------
    stream : binary file
        Open for writing; closed by its owner.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        """Return True: the file is there to be written."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Append to the file."""
        self._hash.update(data)
        written = self._stream.write(data)
        self._size += written
        return written

    @property
    def content(self) -> Content:
        """What has been written so far."""
        return Content(self._size, self._hash.hexdigest())


def sha256(path: Path) -> str:
    """Compute the SHA-256 checksum of a file, as a hexadecimal string.

    Raises
    ------
    MissingInputError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        text = f"Cannot read {path}: {error.strerror}. {fetch_advice(path)}"
        raise MissingInputError(text.rstrip()) from error
