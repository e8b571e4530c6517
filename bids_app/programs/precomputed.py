"""Thalamus labels in any BIDS derivatives dataset, by their entities and label tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bids_app.dataset.names import entities_of, parse_name
from bids_app.programs.layouts import Finished, Place, best, entries, method_name
from bids_app.programs.method import FREESURFER_LABELS
from bids_app.segmentation.result import LEFT, RIGHT

# Names of entities as pybids has them, for those that filters are likely to name.
_SHORT = {"description": "desc", "segmentation": "seg", "hemisphere": "hemi"}
_SIDES = {"l": LEFT, "lh": LEFT, "left": LEFT, "r": RIGHT, "rh": RIGHT, "right": RIGHT}
_THALAMUS = {1: LEFT, 2: RIGHT}


def find(name: str, root: Path, place: Place, wanted: Mapping[str, object]) -> list[Finished]:
    """Find the thalami of one anchor.

    Taken are a ``_dseg`` whose ``dseg.tsv`` names left and right thalamus, that bears
    ``seg-thalamus`` (1 left, 2 right) or FreeSurfer's labels (``desc-aseg``, ``desc-aparcaseg``);
    and two ``_mask`` whose ``label-`` names the thalamus, and that or ``hemi-`` the side.

    Parameters
    ----------
    name : str
        Under which the dataset was given.
    root : Path
        Its folder.
    place : Place
    wanted : mapping of str to object
        Entities and the values (or lists of values) that they must have.

    Returns
    -------
    list of Finished
        None or one.

    Raises
    ------
    BadDataError
        If several fit equally well.
    """
    filters = {_SHORT.get(key, key): _texts(value) for key, value in wanted.items()}
    spaces = (None, "orig", place.scan.contrast)
    found: list[tuple[int, Finished]] = []
    masks: dict[tuple[int, str], dict[int, Path]] = {}
    for path in _images(root, place):
        own, suffix = parse_name(path.name)
        agreement = place.agreement(entities_of(path, root), place.scan.contrast)
        fits = all(own.get(key) in values for key, values in filters.items())
        if agreement is None or not fits or own.get("space") not in spaces:
            continue
        anchored = own.get("space") == place.scan.contrast
        side = _side(own)
        if suffix == "mask" and side is not None:
            rest = {key: value for key, value in own.items() if key not in ("hemi", "label")}
            masks.setdefault((agreement, str(rest)), {})[side] = path
        labels = _labels(path, root, own, asked_for=bool(filters)) if suffix == "dseg" else None
        if labels is not None:
            method, contrast = method_name(name), place.scan.contrast
            item = Finished(
                name, root, method, contrast, (path,), in_anchor_space=anchored, labels=(labels,)
            )
            found.append((agreement, item))
    for (agreement, _), sides in masks.items():
        if len(sides) == 2:
            both = (sides[LEFT], sides[RIGHT])
            tables = ({1: LEFT}, {1: RIGHT})
            item = Finished(name, root, method_name(name), place.scan.contrast, both, labels=tables)
            found.append((agreement, item))
    return best(found)


def thalamus_names(table: Path) -> dict[int, int]:
    """Labels of a table whose name says thalamus and a side.

    Parameters
    ----------
    table : Path
        TSV with the columns ``index`` and ``name``.

    Returns
    -------
    dict of int to int
        Label to 1 (left) or 2 (right).
    """
    labels = {}
    with table.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            name, index = row.get("name") or "", row.get("index") or ""
            words = re.sub(r"[_-]", " ", name.lower())
            side = re.search(r"\b(left|right|l|r|lh|rh)\b", words)
            if "thal" in words and side and index.isdecimal():
                labels[int(index)] = _SIDES[side[1]]
    return labels


def _images(root: Path, place: Place) -> Iterable[Path]:
    for entry in entries(root, place.session):
        images = sorted(entry.rglob("*.nii*")) if entry.is_dir() else [entry]
        yield from (path for path in images if re.search(r"_(dseg|mask)\.nii(\.gz)?$", path.name))


def _texts(value: object) -> set[object]:
    values = value if isinstance(value, list) else [value]
    return {None if item is None else str(item) for item in values}


def _side(entities: Mapping[str, str]) -> int | None:
    """Side of a mask of the thalamus; None for other masks."""
    label = entities.get("label", "")
    # label-thalamusL, label-LThal, label-leftThalamus
    parts = re.fullmatch(
        r"(left|right|lh|rh|l|r)?(?i:thal(?:amus)?)(left|right|lh|rh|l|r)?", label, re.I
    )
    if parts is None:
        return None
    return _SIDES.get((entities.get("hemi") or parts[1] or parts[2] or "").lower())


def _labels(
    path: Path, root: Path, own: Mapping[str, str], *, asked_for: bool
) -> Mapping[int, int] | None:
    """What the labels of a segmentation become; None if they are not known to be thalami."""
    stem = path.name.partition(".nii")[0]
    shared = [f"{key}-{own[key]}_" for key in ("seg", "desc") if key in own]
    names = ["".join(shared), *shared, ""]
    tables = [path.with_name(f"{stem}.tsv"), *(root / f"{text}dseg.tsv" for text in names)]
    for table in tables:
        if table.is_file():
            labels = thalamus_names(table)
            if labels:
                return labels
    if own.get("seg") == "thalamus":
        return _THALAMUS
    freesurfer = {own.get("desc"), own.get("seg")} & {"aseg", "aparcaseg"}
    return FREESURFER_LABELS if freesurfer or asked_for else None
