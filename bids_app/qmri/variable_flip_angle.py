"""R1 from spoiled gradient echoes at several flip angles (DESPOT1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bids_app.qmri.arrays import FloatArray, finite_or_nan
from bids_app.qmri.spoiled_gradient_echo import Field

# The weights change little after the second pass.
_PASSES = 3


def r1_from_flip_angles(
    signals: Sequence[FloatArray],
    flip_angles: Sequence[float],
    repetition_time: float,
    transmit_field: Field = 1.0,
    *,
    weighted: bool = True,
) -> FloatArray:
    """Fit the straight line S/sin a = E1 S/tan a + A (1 - E1), whose slope is exp(-TR R1).

    Linear fit: Deoni et al. 2003 (doi:10.1002/mrm.10407). The weighted fit repeats it with the
    weights (sin a / (1 - E1 cos a))², which correct for the effect of the two divisions on the
    noise (Chang et al. 2008, doi:10.1002/mrm.21669).

    Parameters
    ----------
    signals : sequence of (X, Y, Z) float32
        At the same echo time, or extrapolated to zero.
    flip_angles : sequence of float
        Nominal, in degrees; at least two differ.
    repetition_time : float
        In s, the same for all.
    transmit_field : (X, Y, Z) float32 or float
        Relative.
    weighted : bool
        Weighted instead of ordinary least squares.

    Returns
    -------
    (X, Y, Z) float32
        In 1/s; NaN where the slope is outside 0 to 1.

    Raises
    ------
    ValueError
        If fewer than two flip angles differ.
    """
    if len(set(flip_angles)) < 2:
        raise ValueError(f"R1 needs two different flip angles, but they are {list(flip_angles)}.")
    angles = [
        np.asarray(np.deg2rad(angle) * transmit_field, dtype=np.float32) for angle in flip_angles
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = _slope(signals, angles, None)
        for _ in range(_PASSES if weighted else 0):
            slope = _slope(signals, angles, slope)
        # exp(-TR R1) of a positive rate lies between 0 and 1.
        slope = np.where((slope > 0) & (slope < 1), slope, np.float32(np.nan))
        return finite_or_nan(-np.log(slope) / np.float32(repetition_time))


def _slope(
    signals: Sequence[FloatArray], angles: list[FloatArray], previous: FloatArray | None
) -> FloatArray:
    """Compute the slope of the line; weighted by the signal's sensitivity at ``previous``."""
    weights: list[FloatArray | np.float32] = [np.float32(1.0)] * len(angles)
    if previous is not None:
        weights = [(np.sin(a) / (1 - previous * np.cos(a))) ** 2 for a in angles]
    x = [signal / np.tan(angle) for signal, angle in zip(signals, angles, strict=True)]
    y = [signal / np.sin(angle) for signal, angle in zip(signals, angles, strict=True)]
    total = sum(weights, np.float32(0.0))
    mean_x = sum(w * v for w, v in zip(weights, x, strict=True)) / total
    mean_y = sum(w * v for w, v in zip(weights, y, strict=True)) / total
    covariance: FloatArray = np.zeros_like(mean_x)
    variance: FloatArray = np.zeros_like(mean_x)
    for w, a, b in zip(weights, x, y, strict=True):
        covariance += w * (a - mean_x) * (b - mean_y)
        variance += w * (a - mean_x) ** 2
    return covariance / variance
