"""Volumes of segmentations."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from bids_app.dataset.tsv import significant
from bids_app.segmentation.result import Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

# Of the standard normal distribution, for 95 % intervals.
_QUANTILE = 1.96


@dataclass(frozen=True, kw_only=True)
class ThalamusVolumes:
    """Volumes in mL.

    Attributes
    ----------
    left_ml, right_ml, total_ml : float
        Voxels in the mask times the volume of a voxel (Ibrahim et al. 2026, section 2.6.3).
    left_soft_ml, right_soft_ml, total_soft_ml : float
        Summed probabilities, free of the voxel size, or FreeSurfer's partial volumes.
    total_low_ml, total_high_ml : float
        95 % interval of the total, around the summed probabilities; NaN if unknown.
    brain_ml : float
        Parenchyma and ventricles.
    icv_ml : float
        Intracranial volume.
    deep_grey_ml, ventricles_ml : float
        Thalami, caudate, putamen, pallidum and accumbens; ventricles with the choroid plexus.
    """

    left_ml: float
    right_ml: float
    total_ml: float
    left_soft_ml: float
    right_soft_ml: float
    total_soft_ml: float
    total_low_ml: float
    total_high_ml: float
    brain_ml: float
    icv_ml: float
    deep_grey_ml: float
    ventricles_ml: float


def measure(segmentation: Thalami, voxel_volume: float) -> ThalamusVolumes:
    """Measure one segmentation.

    Parameters
    ----------
    segmentation : Thalami
    voxel_volume : float
        In mm³, the determinant of the affine.

    Returns
    -------
    ThalamusVolumes
        In mL (1 mL = 1000 mm³), rounded to 0.1 µL and as numbers in tables are, so that tables and
        pages hold the same number.
    """
    counts = np.bincount(segmentation.dseg.ravel(), minlength=3)
    left, right = (float(counts[side]) * voxel_volume / 1000 for side in (LEFT, RIGHT))
    left_soft, right_soft = (float(volume) / 1000 for volume in segmentation.soft_volumes)
    # Half the width of the interval; NaN where the error is unknown.
    half = _QUANTILE * segmentation.volume_error / 1000
    volumes = ThalamusVolumes(
        left_ml=left,
        right_ml=right,
        total_ml=left + right,
        left_soft_ml=left_soft,
        right_soft_ml=right_soft,
        total_soft_ml=left_soft + right_soft,
        total_low_ml=max(left_soft + right_soft - half, 0.0),
        total_high_ml=left_soft + right_soft + half,
        brain_ml=segmentation.brain_volume / 1000,
        icv_ml=segmentation.icv / 1000,
        deep_grey_ml=segmentation.deep_grey_volume / 1000,
        ventricles_ml=segmentation.ventricle_volume / 1000,
    )
    return ThalamusVolumes(
        **{name: significant(round(value, 4)) for name, value in asdict(volumes).items()}
    )
