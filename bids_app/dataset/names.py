"""Names of BIDS files: entities and suffix, and which scan a label image belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from bids_app.contrasts import CONTRASTS

# Entities that distinguish the scans of one session, in the order of BIDS names.
SCAN_ENTITIES = (
    *("sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec", "dir", "run"),
    *("mod", "echo", "flip", "inv", "mt", "part", "proc", "chunk"),
)
# All entities by which a label image names its scan.
LABEL_ENTITIES = ("sub", "ses", *SCAN_ENTITIES)
# By these differ the images of one quantitative acquisition, of which one is measured.
SERIES_ENTITIES = ("echo", "flip", "inv", "mt", "part")
# A label, as a regular expression; a plus sign joins its parts since BIDS 1.11.
LABEL = "[0-9a-zA-Z+]+"

# All entities in the order of names; others follow them.
_ORDER = (
    *LABEL_ENTITIES[:-1],
    *("hemi", "space", "split", "recording", "chunk"),
    *("atlas", "seg", "scale", "res", "den", "label", "desc"),
)
_PLACES = {key: place for place, key in enumerate(_ORDER)}
# Entities of a scan that BIDS allows in the name of a result, and more of them by suffix.
_KEPT = frozenset({"sub", "ses", "task", "acq", "ce", "rec", "run", "chunk"})
_KEPT_BY_SUFFIX = {
    "VFA": ("echo", "part", "flip"),
    **dict.fromkeys(("MEGRE", "MESE"), ("echo", "part")),
    **dict.fromkeys(("MPM", "MTS"), ("echo", "part", "flip", "mt")),
    **dict.fromkeys(("T1w", "FLAIR", "T2w", "mask", "dseg", "probseg", "xfm"), ("echo", "part")),
}
# Entities that BIDS requires, as the image that is measured has them if its name lacks them:
# the first echo without MT pulse.
_REQUIRED = {
    "MPM": {"flip": "1", "mt": "off"},
    "MTS": {"flip": "1", "mt": "off"},
    "VFA": {"flip": "1"},
    "MEGRE": {"echo": "1"},
    "MESE": {"echo": "1"},
}
# Labels that BIDS has for an entity.
_LABELS = {"mt": ("on", "off"), "part": ("mag", "phase", "real", "imag")}
# Their labels are numbers, with or without leading zeros.
_INDICES = frozenset({"run", "echo", "flip", "inv", "split", "chunk"})
_ENTITY = re.compile(rf"(?:^|_)([a-z]+)-({LABEL})")

T = TypeVar("T")


class BIDSName(NamedTuple):
    """Parts of the name of a BIDS file.

    Attributes
    ----------
    entities : dict of str to str
        Short entity names and labels, in the order of the name.
    suffix : str
        Empty if the name ends with an entity.
    """

    entities: dict[str, str]
    suffix: str


def parse_name(name: str) -> BIDSName:
    """Split the name of a BIDS file or folder into entities and suffix.

    Parameters
    ----------
    name : str
        With or without extension; everything after the first full stop is ignored.

    Examples
    --------
    >>> parse_name("sub-01_echo-1_MPM.nii.gz")
    BIDSName(entities={'sub': '01', 'echo': '1'}, suffix='MPM')
    >>> parse_name("sub-01_ses-02")
    BIDSName(entities={'sub': '01', 'ses': '02'}, suffix='')
    >>> parse_name("dseg.tsv")
    BIDSName(entities={}, suffix='dseg')
    """
    stem = name.partition(".")[0]
    last = stem.rpartition("_")[2]
    return BIDSName(dict(_ENTITY.findall(stem)), "" if "-" in last else last)


def in_order(name: str) -> str:
    """Put the entities of a name into the order of BIDS.

    Parameters
    ----------
    name : str
        Parts joined by underscores, the last one a suffix. Parts that are no entities of BIDS
        follow those that are.

    Examples
    --------
    >>> in_order("sub-01_run-1_chunk-2_echo-1_space-T1w_T1w.nii.gz")
    'sub-01_run-1_echo-1_space-T1w_chunk-2_T1w.nii.gz'
    """
    *parts, last = name.split("_")
    return "_".join([*sorted(parts, key=_place), last])


def ordered(entities: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Put entities into the order of BIDS.

    Examples
    --------
    >>> ordered({"sub": "01", "run": "1", "ses": "02"})
    (('sub', '01'), ('ses', '02'), ('run', '1'))
    """
    return tuple(sorted(entities.items(), key=lambda item: _place(item[0])))


def natural(name: str | None) -> tuple[tuple[int, str], ...]:
    """Make a sort key by which run 2 comes before run 10.

    Examples
    --------
    >>> sorted(["sub-01_run-10_T1w", "sub-01_run-2_T1w"], key=natural)
    ['sub-01_run-2_T1w', 'sub-01_run-10_T1w']
    """
    parts = re.findall(r"\d+|\D+", name or "")
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def _place(part: str) -> int:
    return _PLACES.get(part.partition("-")[0], len(_ORDER))


def of_result(entities: Mapping[str, str], suffix: str, scan: str) -> dict[str, str]:
    """Select the entities that name a result of a scan.

    Parameters
    ----------
    entities : mapping of str to str
        From the name of the scan.
    suffix, scan : str
        Suffixes of result and scan.

    Returns
    -------
    dict of str to str
        Those that BIDS allows with the suffix, and those that it requires. Others become part of
        ``acq``, so that scans that differ in them have results of their own, as do labels that are
        no numbers where BIDS has numbers; a T1-weighted image of a quantitative acquisition is the
        only one measured, and by its series it is not named.

    Examples
    --------
    >>> scan = {"sub": "01", "echo": "1", "flip": "2", "mt": "off"}
    >>> of_result(scan, "dseg", "MPM")
    {'sub': '01'}
    >>> of_result(scan, "MPM", "MPM") == scan
    True
    >>> of_result({"sub": "01", "acq": "mpr", "echo": "1"}, "R1map", "T1w")
    {'sub': '01', 'acq': 'mprEcho1'}
    >>> of_result({"sub": "01", "run": "a"}, "MTS", "MTS")
    {'flip': '1', 'mt': 'off', 'sub': '01', 'acq': 'Runa'}
    """
    contrast = CONTRASTS.get(scan)
    is_series = contrast is not None and contrast.series and suffix != scan
    kept = {*_KEPT, *_KEPT_BY_SUFFIX.get(suffix, ())}
    result, joined = {}, ""
    for key, label in entities.items():
        if is_series and key in SERIES_ENTITIES:
            continue
        if key in kept and _is_valid(key, label):
            result[key] = label
        else:
            joined += key.capitalize() + label
    if joined:
        result["acq"] = result.get("acq", "") + joined
    return {**_REQUIRED.get(suffix, {}), **result}


def _is_valid(key: str, label: str) -> bool:
    """Whether BIDS has a label for an entity."""
    return label.isdecimal() if key in _INDICES else label in _LABELS.get(key, (label,))


def comparable(entities: Mapping[str, str]) -> dict[str, str]:
    """Write indices without leading zeros, so that ``inv-01`` equals ``inv-1``.

    Examples
    --------
    >>> comparable({"acq": "01", "inv": "01", "run": "0"})
    {'acq': '01', 'inv': '1', 'run': '0'}
    """
    return {
        key: str(int(label)) if key in _INDICES and label.isdecimal() else label
        for key, label in entities.items()
    }


def entities_of(path: Path, root: Path) -> dict[str, str]:
    """Collect the entities of a path below a folder.

    Parameters
    ----------
    path : Path
        File or folder; its own name takes precedence over the folders above.
    root : Path
        Names of this folder and of those above are ignored.

    Examples
    --------
    >>> entities_of(Path("/out/sub-01/ses-02/anat/sub-01_run-1_dseg.nii.gz"), Path("/out"))
    {'sub': '01', 'ses': '02', 'run': '1'}
    """
    entities: dict[str, str] = {}
    for part in path.relative_to(root).parts:
        entities |= parse_name(part).entities
    return entities


def agreement(
    labels: Mapping[str, str],
    scan: Mapping[str, str],
    keys: Iterable[str] = LABEL_ENTITIES,
) -> int | None:
    """Count the entities in which a label image agrees with a scan.

    Parameters
    ----------
    labels, scan : mapping of str to str
        Entities of both. An entity that the label image does not name contradicts nothing.
    keys : iterable of str
        Entities that are compared.

    Returns
    -------
    int or None
        None if the label image names an entity differently: it belongs to another scan.

    Examples
    --------
    >>> scan = parse_name("sub-01_ses-01_run-2_T1w").entities
    >>> agreement(parse_name("sub-01_ses-01_run-2_seg-thalamus_dseg").entities, scan)
    3
    >>> agreement(parse_name("sub-01_ses-01_dseg").entities, scan)
    2
    >>> agreement(parse_name("sub-01_ses-01_run-1_dseg").entities, scan) is None
    True
    """
    named, present = comparable(labels), comparable(scan)
    shared = [key for key in keys if key in named]
    if any(named[key] != present.get(key) for key in shared):
        return None
    return len(shared)


def closest(candidates: Iterable[tuple[int | None, T]]) -> list[T]:
    """Select the candidates with the highest agreement.

    Parameters
    ----------
    candidates : iterable of (int or None, object)
        Each with its `agreement`; those without any are excluded.

    Returns
    -------
    list of object
        Several if they agree equally well, in the order given.

    Examples
    --------
    >>> closest([(2, "sub-01_dseg"), (3, "sub-01_run-1_dseg"), (None, "sub-02_dseg")])
    ['sub-01_run-1_dseg']
    """
    matching = [(count, item) for count, item in candidates if count is not None]
    highest = max((count for count, _ in matching), default=0)
    return [item for count, item in matching if count == highest]
