"""Compressed images: what is compressed by its content, and whether it is whole."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from bids_app.dataset.notes import Note, NoteKind

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


def is_compressed(path: Path) -> bool:
    """Whether a file is compressed with gzip, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(len(GZIP)) == GZIP


def is_misnamed(path: Path) -> bool:
    """Whether a file is compressed but not named so, or the other way round."""
    return is_compressed(path) != (path.suffix in (".gz", ".mgz"))


def name_notes(path: Path) -> tuple[Note, ...]:
    """Note that a file is compressed although its name does not imply it, or the reverse."""
    if not is_misnamed(path):
        return ()
    text = "is compressed" if is_compressed(path) else "is not compressed"
    text = f"{path.name} {text}, though its name ends in {path.suffix}; it is read as it is."
    return (Note(NoteKind.COMPRESSION, str(path), text),)


def read_rest(path: Path, stream: gzip.GzipFile) -> tuple[Note, ...]:
    """Read a compressed file to its end, which verifies it.

    Returns
    -------
    tuple of Note
        If other bytes follow the compressed image, which is whole.
    """
    try:
        while stream.read(_CHUNK):
            pass
    except gzip.BadGzipFile:
        extra = _bytes_behind(path)
        if not extra:
            raise
        text = f"{path.name} holds {extra:,} bytes behind its end, which are ignored."
        return (Note(NoteKind.COMPRESSION, str(path), text),)
    return ()


def _bytes_behind(path: Path) -> int:
    """Count the bytes that follow what is compressed with gzip; 0 if that is not whole."""
    with path.open("rb") as file:
        rest = file.read(_CHUNK)
        while rest[:2] == GZIP:
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                chunk = rest or file.read(_CHUNK)
                if not chunk:
                    return 0
                member.decompress(chunk)
                rest = member.unused_data
            if len(rest) < len(GZIP):
                rest += file.read(_CHUNK)
        return path.stat().st_size - file.tell() + len(rest)
