"""Thalamus labels in any BIDS derivatives dataset, by their entities and label tables."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from bids_app.dataset.names import entities_of, parse_name
from bids_app.programs.layouts import Finished, Place, best, entries, method_name
from bids_app.programs.method import FREESURFER_LABELS
from bids_app.segmentation.sides import LEFT, RIGHT

# Entities that filters are likely to name, as pybids spells them.
_SHORT = {"description": "desc", "segmentation": "seg", "hemisphere": "hemi"}
_SIDES = {"l": LEFT, "lh": LEFT, "left": LEFT, "r": RIGHT, "rh": RIGHT, "right": RIGHT}
_THALAMUS = {1: LEFT, 2: RIGHT}


def find(name: str, root: Path, place: Place, wanted: Mapping[str, object]) -> list[Finished]:
    """Search the thalamus labels of one anchor.

    Accepted are a ``_dseg`` whose ``dseg.tsv`` names left and right thalamus, that has
    ``seg-thalamus`` (1 left, 2 right) or FreeSurfer's labels (``desc-aseg``, ``desc-aparcaseg``);
    and two ``_mask`` whose ``label-`` names the thalamus, and that or ``hemi-`` the side.

    Parameters
    ----------
    name : str
        Name under which the dataset was given.
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
    result = partial(
        Finished,
        dataset=name,
        root=root,
        method=method_name(name),
        contrast=place.scan.contrast,
    )
    candidates: list[tuple[int, Finished]] = []
    masks: dict[tuple[int, str], dict[int, Path]] = defaultdict(dict)
    for path, count in _suitable(root, place, wanted):
        entities, suffix = parse_name(path.name)
        side = _side(entities)
        if suffix == "mask" and side is not None:
            shared = {key: label for key, label in entities.items() if key not in ("hemi", "label")}
            # Both sides of a pair agree in all other entities.
            masks[count, str(shared)][side] = path
        labels = _labels(path, root, entities, selected=bool(wanted)) if suffix == "dseg" else None
        if labels is not None:
            in_anchor_space = entities.get("space") == place.scan.contrast
            item = result(paths=(path,), in_anchor_space=in_anchor_space, labels=(labels,))
            candidates.append((count, item))
    candidates += [
        (count, result(paths=(sides[LEFT], sides[RIGHT]), labels=({1: LEFT}, {1: RIGHT})))
        for (count, _), sides in masks.items()
        if len(sides) == 2
    ]
    return best(candidates)


def _suitable(root: Path, place: Place, wanted: Mapping[str, object]) -> Iterator[tuple[Path, int]]:
    """List label images of the anchor that pass the filters, each with its agreement."""
    filters = {_SHORT.get(key, key): _texts(value) for key, value in wanted.items()}
    spaces = (None, "orig", place.scan.contrast)
    for path in _images(root, place):
        entities = parse_name(path.name).entities
        count = place.agreement(entities_of(path, root), place.scan.contrast)
        fits = all(entities.get(key) in values for key, values in filters.items())
        if count is not None and fits and entities.get("space") in spaces:
            yield path, count


def thalamus_names(table: Path) -> dict[int, int]:
    """Read the labels of a table whose names contain the thalamus and a side.

    Parameters
    ----------
    table : Path
        TSV with the columns ``index`` and ``name``.

    Returns
    -------
    dict of int to int
        Labels to 1 (left) and 2 (right).
    """
    labels = {}
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
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
    """Return the side of a mask of the thalamus; None for other masks.

    Examples
    --------
    >>> _side({"label": "RThal"}), _side({"label": "thalamus", "hemi": "L"}), _side({"label": "GM"})
    (2, 1, None)
    """
    label = entities.get("label", "")
    # label-thalamusL, label-LThal, label-leftThalamus
    parts = re.fullmatch(
        r"(left|right|lh|rh|l|r)?(?i:thal(?:amus)?)(left|right|lh|rh|l|r)?", label, re.I
    )
    if parts is None:
        return None
    return _SIDES.get((entities.get("hemi") or parts[1] or parts[2] or "").lower())


def _labels(
    path: Path, root: Path, entities: Mapping[str, str], *, selected: bool
) -> Mapping[int, int] | None:
    """Return what the labels of a segmentation become; None if they are not known to be thalami."""
    # The table of the image itself, then those of the whole dataset, the most specific first.
    stem = path.name.partition(".nii")[0]
    stems = [f"{key}-{entities[key]}_" for key in ("seg", "desc") if key in entities]
    names = ["".join(stems), *stems, ""]
    tables = [path.with_name(f"{stem}.tsv"), *(root / f"{text}dseg.tsv" for text in names)]
    for table in tables:
        if table.is_file():
            labels = thalamus_names(table)
            if labels:
                return labels
    if entities.get("seg") == "thalamus":
        return _THALAMUS
    freesurfer = {entities.get("desc"), entities.get("seg")} & {"aseg", "aparcaseg"}
    return FREESURFER_LABELS if freesurfer or selected else None
