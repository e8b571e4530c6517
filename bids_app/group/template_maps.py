"""Maps of the thalami of a group of participants in the space of a template."""

from __future__ import annotations

import tempfile
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_app.alignment.to_template import resampled
from bids_app.alignment.transforms import itk_text
from bids_app.dataset.images import read_volume
from bids_app.derivatives import names
from bids_app.derivatives.longitudinal_outputs import read_from_scan
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.images.geometry import Box, Grid, bounding_box, same_grid, widened
from bids_app.images.resampling import FloatArray
from bids_app.images.volume import Volume
from bids_app.report.shift_map import border_shift, border_weight

# Surroundings of the thalami in ICBM 152 space, mm.
_LOW, _HIGH = (-50.0, -70.0, -40.0), (50.0, 40.0, 50.0)
# Around the thalami of a participant, mm.
_MARGIN = 8.0

Row = Mapping[Hashable, Any]


@dataclass(frozen=True, eq=False)
class GroupMap:
    """A map of some participants around the thalami.

    Attributes
    ----------
    values : (X, Y, Z) float32
    n : int
        Participants.
    problems : tuple of str
        Results that could not be used.
    """

    values: FloatArray
    n: int
    problems: tuple[str, ...] = ()


def region_of(grid: Grid) -> Box:
    """Find the surroundings of the thalami on the grid of a template.

    Examples
    --------
    >>> affine = np.eye(4)
    >>> affine[:3, 3] = [-98, -134, -72]
    >>> region_of(Grid((197, 233, 189), affine))
    (slice(48, 149, None), slice(64, 175, None), slice(32, 123, None))
    """
    inverse = np.linalg.inv(grid.affine)
    ends = np.array([_LOW, _HIGH]).T
    low, high = np.sort(np.rint(inverse[:3, :3] @ ends + inverse[:3, 3:]), axis=1).T.astype(int)
    x, y, z = (
        slice(max(0, int(first)), min(n, int(last) + 1))
        for first, last, n in zip(low, high, grid.shape, strict=True)
    )
    return x, y, z


def mask_in_template(row: Row, template: str) -> str:
    """Name the labels of a row of a table of volumes in the space of a template."""
    return str(names.in_template(names.segmentation_of_row(row), template))


def frequency_map(rows: Iterable[Row], output_dir: Path, template: str, grid: Grid) -> GroupMap:
    """Compute in which share of the participants each voxel is thalamus.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of a table of volumes, one of each participant.
    output_dir : Path
    template : str
    grid : Grid
        Grid of the template.

    Returns
    -------
    GroupMap
        Shares, 0 to 1.
    """
    box, total, problems = region_of(grid), None, []
    for row in rows:
        path = output_dir / mask_in_template(row, template)
        try:
            labels = read_volume(path, may_be_constant=True)
            if not same_grid(labels.grid, grid):
                raise BadDataError(f"{path} is not on the grid of {template}. Measure it again.")
        except ThalbidsError as error:
            problems.append(str(error))
            continue
        inside = (labels.data[box] != 0).astype(np.float32)
        total = (inside, 1) if total is None else (total[0] + inside, total[1] + 1)
    if total is None:
        return GroupMap(np.zeros(grid.crop(box).shape, np.float32), 0, tuple(problems))
    return GroupMap(total[0] / np.float32(total[1]), total[1], tuple(problems))


def shift_map(
    pairs: Iterable[tuple[Row, Row]], output_dir: Path, template: str, grid: Grid
) -> GroupMap:
    """Compute the mean shift of the border of the thalami between two visits.

    Parameters
    ----------
    pairs : iterable of (mapping, mapping)
        Rows of the longitudinal volumes of the first visit and the follow-up of each participant.
    output_dir : Path
    template : str
    grid : Grid
        Grid of the template.

    Returns
    -------
    GroupMap
        In mm of the participants' heads, outward positive; NaN where fewer than half of them have
        their border.
    """
    region = grid.crop(region_of(grid))
    total = np.zeros(region.shape, np.float32)
    weight, n, problems = np.zeros_like(total), 0, []
    for first, later in pairs:
        try:
            shift, share = _shift_of(first, later, output_dir, template, region)
        except (ThalbidsError, ValueError) as error:
            problems.append(f"{first['scan']}: {error}")
            continue
        total += shift
        weight += share
        n += 1
    enough = weight >= max(n, 1) / 2
    mean = np.where(enough, total / np.where(enough, weight, 1), np.float32(np.nan))
    return GroupMap(mean.astype(np.float32), n, tuple(problems))


def _shift_of(
    first: Row, later: Row, output_dir: Path, template: str, region: Grid
) -> tuple[FloatArray, FloatArray]:
    """Bring the shift of one participant to the template: shift times weight, and weight."""
    labels = [names.segmentation_of_row(row) for row in (first, later)]
    masks = [read_volume(output_dir / path) for path in labels]
    if not same_grid(masks[0].grid, masks[1].grid):
        raise BadDataError("the masks of the two visits are not on one grid. Measure them again.")
    union = (masks[0].data != 0) | (masks[1].data != 0)
    spacing = masks[0].voxel_size
    margin = np.ceil(_MARGIN / spacing).astype(int).tolist()
    box = widened(bounding_box(union), margin, union.shape)
    before, after = (np.asarray(mask.data[box]) != 0 for mask in masks)
    weight = border_weight(before, after, spacing)
    shift = border_shift(before, after, spacing)
    affine = masks[0].grid.crop(box).affine
    scan = str(first["scan"])
    with tempfile.TemporaryDirectory(prefix="thalbids-") as folder:
        rigid = Path(folder) / "rigid.txt"
        rigid.write_text(itk_text(read_from_scan(output_dir, labels[0])), encoding="ascii")
        transforms = [output_dir / names.template_transform(scan, template), rigid]
        moved = [
            resampled(Volume(values, affine), region, transforms)
            for values in (shift * weight, weight)
        ]
    return moved[0], moved[1]
