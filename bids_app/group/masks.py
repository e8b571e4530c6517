"""Masks of a cohort compared with one another and the reference, one scan at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.dataset.images import read_labels, read_volume
from bids_app.derivatives import names
from bids_app.derivatives.readback import on_scan_grid
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.group.cohort import SCAN
from bids_app.group.reference import Reference, References, pasted, volumes_ml
from bids_app.images.geometry import Box, Grid, apply_affine, bounding_box, same_grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.run.memory import keep_freed_memory
from bids_app.run.resources import available_processors
from bids_app.statistics.calibration import boundary_curve
from bids_app.statistics.overlap import containment_matrix, overlap_by_side

RESAMPLED = "reference resampled (nearest neighbour)"
WITHOUT_SIDES = "reference without sides: compared for both thalami only"
PARTLY_OUTSIDE = "reference partly outside of the scan"
_NOTES = (RESAMPLED, PARTLY_OUTSIDE, WITHOUT_SIDES)
# Columns that name a mask; the others of a cohort take longer to convert than masks to compare.
_OF_MASK = [*SCAN, "segmentation", "method", "contrast"]
# Reference labels with less than this share inside of the scan are not those of its head.
_LEAST_INSIDE = 0.5
# Probability thresholds that the calibration compares.
THRESHOLDS = tuple(percent / 100 for percent in range(10, 91, 2))


@dataclass(frozen=True)
class LabelledScans:
    """Volumes of scans that have a reference.

    Attributes
    ----------
    pairs : DataFrame
        One row per scan and segmentation: the measured volumes, and ``reference_ml``.
    volumes, dice : DataFrame
        Volume (mL) with a probability of at least each of `THRESHOLDS`, and its Dice coefficient
        with the reference; rows as in `pairs`, one column per threshold, NaN without probabilities.
    problems : tuple of str
        Images that could not be used, and why.
    """

    pairs: pd.DataFrame
    volumes: pd.DataFrame
    dice: pd.DataFrame
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ComparedMasks:
    """Masks of scans that have a reference, compared with it and with one another.

    Attributes
    ----------
    overlap : DataFrame
        One row per scan, segmentation and side (left, right, bilateral): overlap, surface
        distances in mm and both volumes in mL.
    problems : list of str
        Masks and references that could not be used, and why.
    containment : mapping of str to DataFrame
        Containment of the masks in one another, by scan of which all lie on one grid; see
        `bids_app.statistics.overlap.containment_matrix`.
    """

    overlap: pd.DataFrame
    problems: list[str]
    containment: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class _ComparedScan:
    """As `ComparedMasks`, of one scan."""

    scan: str
    sides: list[dict[Hashable, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    containment: pd.DataFrame | None = None


def overlap_with_reference(
    volumes: pd.DataFrame, output_dir: Path, references: References
) -> ComparedMasks:
    """Compare every mask with the reference labels of its scan and the other masks of the scan.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan, method and contrast.
    output_dir : Path
        Holds the masks.
    references : References
        Reference labels.

    Returns
    -------
    ComparedMasks
    """
    problems: list[str] = []
    compare = partial(_compare_scan, output_dir=output_dir)
    # Reading and surface distances release Python's global lock.
    with ThreadPoolExecutor(available_processors(), initializer=keep_freed_memory) as pool:
        running = [
            pool.submit(compare, rows.to_dict("records"), reference)
            for rows, reference in _with_reference(
                on_scan_grid(volumes)[_OF_MASK], references, problems
            )
        ]
        compared = [each.result() for each in running]
    sides = [side for each in compared for side in each.sides]
    problems += [problem for each in compared for problem in each.problems]
    if not sides and not problems:
        problems.append(_no_reference(references.folder))
    matrices = {each.scan: each.containment for each in compared if each.containment is not None}
    return ComparedMasks(pd.DataFrame(sides), problems, matrices)


def labelled_scans(
    volumes: pd.DataFrame, output_dir: Path, references: References
) -> LabelledScans:
    """Pair measured volumes with those of the reference, also at other probability thresholds.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan, method and contrast.
    output_dir : Path
        Holds the probabilities.
    references : References
        Reference labels.

    Returns
    -------
    LabelledScans
    """
    tables: list[pd.DataFrame] = []
    inside: dict[Hashable, npt.NDArray[np.float64]] = {}
    dice: dict[Hashable, npt.NDArray[np.float64]] = {}
    problems: list[str] = []
    for rows, reference in _with_reference(volumes, references, problems):
        tables.append(rows.assign(reference_ml=reference.ml["bilateral"]))
        for index, row in on_scan_grid(rows).to_dict("index").items():
            path = output_dir / names.probabilities(names.segmentation_of_row(row))
            if not path.is_file():
                continue
            try:
                sides = read_volume(path, may_be_constant=True, volumes=2)
            except ThalbidsError as error:
                problems.append(f"{row['scan']}: {error}")
                continue
            both = Volume(sides.data.sum(-1), sides.affine)
            try:
                labels, probabilities = _together(reference.image, both)
            except ThalbidsError as error:
                problems.append(f"{row['scan']}: {error}")
                tables.pop()
                break
            voxels, dice[index] = boundary_curve(probabilities, labels, THRESHOLDS)
            inside[index] = voxels * both.voxel_volume / 1000
    if not tables and not problems:
        problems.append(_no_reference(references.folder))
    pairs = pd.concat(tables) if tables else pd.DataFrame()
    within, overlaps = (
        pd.DataFrame.from_dict(each, orient="index", columns=list(THRESHOLDS)).reindex(pairs.index)
        for each in (inside, dice)
    )
    return LabelledScans(pairs, within, overlaps, tuple(problems))


def containment_matrices(
    volumes: pd.DataFrame,
    output_dir: Path,
    problems: list[str],
    resampled: list[str],
    computed: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Iterator[pd.DataFrame]:
    """Yield the containment of the masks of each scan in one another.

    Masks whose grid differs from that of the first one of their scan are resampled (nearest
    neighbour).

    Parameters
    ----------
    volumes : DataFrame
        One row per scan and segmentation, masks of one scan on its grid.
    output_dir : Path
        Holds the masks.
    problems : list of str
        Masks that cannot be read are added here.
    resampled : list of str
        Scan and segmentation of resampled masks are added here.
    computed : mapping of str to DataFrame
        Containment of masks that have been compared already, by scan.

    Yields
    ------
    DataFrame
        See `bids_app.statistics.overlap.containment_matrix`.
    """
    by_scan: dict[str, list[dict[Hashable, Any]]] = {}
    for row in volumes[_OF_MASK].to_dict("records"):
        by_scan.setdefault(row["scan"], []).append(row)
    for scan, rows in by_scan.items():
        names_of_scan = [str(row["segmentation"]) for row in rows]
        matrix = computed.get(scan)
        if matrix is not None and set(names_of_scan) <= set(matrix.index):
            if len(names_of_scan) > 1:
                yield matrix.loc[names_of_scan, names_of_scan]
            continue
        masks: dict[str, npt.NDArray[Any]] = {}
        grid: Volume | None = None
        for row in rows:
            try:
                mask = _read_mask(output_dir, row)
            except ThalbidsError as error:
                problems.append(f"{scan}: {error}")
                continue
            grid = grid or mask
            if not same_grid(mask.grid, grid.grid):
                resampled.append(f"{scan} {row['segmentation']}")
            masks[str(row["segmentation"])] = _on_grid(mask, grid)
        if len(masks) > 1:
            cropped = _crop(*masks.values())
            yield containment_matrix(
                {name: labels > 0 for name, labels in zip(masks, cropped, strict=True)}
            )


def _with_reference(
    volumes: pd.DataFrame, references: References, problems: list[str]
) -> Iterator[tuple[pd.DataFrame, Reference]]:
    """Yield the rows of each scan that has a reference, with its labels."""
    # Most scans have none; to divide the table by all of them would take longer than to search.
    places = volumes.groupby("scan", sort=False).indices
    for scan in volumes["scan"].unique().tolist():
        try:
            reference = references.of(scan)
        except ThalbidsError as error:
            problems.append(f"{scan}: {error}")
            continue
        if reference is not None:
            yield volumes.iloc[places[scan]], reference


def _no_reference(reference_dir: Path) -> str:
    return (
        f"{reference_dir} holds no reference for any scan: searched "
        "sub-*/[ses-*/]anat/*_dseg.nii[.gz]."
    )


def _read_mask(output_dir: Path, row: Mapping[Hashable, Any]) -> Volume:
    return read_labels(output_dir / names.segmentation_of_row(row))


def _compare_scan(
    rows: Sequence[Mapping[Hashable, Any]], reference: Reference, output_dir: Path
) -> _ComparedScan:
    """Compare the masks of a scan."""
    compared = _ComparedScan(str(rows[0]["scan"]))
    masks: dict[str, tuple[npt.NDArray[Any], Box]] = {}
    grids: list[Grid] = []
    for row in rows:
        try:
            mask = _read_mask(output_dir, row)
            labels: npt.NDArray[Any] = mask.data
            box = _occupied(labels)
            compared.sides.extend(_compare(row, mask, box, reference))
        except ThalbidsError as error:
            compared.problems.append(f"{compared.scan}: {error}")
        else:
            grids.append(mask.grid)
            if box is not None:
                masks[str(row["segmentation"])] = labels[box] > 0, box
    if len(masks) < max(len(rows), 2) or not all(same_grid(grids[0], grid) for grid in grids):
        return compared
    whole = _joined([box for _, box in masks.values()])
    return replace(
        compared,
        containment=containment_matrix(
            {name: pasted(part, box, whole) for name, (part, box) in masks.items()}
        ),
    )


def _compare(
    row: Mapping[Hashable, Any], mask: Volume, box: Box | None, reference: Reference
) -> list[dict[Hashable, Any]]:
    """Compare a mask with its reference, left, right and both.

    Raises
    ------
    BadDataError
        If the reference lies elsewhere.
    """
    notes = dict.fromkeys(_NOTES, False)
    if same_grid(reference.grid, mask.grid):
        whole = _joined([reference.box, *([] if box is None else [box])])
        labels, measured = pasted(reference.labels, reference.box, whole), mask.data[whole]
    else:
        image = reference.image
        labels, measured = _crop(*_together(image, mask))
        notes |= {RESAMPLED: True, PARTLY_OUTSIDE: _share_inside(image, mask) < 1}
    identity: dict[Any, Any] = {key: row[key] for key in [*SCAN, "segmentation"]}
    overlaps = overlap_by_side(labels, measured, mask.voxel_size.tolist())
    notes[WITHOUT_SIDES] = "left" not in overlaps
    method_ml = volumes_ml(measured, mask.voxel_volume)
    return [
        identity
        | {"side": side}
        | asdict(overlap)
        | {
            "method_ml": method_ml[side],
            # Resampling changes volumes; the labels as they were drawn count.
            "reference_ml": reference.ml[side],
            "note": "; ".join(note for note in _NOTES if notes[note]),
        }
        for side, overlap in overlaps.items()
    ]


def _on_grid(labels: Volume, grid: Volume) -> npt.NDArray[Any]:
    if same_grid(labels.grid, grid.grid):
        return labels.data
    return resample(labels, grid.grid, order=0).astype(np.uint8)


def _occupied(labels: npt.NDArray[Any]) -> Box | None:
    """Return the box of the labels; None if there is none."""
    box = bounding_box(labels)
    return box if labels[box].any() else None


def _joined(boxes: Sequence[Box]) -> Box:
    """Return the box that holds several."""
    x, y, z = (
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )
    return x, y, z


def _crop(*images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Crop images to the box that holds all labels: a hundredth of a head."""
    boxes = [box for box in map(_occupied, images) if box is not None]
    # The box of all labels holds that of each image, which is found without combining images.
    whole = _joined(boxes) if boxes else (slice(None),) * 3
    return [image[whole] for image in images]


def _together(reference: Volume, image: Volume) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Bring reference labels onto the grid of an image, extended by 0 to hold all of them.

    Raises
    ------
    BadDataError
        If most of them lie elsewhere.
    """
    if same_grid(reference.grid, image.grid):
        return reference.data, image.data
    share = _share_inside(reference, image)
    if share < _LEAST_INSIDE:
        raise BadDataError(
            f"{100 * (1 - share):.0f} % of the reference labels lie outside of the scan. Expected "
            "labels that were drawn on it; check their affine."
        )
    if share < 1:
        points = _indices(reference, image)
        low = np.minimum(np.floor(points.min(axis=1)).astype(int), 0)
        high = np.maximum(np.ceil(points.max(axis=1)).astype(int) + 1, image.data.shape)
        added = zip((-low).tolist(), (high - image.data.shape).tolist(), strict=True)
        affine = image.affine.copy()
        affine[:3, 3] = apply_affine(image.affine, low)
        image = Volume(np.pad(image.data, list(added)), affine)
    return _on_grid(reference, image), image.data


def _share_inside(reference: Volume, image: Volume) -> float:
    """Return the share of the reference's labelled voxels whose centres lie inside of an image."""
    points = _indices(reference, image)
    sizes = np.array(image.data.shape)[:, np.newaxis]
    return float(((points >= -0.5) & (points <= sizes - 0.5)).all(axis=0).mean())


def _indices(reference: Volume, image: Volume) -> npt.NDArray[np.float64]:
    """Return the positions of the reference's labelled voxels in voxels of an image, (3, N)."""
    to_image = np.linalg.inv(image.affine) @ reference.affine
    return apply_affine(to_image, np.argwhere(reference.data).T)
