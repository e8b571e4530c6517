"""One segmentation for all scans of a subject, propagated to each by its deformation.

Independent segmentations of several scans differ where the border of the thalamus is not visible.
The mean of all, propagated to every scan by a deformation that follows the visible edges, changes
only as the tissue does.

The volume of the thalamus in a scan is that of the mean segmentation times the mean of the
Jacobian determinant over its labels, which is the flow through the border at a probability of one
half. Probabilities spread the border over all places where it may lie, but tissue moves most where
it does lie: averaged over them all, the flow would be too small, by 5 % of a simulated loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bids_app.alignment.deformation import deform_to_mean, relative_volume, shared_mask
from bids_app.images.geometry import Box, Grid, bounding_box, extent
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume
from bids_app.segmentation.labels import labels_of
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT, RIGHT

# Tissue around the thalami (mm) whose edges show how they have moved.
_AROUND = 20.0
# Fixed-point steps that invert a deformation; each leaves a tenth of the error or less.
_INVERSION_STEPS = 8


def make_consistent(
    results: Sequence[Segmentation],
    contrasts: Sequence[Sequence[Volume]],
    *,
    threads: int = 1,
) -> list[Segmentation]:
    """Give every visit of a subject the mean segmentation of all, deformed as its tissue is.

    Parameters
    ----------
    results : sequence of Segmentation
        One for each visit, by one method.
    contrasts : sequence of sequence of Volume
        For each contrast that the segmentations were made on, one image a visit, (X, Y, Z). All are
        rigidly aligned and lie on one grid along the world axes.
    threads : int
        Visits that are computed at a time; their number does not change the result.

    Returns
    -------
    list of Segmentation
        With new labels, probabilities and soft volumes; everything else is that of each visit. The
        order of the visits makes no difference.

    Raises
    ------
    BadDataError
        If fewer than two visits are given.
    """
    first = contrasts[0][0]
    affine = first.affine
    brain = shared_mask([Volume(result.brain_mask, affine) for result in results])
    # The deformation is computed around the thalami only.
    low, high = extent(np.any([result.dseg for result in results], axis=0), affine)
    deformed = deform_to_mean(contrasts, brain, low - _AROUND, high + _AROUND, threads=threads)
    # Probabilities are interpolated where any visit has some.
    box = bounding_box(np.any([result.probseg.any(-1) for result in results], axis=0))
    grid = first.grid.crop(box)
    shifts = [_in_voxels(field, grid) for field in deformed.displacements]
    probabilities = [np.moveaxis(result.probseg[box], -1, 0) for result in results]
    mean: FloatArray = np.mean(
        [_moved(each, shift) for each, shift in zip(probabilities, shifts, strict=True)], axis=0
    )
    volumes = mean.sum((1, 2, 3), dtype=np.float64) * first.voxel_volume
    labels = labels_of(np.moveaxis(mean, 0, -1))
    return [
        _with_thalami(result, box, _moved(mean, _inverted(shift)), volumes * _growth(labels, shift))
        for result, shift in zip(results, shifts, strict=True)
    ]


def _growth(labels: npt.NDArray[np.uint8], shift: FloatArray) -> npt.NDArray[np.float64]:
    """Average the Jacobian determinant over each thalamus, (2,); 1 where there is none."""
    jacobian = relative_volume(shift)
    inside = [jacobian[labels == side] for side in (LEFT, RIGHT)]
    return np.array([each.mean(dtype=np.float64) if each.size else 1.0 for each in inside])


def _with_thalami(
    result: Segmentation,
    box: Box,
    probabilities: FloatArray,
    volumes: npt.NDArray[np.float64],
) -> Segmentation:
    """Replace the thalami by the probabilities (2, X, Y, Z) within a box, of volumes (2,)."""
    probseg = np.zeros_like(result.probseg)
    # Three digits are more precise than any method, and compress well.
    probseg[box] = np.moveaxis(np.round(probabilities, 3), 0, -1)
    dseg = np.zeros_like(result.dseg)
    dseg[box] = labels_of(probseg[box])
    return replace(result, dseg=dseg, probseg=probseg, soft_volumes=volumes)


def _in_voxels(field: Volume, grid: Grid) -> FloatArray:
    """Resample displacements on a grid along the world axes, in its voxels, (3, X, Y, Z)."""
    parts = [resample(Volume(part, field.affine), grid) for part in field.data]
    return np.stack(parts) / grid.affine[:3, :3].diagonal().astype(np.float32)[:, None, None, None]


def _moved(values: FloatArray, shift: FloatArray) -> FloatArray:
    """Interpolate values (C, X, Y, Z) from 0 to 1 at shifted places, by cubic splines."""
    from scipy.ndimage import map_coordinates

    places = np.indices(shift.shape[1:], dtype=np.float32) + shift
    moved = [map_coordinates(part, places, order=3, mode="nearest") for part in values]
    clipped: FloatArray = np.clip(np.stack(moved), 0, 1)
    return clipped


def _inverted(shift: FloatArray) -> FloatArray:
    """Invert a shift by fixed-point iteration."""
    from scipy.ndimage import map_coordinates

    index = np.indices(shift.shape[1:], dtype=np.float32)
    back = -shift
    for _ in range(_INVERSION_STEPS):
        back = -np.stack(
            [map_coordinates(part, index + back, order=1, mode="nearest") for part in shift]
        )
    return back
