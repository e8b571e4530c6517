"""Reading masks of a cohort one scan at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.dataset.cohort import SCAN
from bids_app.dataset.images import read_volume
from bids_app.dataset.outputs import dseg_path, on_scan_grid
from bids_app.dataset.reference import find_reference, read_reference
from bids_app.errors import ThalbidsError
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, same_grid
from bids_app.segmentation.result import LEFT, RIGHT
from bids_app.statistics.overlap import containment_matrix, overlap_table

RESAMPLED = "reference resampled (nearest neighbour)"


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
    for keys, rows in on_scan_grid(volumes).groupby(SCAN, sort=False, dropna=False):
        scan = str(keys[2])
        try:
            path = find_reference(reference_dir, scan)
            if path is None:
                continue
            reference = read_reference(path, reference_dir)
        except ThalbidsError as error:
            problems.append(f"{scan}: {error}")
            continue
        for row in rows.to_dict("records"):
            try:
                mask = _read_mask(output_dir, row)
            except ThalbidsError as error:
                problems.append(f"{scan}: {error}")
            else:
                compared += _compare(row, mask, reference)
    if not compared and not problems:
        problems.append(
            f"{reference_dir} holds no reference for any scan: searched "
            "sub-*/[ses-*/]anat/*_dseg.nii[.gz]."
        )
    return pd.DataFrame(compared), problems


def containment_matrices(
    volumes: pd.DataFrame, output_dir: Path, problems: list[str], resampled: list[str]
) -> Iterator[pd.DataFrame]:
    """Yield the containment of the masks of each scan in one another.

    Masks on another grid than the first one of their scan are resampled (nearest neighbour).

    Parameters
    ----------
    volumes : DataFrame
        One row per scan and segmentation.
    output_dir : Path
        Holds the masks.
    problems : list of str
        Masks that cannot be read are added here.
    resampled : list of str
        Scan and segmentation of masks that had to be resampled are added here.

    Yields
    ------
    DataFrame
        See `bids_app.statistics.overlap.containment_matrix`.
    """
    for _, rows in on_scan_grid(volumes).groupby(SCAN, sort=False, dropna=False):
        masks: dict[str, npt.NDArray[Any]] = {}
        grid: Volume | None = None
        for row in rows.to_dict("records"):
            try:
                mask = _read_mask(output_dir, row)
            except ThalbidsError as error:
                problems.append(f"{row['scan']}: {error}")
                continue
            grid = grid or mask
            if not same_grid(mask, grid):
                resampled.append(f"{row['scan']} {row['segmentation']}")
            masks[str(row["segmentation"])] = _on_grid(mask, grid)
        if len(masks) > 1:
            cropped = _crop(*masks.values())
            yield containment_matrix(
                {name: labels > 0 for name, labels in zip(masks, cropped, strict=True)}
            )


def _read_mask(output_dir: Path, row: Mapping[Hashable, Any]) -> Volume:
    return read_volume(output_dir / dseg_path(row), may_be_constant=True)


def _compare(
    row: Mapping[Hashable, Any], mask: Volume, reference: Volume
) -> list[dict[Hashable, Any]]:
    """Overlap of one mask with its reference, for left, right and both."""
    labels, measured = _crop(_on_grid(reference, mask), mask.data)
    identity = {key: row[key] for key in [*SCAN, "segmentation"]}
    table = overlap_table(labels, measured, mask.voxel_size.tolist())
    table = table.assign(
        method_ml=_volumes_ml(measured, mask.voxel_volume),
        reference_ml=_volumes_ml(labels, mask.voxel_volume),
        note="" if same_grid(reference, mask) else RESAMPLED,
    )
    return [identity | side for side in table.to_dict("records")]


def _on_grid(labels: Volume, grid: Volume) -> npt.NDArray[Any]:
    if same_grid(labels, grid):
        return labels.data
    return resample(labels, grid.data.shape, grid.affine, order=0).astype(np.uint8)


def _crop(*images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Crop images to the box that holds all labels: a hundredth of a head, done quickly."""
    box: list[slice] = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.logical_or.reduce([image.any(axis=others) for image in images])
        places = np.flatnonzero(filled)
        box.append(slice(places[0], places[-1] + 1) if places.size else slice(0, 1))
        # Each axis leaves less for the next one to look at.
        images = tuple(image[(slice(None),) * axis + (box[-1],)] for image in images)
    return list(images)


def _volumes_ml(labels: npt.NDArray[Any], voxel_volume: float) -> list[float]:
    left, right = (
        float(np.count_nonzero(labels == side)) * voxel_volume / 1000 for side in (LEFT, RIGHT)
    )
    return [left, right, left + right]
