"""Regions of a thalamus: the whole, its rim and core, and quarters along its own axis."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import AffineArray, apply_affine
from bids_app.images.resampling import FloatArray
from bids_app.segmentation.sides import LEFT, RIGHT

_QUARTERS = 4


class Region(StrEnum):
    """A part of one thalamus."""

    WHOLE = "whole"
    CORE = "core"
    RIM = "rim"
    QUARTER1 = "quarter1"
    QUARTER2 = "quarter2"
    QUARTER3 = "quarter3"
    QUARTER4 = "quarter4"


_OF_THE_AXIS = (Region.QUARTER1, Region.QUARTER2, Region.QUARTER3, Region.QUARTER4)


def regions(
    dseg: npt.NDArray[np.uint8], probseg: FloatArray, affine: AffineArray
) -> Iterator[tuple[int, Region, FloatArray]]:
    """Divide both thalami into regions.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        1 left, 2 right.
    probseg : (X, Y, Z, 2) float32
        Probability of the left and the right thalamus: the share of a voxel that counts.
    affine : (4, 4) float64
        Voxels to world coordinates (mm); the second one increases towards anterior.

    Yields
    ------
    side : int
        1 left, 2 right.
    region : Region
        The rim is the outer layer of voxels of the labels, the core what it encloses. Quarters
        have equal volumes and follow one another along the longest axis of the thalamus, from
        anterior to posterior.
    share : (X, Y, Z) float32
        Share of every voxel that belongs to the region.
    """
    from scipy.ndimage import binary_erosion

    for channel, side in enumerate((LEFT, RIGHT)):
        labelled = dseg == side
        share = np.asarray(probseg[..., channel], dtype=np.float32)
        yield side, Region.WHOLE, share
        inner = binary_erosion(labelled)
        yield side, Region.CORE, share * inner
        yield side, Region.RIM, share * (labelled & ~inner)
        quarter = _quarters(share, affine)
        for number, region in enumerate(_OF_THE_AXIS):
            yield side, region, np.where(quarter == number, share, np.float32(0))


def _quarters(share: FloatArray, affine: AffineArray) -> npt.NDArray[np.int8]:
    """Assign its quarter to every voxel, from 0 (anterior); -1 where there is no thalamus."""
    numbers = np.full(share.shape, -1, dtype=np.int8)
    voxels = np.nonzero(share)
    if len(voxels[0]) < _QUARTERS:
        return numbers
    weights = share[voxels].astype(np.float64)
    position = apply_affine(affine, np.array(voxels, dtype=np.float64))
    position -= np.average(position, axis=1, weights=weights)[:, None]
    # The eigenvector of the largest eigenvalue is the longest axis.
    axis = np.linalg.eigh((position * weights) @ position.T)[1][:, -1]
    along = (axis if axis[1] < 0 else -axis) @ position
    order = np.argsort(along, kind="stable")
    filled = np.cumsum(weights[order]) - weights[order] / 2
    quarter = np.empty(len(order), dtype=np.int8)
    quarter[order] = np.minimum(_QUARTERS * filled / weights.sum(), _QUARTERS - 1).astype(np.int8)
    numbers[voxels] = quarter
    return numbers
