"""Labels of programs on the grid of a scan: resampled, restricted to an envelope, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray, Grid, same_grid
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume
from bids_app.segmentation.sides import LEFT, RIGHT

Labels = npt.NDArray[np.uint8]

# Labels on a wrong grid, of another head or with exchanged sides hardly overlap the thalami that
# thalnet segments; masks of the right head by any method share most of their voxels.
_MIN_DICE = 0.1


def recoded(labels: Volume, table: Mapping[int, int]) -> Volume:
    """Keep those labels of a program that are of the thalami.

    Parameters
    ----------
    labels : Volume
        (X, Y, Z), any integer labels.
    table : mapping of int to int
        Labels to keep, and the values that they become.

    Returns
    -------
    Volume
        (X, Y, Z) uint8 on the same grid.
    """
    kept = np.zeros(labels.data.shape, dtype=np.uint8)
    for becomes in set(table.values()):
        values = [value for value, side in table.items() if side == becomes]
        kept[np.isin(labels.data, values)] = becomes
    return Volume(kept, labels.affine)


def placed(labels: Volume, grid: Grid, transform: AffineArray | None = None) -> Labels:
    """Bring labels onto the grid of an image, by their headers alone.

    Parameters
    ----------
    labels : Volume
        (X, Y, Z) uint8, any grid.
    grid : Grid
        Grid of the image.
    transform : (4, 4) float64 or None
        World coordinates of the grid to those of the labels, where these differ.

    Returns
    -------
    (X', Y', Z') uint8
        Nearest neighbour; voxel for voxel where the grids are the same.
    """
    return _on_grid(labels, grid, transform, order=0).astype(np.uint8, copy=False)


def placed_probabilities(
    sides: Sequence[Volume], grid: Grid, transform: AffineArray | None = None
) -> FloatArray:
    """Bring the probabilities of both thalami onto the grid of an image, by their headers alone.

    Parameters
    ----------
    sides : sequence of Volume
        (X, Y, Z) of the left and of the right thalamus.
    grid, transform
        As in `placed`.

    Returns
    -------
    (X', Y', Z', 2) float32
        Trilinear; voxel for voxel where the grids are the same.
    """
    placed_sides = [_on_grid(side, grid, transform, order=1) for side in sides]
    return np.stack(placed_sides, axis=-1).astype(np.float32)


def _on_grid(
    image: Volume, grid: Grid, transform: AffineArray | None, order: Literal[0, 1]
) -> npt.NDArray[np.generic]:
    if transform is not None:
        image = Volume(image.data, np.linalg.inv(transform) @ image.affine)
    if same_grid(image.grid, grid):
        return image.data
    return resample(image, grid, order=order)


def within_envelope(labels: Labels, envelope: Labels) -> Labels:
    """Restrict a label that is larger than the thalami (Ibrahim et al. 2026, section 2.6).

    Parameters
    ----------
    labels : (X, Y, Z) uint8
        Not 0 in the deep grey matter.
    envelope : (X, Y, Z) uint8
        1 and 2 in the left and right thalamus as another method segments them.

    Returns
    -------
    (X, Y, Z) uint8
        The label of the envelope where there is deep grey matter.
    """
    return np.where(labels != 0, envelope, 0).astype(np.uint8)


def check_place(dseg: Labels, expected: Labels) -> None:
    """Reject masks that do not lie where the thalami are.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Labels of a program.
    expected : (X, Y, Z) uint8
        Labels of thalnet.

    Raises
    ------
    BadDataError
        If a side is empty, or its Dice coefficient with the expected one is below 0.1.
    """
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        mask, other = dseg == side, expected == side
        if not mask.any():
            raise BadDataError(f"it contains no {name} thalamus.")
        overlap = 2 * np.count_nonzero(mask & other) / (mask.sum() + other.sum())
        if overlap < _MIN_DICE:
            raise BadDataError(
                f"its {name} thalamus does not match that of thalnet (Dice {overlap:.2f}): its "
                "grid is wrong, its sides are exchanged, or it belongs to another scan."
            )
