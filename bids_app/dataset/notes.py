"""Notes: what was normalised, chosen or passed by while a dataset was read.

A clean dataset leaves none. They are shown on the page of a session and kept in its record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class NoteKind(StrEnum):
    """What a note is about."""

    COMPRESSION = "compression"
    AXES = "axes"
    UNIT = "unit"
    OFFSET = "offset"
    SCALE = "scale"
    OVERFLOW = "overflow"
    NAN = "nan"
    NOISE = "noise"
    SIDES = "sides"
    VOXEL_SIZE = "voxel_size"
    FIELD_OF_VIEW = "field_of_view"
    LABELS = "labels"
    CHOICE = "choice"
    PASSED_BY = "passed_by"
    TABLE = "table"
    FORMAT = "format"
    IDENTIFIER = "identifier"
    CONTRAST_AGENT = "contrast_agent"

    @property
    def reason(self) -> str:
        """Why results of the image should be reviewed, as in ``qc_reason``; empty if not."""
        return _REASONS.get(self, "")


_REASONS = {
    NoteKind.SIDES: "left and right of the image are uncertain",
    NoteKind.VOXEL_SIZE: "voxel sizes of the image are uncertain",
}


@dataclass(frozen=True)
class Note:
    """One thing that a user should know about an input.

    Attributes
    ----------
    kind : NoteKind
    path : str
        File or folder concerned.
    text : str
        One sentence, which names the file if it is read without ``path``. On the format of a table
        it is a statement without the file, which many tables of a dataset share.
    """

    kind: NoteKind
    path: str
    text: str


def reasons_to_review(notes: Iterable[Note]) -> tuple[str, ...]:
    """List why results of an image should be reviewed, each reason once."""
    return tuple(dict.fromkeys(note.kind.reason for note in notes if note.kind.reason))


def sentences(notes: Iterable[Note]) -> list[str]:
    """Word notes for people, each once; files with the same fault of format share a sentence.

    Examples
    --------
    >>> same = [Note(NoteKind.FORMAT, name, "read as UTF-16.") for name in ("a", "b", "c")]
    >>> sentences([*same, Note(NoteKind.AXES, "d", "d was turned.")])
    ['a and 2 further files: read as UTF-16.', 'd was turned.']
    """
    paths: dict[tuple[bool, str], list[str]] = {}
    for note in notes:
        paths.setdefault((note.kind is NoteKind.FORMAT, note.text), []).append(note.path)
    texts = []
    for (of_format, text), named in paths.items():
        more = len(set(named)) - 1
        further = f" and {more} further {'file' if more == 1 else 'files'}" if more else ""
        texts.append(f"{named[0]}{further}: {text}" if of_format else text)
    return texts
