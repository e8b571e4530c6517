"""HDF5 files without the time of writing, so that equal transforms are equal files."""

from __future__ import annotations

import re

# The object header of a group or dataset begins with signature, version and flags: whether times
# and limits of attributes follow, and the width of the size.
_HEADER = re.compile(rb"OHDR\x02(.)", re.DOTALL)
_HAS_TIMES, _HAS_LIMITS, _WIDTH = 0x20, 0x10, 0x03
_TIMES = slice(6, 22)
_MIXING = (4, 6, 8, 16, 19, 4)
_FINAL = (14, 11, 25, 16, 4, 14, 24)


def without_times(content: bytes) -> bytes:
    """Set the times at which the objects of an HDF5 file were made and changed to 0.

    ITK's writer of transforms has no option for it.

    Parameters
    ----------
    content : bytes
        A file of HDF5 1.8 or later.

    Returns
    -------
    bytes
        The same length; object headers and their checksums differ.

    References
    ----------
    The HDF Group. HDF5 File Format Specification Version 3.0, section IV.A.1.b.
    """
    data = bytearray(content)
    for match in _HEADER.finditer(content):
        start, flags = match.start(), match[1][0]
        size_at = start + _TIMES.stop + 4 * bool(flags & _HAS_LIMITS)
        messages_at = size_at + (1 << (flags & _WIDTH))
        end = messages_at + int.from_bytes(content[size_at:messages_at], "little")
        is_header = content[end : end + 4] == checksum(content[start:end])
        if is_header and flags & _HAS_TIMES:
            data[start + _TIMES.start : start + _TIMES.stop] = bytes(16)
            data[end : end + 4] = checksum(bytes(data[start:end]))
    return bytes(data)


def checksum(data: bytes) -> bytes:
    """Compute the checksum of the metadata of HDF5, Jenkins' lookup3.

    Parameters
    ----------
    data : bytes
        Not empty.

    Returns
    -------
    bytes
        Four, the least significant first.

    References
    ----------
    Jenkins B. lookup3.c, for hash table lookup, 2006: function ``hashlittle``.

    Examples
    --------
    >>> checksum(b"Four score and seven years ago")[::-1].hex()
    '17770551'
    """
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
    words += [0] * (-len(words) % 3)
    a = b = c = (0xDEADBEEF + len(data)) & 0xFFFFFFFF
    for at in range(0, len(words), 3):
        a, b, c = (
            (value + word) & 0xFFFFFFFF
            for value, word in zip((a, b, c), words[at : at + 3], strict=True)
        )
        if at + 3 < len(words):
            for bits in _MIXING:
                a = ((a - c) & 0xFFFFFFFF) ^ _rotated(c, bits)
                a, b, c = b, (c + b) & 0xFFFFFFFF, a
    for bits in _FINAL:
        c = ((c ^ b) - _rotated(b, bits)) & 0xFFFFFFFF
        a, b, c = b, c, a
    return b.to_bytes(4, "little")


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF
