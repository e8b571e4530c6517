"""Relative brain volumes of several scans of one subject, by Jacobian integration.

The Jacobian determinant of the deformation of each scan to the mean of all
(`bids_app.alignment.deformation`), integrated over the parenchyma of the mean, is the volume that
this parenchyma has in the scan. Swapping two scans swaps their volumes. The result depends on how
far the border of the parenchyma has moved; noise within the brain cancels out.

References
----------
Nakamura K, Guizard N, Fonov VS, et al. Jacobian integration method increases the statistical power
to measure gray matter atrophy in multiple sclerosis. NeuroImage: Clinical 2014;4:10-17.
doi:10.1016/j.nicl.2013.10.015
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bids_app.alignment.deformation import deform_to_mean, shared_mask
from bids_app.errors import BadDataError
from bids_app.images.geometry import extent
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

# Around the brain (mm).
_MARGIN = 10.0


def parenchyma_volumes(
    images: Sequence[Volume], brain_masks: Sequence[Volume], *, threads: int = 1
) -> npt.NDArray[np.float64]:
    """Measure the volume that the same parenchyma has in each of several scans of one subject.

    Parameters
    ----------
    images : sequence of Volume
        (X, Y, Z), two or more, rigidly aligned, on one grid along the world axes, of one contrast
        in which fluid is the darkest (T1w, FLAIR, R1).
    brain_masks : sequence of Volume
        Non-zero in the brain with ventricles and sulci, on the same grid.
    threads : int
        Visits that are computed at a time; their number does not change the result.

    Returns
    -------
    (N,) float64
        In mm³, independent of the order of the scans. Errors that the scans have in common, such
        as one of the mask, affect all volumes alike: only their ratios are meaningful.

    Raises
    ------
    BadDataError
        If fewer than two scans are given, or the masks do not overlap.
    """
    mask = shared_mask(brain_masks)
    # In the brain of more than half of the scans.
    inside = np.asarray(mask.data, dtype=np.float32) > 0.5
    if not inside.any():
        raise BadDataError("the brain masks do not overlap: there is no brain to measure.")
    low, high = extent(inside, mask.affine)
    deformed = deform_to_mean([images], mask, low - _MARGIN, high + _MARGIN, threads=threads)
    mean = np.asarray(deformed.mean.data, dtype=np.float32)
    brain = resample(mask, deformed.mean.grid)
    parenchyma = _tissue_share(mean, brain > 0.5) * brain
    volumes = [
        np.sum(parenchyma * deformed.jacobian(scan), dtype=np.float64)
        for scan in range(len(images))
    ]
    return np.array(volumes) * deformed.mean.voxel_volume


def percentage_change(first: float, later: float) -> float:
    """Compute the percentage brain volume change between two scans, in percent of the first."""
    return 100 * (later - first) / first


def _tissue_share(image: FloatArray, brain: npt.NDArray[np.bool_]) -> FloatArray:
    """Estimate the share of tissue (not fluid) in every voxel from its intensity.

    Fluid, grey and white matter have the mean intensities of three classes (k-means); between the
    darkest and the next, the share of tissue is linear in the intensity (partial volume).
    """
    values = image[brain]
    # Initial means of fluid, grey and white matter, from their typical shares of a brain.
    centres = np.percentile(values, [5, 50, 85])
    for _ in range(30):
        borders = (centres[1:] + centres[:-1]) / 2
        classes = np.digitize(values, borders)
        centres = np.array([values[classes == label].mean() for label in range(3)])
    share: FloatArray = np.clip((image - centres[0]) / (centres[1] - centres[0]), 0, 1)
    return share.astype(np.float32)
