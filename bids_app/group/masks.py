"""Masks of a cohort compared with one another and the reference, one scan at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.dataset.images import read_labels, read_volume
from bids_app.derivatives import names
from bids_app.derivatives.readback import on_scan_grid
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.group.cohort import SCAN
from bids_app.group.reference import find_reference, read_reference
from bids_app.images.geometry import apply_affine, bounding_box, same_grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.run.resources import available_processors
from bids_app.segmentation.sides import LEFT, RIGHT
from bids_app.statistics.calibration import boundary_curve
from bids_app.statistics.overlap import containment_matrix, overlap_table

RESAMPLED = "reference resampled (nearest neighbour)"
WITHOUT_SIDES = "reference without sides: compared for both thalami only"
PARTLY_OUTSIDE = "reference partly outside of the scan"
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


def overlap_with_reference(
    volumes: pd.DataFrame, output_dir: Path, reference_dir: Path
) -> tuple[pd.DataFrame, list[str]]:
    """Compare every mask with the reference labels of its scan, one scan in memory at a time.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan, method and contrast.
    output_dir : Path
        Holds the masks.
    reference_dir : Path
        Derivatives dataset with the reference labels.

    Returns
    -------
    overlap : DataFrame
        One row per scan, segmentation and side (left, right, bilateral): overlap, surface
        distances in mm and both volumes in mL.
    problems : list of str
        Masks and references that could not be used, and why.
    """
    compared: list[dict[Hashable, Any]] = []
    problems: list[str] = []
    # Reading and surface distances release Python's global lock.
    with ThreadPoolExecutor(available_processors()) as pool:
        for rows, reference in _with_reference(on_scan_grid(volumes), reference_dir, problems):
            reference_ml = _volumes_ml(reference.data, reference.voxel_volume)
            compare = partial(
                _compare, output_dir=output_dir, reference=reference, reference_ml=reference_ml
            )
            for sides, problem in pool.map(compare, rows.to_dict("records")):
                compared += sides
                problems += [problem] if problem else []
    if not compared and not problems:
        problems.append(_no_reference(reference_dir))
    return pd.DataFrame(compared), problems


def labelled_scans(volumes: pd.DataFrame, output_dir: Path, reference_dir: Path) -> LabelledScans:
    """Pair measured volumes with those of the reference, also at other probability thresholds.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan, method and contrast.
    output_dir : Path
        Holds the probabilities.
    reference_dir : Path
        Derivatives dataset with the reference labels.

    Returns
    -------
    LabelledScans
    """
    tables: list[pd.DataFrame] = []
    inside: dict[Hashable, npt.NDArray[np.float64]] = {}
    dice: dict[Hashable, npt.NDArray[np.float64]] = {}
    problems: list[str] = []
    for rows, reference in _with_reference(volumes, reference_dir, problems):
        reference_ml = _volumes_ml(reference.data, reference.voxel_volume)["bilateral"]
        tables.append(rows.assign(reference_ml=reference_ml))
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
                labels, probabilities = _together(reference, both)
            except ThalbidsError as error:
                problems.append(f"{row['scan']}: {error}")
                tables.pop()
                break
            voxels, dice[index] = boundary_curve(probabilities, labels, THRESHOLDS)
            inside[index] = voxels * both.voxel_volume / 1000
    if not tables and not problems:
        problems.append(_no_reference(reference_dir))
    pairs = pd.concat(tables) if tables else pd.DataFrame()
    within, overlaps = (
        pd.DataFrame.from_dict(each, orient="index", columns=list(THRESHOLDS)).reindex(pairs.index)
        for each in (inside, dice)
    )
    return LabelledScans(pairs, within, overlaps, tuple(problems))


def containment_matrices(
    volumes: pd.DataFrame, output_dir: Path, problems: list[str], resampled: list[str]
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

    Yields
    ------
    DataFrame
        See `bids_app.statistics.overlap.containment_matrix`.
    """
    for _, rows in volumes.groupby(SCAN, sort=False, dropna=False):
        masks: dict[str, npt.NDArray[Any]] = {}
        grid: Volume | None = None
        for row in rows.to_dict("records"):
            try:
                mask = _read_mask(output_dir, row)
            except ThalbidsError as error:
                problems.append(f"{row['scan']}: {error}")
                continue
            grid = grid or mask
            if not same_grid(mask.grid, grid.grid):
                resampled.append(f"{row['scan']} {row['segmentation']}")
            masks[str(row["segmentation"])] = _on_grid(mask, grid)
        if len(masks) > 1:
            cropped = _crop(*masks.values())
            yield containment_matrix(
                {name: labels > 0 for name, labels in zip(masks, cropped, strict=True)}
            )


def _with_reference(
    volumes: pd.DataFrame, reference_dir: Path, problems: list[str]
) -> Iterator[tuple[pd.DataFrame, Volume]]:
    """Yield the rows of each scan that has a reference, with its labels."""
    for keys, rows in volumes.groupby(SCAN, sort=False, dropna=False):
        scan = str(keys[2])
        try:
            path = find_reference(reference_dir, scan)
            if path is not None:
                yield rows, read_reference(path, reference_dir)
        except ThalbidsError as error:
            problems.append(f"{scan}: {error}")


def _no_reference(reference_dir: Path) -> str:
    return (
        f"{reference_dir} holds no reference for any scan: searched "
        "sub-*/[ses-*/]anat/*_dseg.nii[.gz]."
    )


def _read_mask(output_dir: Path, row: Mapping[Hashable, Any]) -> Volume:
    return read_labels(output_dir / names.segmentation_of_row(row))


def _compare(
    row: Mapping[Hashable, Any],
    output_dir: Path,
    reference: Volume,
    reference_ml: Mapping[str, float],
) -> tuple[list[dict[Hashable, Any]], str]:
    """Compare a mask with its reference, left, right and both; or report why it is not possible."""
    try:
        mask = _read_mask(output_dir, row)
    except ThalbidsError as error:
        return [], f"{row['scan']}: {error}"
    try:
        labels, measured = _crop(*_together(reference, mask))
    except ThalbidsError as error:
        return [], f"{row['scan']}: {error}"
    identity = {key: row[key] for key in [*SCAN, "segmentation"]}
    table = overlap_table(labels, measured, mask.voxel_size.tolist())
    sides = table["side"]
    resampled = not same_grid(reference.grid, mask.grid)
    notes = {
        RESAMPLED: resampled,
        PARTLY_OUTSIDE: resampled and _share_inside(reference, mask) < 1,
        WITHOUT_SIDES: "left" not in set(sides),
    }
    table = table.assign(
        method_ml=sides.map(_volumes_ml(measured, mask.voxel_volume)),
        # Resampling changes volumes; the labels as they were drawn count.
        reference_ml=sides.map(reference_ml),
        note="; ".join(note for note, applies in notes.items() if applies),
    )
    return [identity | side for side in table.to_dict("records")], ""


def _on_grid(labels: Volume, grid: Volume) -> npt.NDArray[Any]:
    if same_grid(labels.grid, grid.grid):
        return labels.data
    return resample(labels, grid.grid, order=0).astype(np.uint8)


def _crop(*images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Crop images to the box that holds all labels: a hundredth of a head."""
    boxes = [bounding_box(image) for image in images if image.any()]
    # The box of all labels holds that of each image, which is found without combining images.
    box = tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )
    return [image[box] for image in images]


def _volumes_ml(labels: npt.NDArray[Any], voxel_volume: float) -> dict[str, float]:
    masks = {"left": labels == LEFT, "right": labels == RIGHT, "bilateral": labels > 0}
    return {
        side: float(np.count_nonzero(mask)) * voxel_volume / 1000 for side, mask in masks.items()
    }


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
