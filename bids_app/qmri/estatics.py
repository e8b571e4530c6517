"""ESTATICS: transverse decay common to several multi-echo series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_app.qmri.arrays import FloatArray, finite_or_nan

# One array per echo and series; the number 1 if all echoes have the same weight.
# Slices that are fitted at once.
_SLAB = 8

_Weights = list[list[FloatArray | np.float32]]


@dataclass(frozen=True, eq=False)
class Decay:
    """Result of ESTATICS.

    Attributes
    ----------
    r2_star : (X, Y, Z) float32 or None
        Effective transverse relaxation rate in 1/s; None if no series has a second echo.
    amplitudes : tuple of (X, Y, Z) float32
        Signal of each series at echo time zero; without decay, at the one echo time.
    """

    r2_star: FloatArray | None
    amplitudes: tuple[FloatArray, ...]


def estatics(
    series: Sequence[Sequence[FloatArray]],
    echo_times: Sequence[Sequence[float]],
    *,
    weighted: bool = True,
) -> Decay:
    """Fit one mono-exponential decay to the echoes of several contrasts.

    The logarithm of the signal of contrast c at echo time t is ln A_c - R2* t, with R2* common to
    all contrasts (Weiskopf et al. 2014, doi:10.3389/fnins.2014.00278). Since the variance of a
    logarithm grows with the inverse square of the signal, the weighted fit repeats the ordinary
    one with the squares of its predicted signals as weights (Salvador et al. 2005, Human Brain
    Mapping 24:144).

    Parameters
    ----------
    series : sequence of sequences of (X, Y, Z) array
        Magnitudes, one inner sequence per contrast.
    echo_times : sequence of sequences of float
        In s, in the order of the images.
    weighted : bool
        Weighted instead of ordinary least squares.

    Returns
    -------
    Decay
        NaN where any echo is not positive.

    Raises
    ------
    ValueError
        If images and echo times do not pair up, or no series has a second echo and the echo
        times differ between the series.
    """
    _check(series, echo_times)
    if all(len(times) == 1 for times in echo_times):
        return Decay(None, tuple(_positive(images[0]) for images in series))
    like = series[0][0]
    rate = np.empty_like(like, dtype=np.float32)
    amplitudes = tuple(np.empty_like(rate) for _ in series)
    # Voxels are independent: a slab at a time needs little memory.
    axis = int(np.argmax(like.strides))
    for first in range(0, like.shape[axis], _SLAB):
        slab = (*(slice(None),) * axis, slice(first, first + _SLAB))
        images = [[image[slab] for image in each] for each in series]
        rate[slab], fitted = _fit_slab(images, echo_times, weighted=weighted)
        for amplitude, values in zip(amplitudes, fitted, strict=True):
            amplitude[slab] = values
    return Decay(rate, amplitudes)


def _fit_slab(
    series: Sequence[Sequence[FloatArray]],
    echo_times: Sequence[Sequence[float]],
    *,
    weighted: bool,
) -> tuple[FloatArray, list[FloatArray]]:
    """Compute R2* and the amplitudes of some slices."""
    logarithms = [[np.log(_positive(image)) for image in images] for images in series]
    uniform: _Weights = [[np.float32(1.0)] * len(times) for times in echo_times]
    rate, intercepts = _fit(logarithms, echo_times, uniform)
    if weighted:
        # Relative to the first contrast, which keeps the exponential in range at any scale.
        weights: _Weights = [
            [np.exp(2 * (intercept - intercepts[0] - rate * np.float32(time))) for time in times]
            for intercept, times in zip(intercepts, echo_times, strict=True)
        ]
        rate, intercepts = _fit(logarithms, echo_times, weights)
    # Amplitudes of background voxels may overflow; they become NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        return finite_or_nan(rate), [finite_or_nan(np.exp(each)) for each in intercepts]


def _check(series: Sequence[Sequence[FloatArray]], echo_times: Sequence[Sequence[float]]) -> None:
    images, times = [len(each) for each in series], [len(each) for each in echo_times]
    if images != times or not series or min(images) == 0:
        raise ValueError(f"{images} echoes do not pair up with {times} echo times.")
    if any(len(set(each)) != len(each) for each in echo_times):
        raise ValueError(f"Echoes of one series share an echo time: {list(echo_times)}.")
    if max(images) == 1 and len({each[0] for each in echo_times}) > 1:
        raise ValueError("Series of one echo each cannot be compared at different echo times.")


def _positive(image: FloatArray) -> FloatArray:
    """Replace values that have no logarithm by NaN."""
    return np.where((image > 0) & np.isfinite(image), image, np.nan).astype(np.float32)


def _fit(
    logarithms: list[list[FloatArray]], echo_times: Sequence[Sequence[float]], weights: _Weights
) -> tuple[FloatArray, list[FloatArray]]:
    """Solve the normal equations for the common rate and the intercepts."""
    numerator: FloatArray = np.zeros_like(logarithms[0][0])
    denominator: FloatArray = np.zeros_like(numerator)
    means = []
    for logs, seconds, weight in zip(logarithms, echo_times, weights, strict=True):
        times = [np.float32(time) for time in seconds]
        # Deviations from weighted means are free of the series' intercept.
        mean_time, mean_log = _mean(times, weight), _mean(logs, weight)
        for w, t, y in zip(weight, times, logs, strict=True):
            lag = t - mean_time
            numerator -= w * lag * (y - mean_log)
            denominator += w * lag * lag
        means.append((mean_time, mean_log))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate: FloatArray = numerator / denominator
    return rate, [mean_log + rate * mean_time for mean_time, mean_log in means]


def _mean(
    values: Sequence[FloatArray | np.float32], weights: Sequence[FloatArray | np.float32]
) -> FloatArray:
    """Compute the weighted mean over echoes."""
    weighted = [w * value for w, value in zip(weights, values, strict=True)]
    return np.asarray(sum(weighted) / sum(weights), dtype=np.float32)
