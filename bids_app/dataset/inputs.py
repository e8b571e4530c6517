"""What a dataset offers, and why some of it is not used: ``logs/inputs.tsv``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from bids_app.dataset.bidsignore import NAME, Ignored, read_ignored

_MOST_NAMES = 5
# What each column holds, by its name.
_COLUMNS = {
    "path": "Folder or file relative to the dataset, BIDS URI of a map of another dataset, or name "
    "of a row, column or filter key",
    "kind": "What is offered",
    "status": "used or not used",
    "reason": "Why it is not used; n/a if it is",
}


class OfferKind(StrEnum):
    """What is offered; the values are written to the table."""

    SUBJECT = "subject folder"
    SESSION = "session folder"
    FOLDER = "folder"
    SCAN = "scan"
    MAP = "map"
    FIELD_MAP = "field map"
    IMAGES = "data type"
    TABLE = "table"
    ROW = "row"
    COLUMN = "column"
    FILTER = "filter key"
    SETTINGS = "settings file"


TABLE_PARTS = (OfferKind.TABLE, OfferKind.ROW, OfferKind.COLUMN)
_OF_SUBJECT = re.compile(r"(?:bids:[^:]*:)?(sub-[^/]+)/(?:(ses-[^/]+)/)?")


@dataclass(frozen=True)
class Offer:
    """Something that a dataset or the user offers, and what becomes of it.

    Attributes
    ----------
    path : str
        Folder or file relative to the dataset, BIDS URI of an image of another one, or name of a
        row, column or filter key.
    kind : OfferKind
    reason : str
        Why it is not used, as a phrase without full stop; empty if it is.
    expected : bool
        Whether that is so in every proper dataset: it is in the table only, as functional images.
    pending : bool
        Whether the reason only holds until its session has been measured.
    """

    path: str
    kind: OfferKind
    reason: str = ""
    expected: bool = False
    pending: bool = False

    @property
    def status(self) -> str:
        """Entry of the table."""
        return "not used" if self.reason else "used"

    @property
    def owner(self) -> str | None:
        """Name of the session or subject whose folder it is in; None for what is of the dataset.

        >>> Offer("sub-01/ses-02/anat/sub-01_ses-02_T1w.nii", OfferKind.SCAN).owner
        'sub-01_ses-02'
        """
        match = None if self.kind in TABLE_PARTS else _OF_SUBJECT.match(self.path)
        return "_".join(filter(None, match.groups())) if match else None


@dataclass
class Account:
    """Collects what the index of a dataset finds.

    Attributes
    ----------
    root : Path
        Folder of the dataset.
    offers : list of Offer
        What it passes by.
    images : dict of str to list of Path
        Images of each subject that are named for it, used or not.
    """

    root: Path
    offers: list[Offer] = field(default_factory=list)
    images: dict[str, list[Path]] = field(default_factory=dict)

    @cached_property
    def ignored(self) -> Ignored:
        """What ``.bidsignore`` names."""
        ignored = read_ignored(self.root)
        if ignored.problem:
            self.pass_by(self.root / NAME, OfferKind.SETTINGS, ignored.problem)
        return ignored

    def pass_by(
        self, path: str | Path, kind: OfferKind, reason: str, *, expected: bool = False
    ) -> None:
        """Add something below the root that is not used."""
        relative = os.path.relpath(path, self.root)
        self.offers.append(Offer(relative, kind, reason, expected))


def lines(offers: Iterable[Offer]) -> list[str]:
    """Write what is not used, one line for each kind and reason.

    Parameters
    ----------
    offers : iterable of Offer

    Returns
    -------
    list of str
        Empty if everything is used, or expected not to be.

    Examples
    --------
    >>> lines([Offer("sub-WMH_01", OfferKind.SUBJECT, "the label has other characters")])
    ['1 subject folder is not used (the label has other characters): sub-WMH_01.']
    """
    groups: dict[tuple[OfferKind, str], list[str]] = {}
    for offer in offers:
        if offer.reason and not offer.expected:
            groups.setdefault((offer.kind, offer.reason), []).append(offer.path)
    return [_line(kind, reason, paths) for (kind, reason), paths in groups.items()]


def _line(kind: OfferKind, reason: str, paths: Sequence[str]) -> str:
    """Write one line with the count and the first names."""
    plural = "s are" if len(paths) > 1 else " is"
    more = len(paths) - _MOST_NAMES
    names = ", ".join(paths[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{len(paths)} {kind}{plural} not used ({reason}): {names}."


def write_inputs(output_dir: Path, offers: Iterable[Offer]) -> None:
    """Write ``logs/inputs.tsv`` and its description.

    Parameters
    ----------
    output_dir : Path
    offers : iterable of Offer
        Written in the order of paths, each once.

    Raises
    ------
    CannotCreateError
        If they cannot be written.
    """
    # Whoever only indexes a dataset writes nothing.
    from bids_app.dataset.staging import write_if_different

    rows = [tuple(_COLUMNS)]
    for offer in sorted(dict.fromkeys(offers), key=lambda offer: (offer.path, offer.kind)):
        entries = (offer.path, offer.kind, offer.status, offer.reason or "n/a")
        rows.append(tuple(" ".join(entry.split()) for entry in entries))
    table = output_dir / "logs" / "inputs.tsv"
    write_if_different(table, "".join("\t".join(row) + "\n" for row in rows))
    described = {name: {"Description": text} for name, text in _COLUMNS.items()}
    write_if_different(table.with_suffix(".json"), json.dumps(described, indent=2) + "\n")


def read_inputs(output_dir: Path) -> list[Offer]:
    """Read the rows of ``logs/inputs.tsv``; none if it is not there, and none that is damaged."""
    path = output_dir / "logs" / "inputs.tsv"
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    except (OSError, ValueError):
        return []
    kinds = list(OfferKind)
    return [
        Offer(row[0], OfferKind(row[1]), "" if row[3] == "n/a" else row[3])
        for row in rows
        if len(row) == len(_COLUMNS) and row[1] in kinds
    ]
