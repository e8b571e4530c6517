"""T1 from magnitudes at several inversion times, without a model of the sequence.

The signal a + b exp(-TI / T1) holds for any flip angles and any repetition time that is the same
for all images. Its fit by a search over T1, for which a and b follow in closed form, and the
restoration of the polarity are those of Barral et al. 2010 (RD-NLS, doi:10.1002/mrm.22497).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bids_app.qmri.arrays import FloatArray, finite_or_nan

_Array = npt.NDArray[np.float64]

# Three parameters, and the polarity.
FEWEST_TIMES = 4
# Searched T1 in s, in steps of 2 %; a parabola through three of them finds the maximum in between.
_T1 = np.geomspace(0.05, 6.0, 240)
# A larger share of the variance between the images is no recovery.
_MOST_UNEXPLAINED = 0.1
# Voxels that are fitted at once.
_CHUNK = 20_000


def r1_from_inversion_times(
    magnitudes: Sequence[FloatArray], inversion_times: Sequence[float]
) -> FloatArray:
    """Compute R1 from an inversion recovery.

    Parameters
    ----------
    magnitudes : sequence of (X, Y, Z) array
    inversion_times : sequence of float
        In s, increasing; as many as images, four or more.

    Returns
    -------
    (X, Y, Z) float32
        In 1/s; NaN without signal, where it is no recovery, and where T1 is outside 0.05 to 6 s.

    Raises
    ------
    ValueError
        If there are too few inversion times.
    """
    if len(inversion_times) < FEWEST_TIMES:
        raise ValueError(f"{len(inversion_times)} inversion times, expected {FEWEST_TIMES} or more")
    signals = np.stack([image.ravel() for image in magnitudes], axis=-1).astype(np.float32)
    recovery = np.exp(-np.asarray(inversion_times)[:, None] / _T1)
    recovery -= recovery.mean(0)
    recovery /= np.linalg.norm(recovery, axis=0)
    t1 = np.full(len(signals), np.nan)
    usable = np.flatnonzero(np.isfinite(signals).all(1) & (signals.min(1) >= 0) & signals.any(1))
    for start in range(0, len(usable), _CHUNK):
        part = usable[start : start + _CHUNK]
        t1[part] = _fitted(signals[part].astype(np.float64), recovery)
    return finite_or_nan(1 / t1.reshape(magnitudes[0].shape))


def _fitted(
    signals: _Array,
    recovery: _Array,
) -> _Array:
    """Fit T1 of signals (V, N) to centred recoveries (N, T) of unit norm; NaN at the limits."""
    lowest = signals.argmin(1)
    best = np.full(len(signals), np.inf)
    t1 = np.full(len(signals), np.nan)
    # The zero crossing is before or after the lowest magnitude.
    for inverted in (lowest, lowest + 1):
        polarity = np.where(np.arange(signals.shape[1]) < inverted[:, None], -1.0, 1.0)
        restored = polarity * signals
        restored -= restored.mean(1, keepdims=True)
        # The best amplitude b for each T1; what it leaves unexplained is the residual.
        projection = restored @ recovery
        # Signals rise with the inversion time: b is negative.
        explained = np.where(projection < 0, projection**2, 0.0)
        place = explained.argmax(1)
        total = (restored**2).sum(1)
        residual = total - explained.max(1)
        inside = (place > 0) & (place < recovery.shape[1] - 1)
        inside &= residual <= _MOST_UNEXPLAINED * total
        better = residual < best
        best = np.where(better, residual, best)
        refined = np.where(inside, _refined(explained, place), np.nan)
        t1 = np.where(better, refined, t1)
    return t1


def _refined(
    explained: _Array,
    place: npt.NDArray[np.int64],
) -> _Array:
    """Find T1 at the maximum of the parabola through three neighbours on the logarithmic scale."""
    rows = np.arange(len(place))
    middle = np.clip(place, 1, explained.shape[1] - 2)
    low, top, high = (explained[rows, middle + step] for step in (-1, 0, 1))
    curvature = low - 2 * top + high
    offset = np.divide(low - high, 2 * curvature, out=np.zeros_like(top), where=curvature != 0)
    step = np.log(_T1[1] / _T1[0])
    t1: _Array = _T1[middle] * np.exp(step * np.clip(offset, -1, 1))
    return t1
