"""Bootstrap confidence intervals of means and medians."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from bids_app.statistics.samples import FloatArray, Interval, complete_cases, is_constant

# Resamples are drawn in batches of this many values, which bounds the memory.
BATCH_VALUES = 4_000_000
# Of a batch, as many values are computed with at a time as the cache of a processor holds.
_BLOCK_VALUES = 100_000

BootstrapMethod = Literal["percentile", "BCa"]
Statistic = Literal["mean", "median"]


def bootstrap_interval(
    sample: npt.ArrayLike,
    statistic: Statistic = "median",
    *,
    confidence: float = 0.95,
    method: BootstrapMethod = "percentile",
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Estimate a mean or median with its bootstrap confidence interval.

    Parameters
    ----------
    sample : array_like, shape (n,)
        NaN are dropped.
    statistic : {'median', 'mean'}
    confidence : float
    method : {'percentile', 'BCa'}
        The default is the percentile interval: the jackknife in BCa fails for medians.
    resamples, seed : int
        Number of resamples, and the seed of their drawing.

    Returns
    -------
    Interval
        The ends are NaN for fewer than two values; NaN altogether for none.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 14.
    """
    (values,) = complete_cases(sample)
    if values.size == 0:
        return Interval(np.nan, np.nan, np.nan)
    compute = np.median if statistic == "median" else np.mean
    estimate = float(compute(values))
    # All resamples of a constant are equal; a single value shows no variation.
    if is_constant(values):
        end = estimate if values.size > 1 else np.nan
        return Interval(estimate, end, end)
    if method == "percentile":
        levels = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(_resample(values, statistic, resamples, seed), levels)
    else:
        low, high = bootstrap_ends(values, compute, confidence, method, resamples, seed)
    return Interval(estimate, float(low), float(high))


def bootstrap_ends(
    values: FloatArray,
    compute: Callable[..., Any],
    confidence: float,
    method: BootstrapMethod,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """Return the ends of the bootstrap interval of any statistic of a sample.

    Parameters
    ----------
    values : float64 array, shape (n,)
        Finite, n ≥ 2.
    compute : callable
        Maps an array to the statistic along its keyword argument ``axis``.
    confidence, method, resamples, seed
        See `bootstrap_interval`.
    """
    ends = stats.bootstrap(
        (values,),
        compute,
        n_resamples=resamples,
        batch=max(1, BATCH_VALUES // values.size),
        confidence_level=confidence,
        method=method,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(ends.low), float(ends.high)


def _resample(values: FloatArray, statistic: Statistic, resamples: int, seed: int) -> FloatArray:
    """Return the statistic in each bootstrap sample.

    Places in the ordered sample are drawn. Samples of the same size thus share the draws, and
    the median of a draw is the value at its middle places, whatever the values are.
    """
    # In order, the median of a resample is the value at its middle places.
    ordered = np.sort(values)
    rows = max(1, BATCH_VALUES // values.size)
    take = _middles if statistic == "median" else draw_places
    batches = [
        take(values.size, min(rows, resamples - start), seed, batch)
        for batch, start in enumerate(range(0, resamples, rows))
    ]
    blocks = (places[rows] for places in batches for rows in row_blocks(*places.shape))
    return np.concatenate([ordered[places].mean(axis=1) for places in blocks])


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Divide the rows of a large array into blocks that are fast to compute with."""
    size = max(1, _BLOCK_VALUES // columns)
    for start in range(0, rows, size):
        yield slice(start, start + size)


@lru_cache(maxsize=8)
def draw_places(size: int, rows: int, seed: int, batch: int) -> npt.NDArray[np.integer]:
    """Draw bootstrap samples of `size` places, shape (rows, size), by a generator per batch."""
    rng = np.random.default_rng([seed, batch])
    places = rng.integers(size, size=(rows, size), dtype=np.int32)
    # The smallest type that holds them, as draws are kept for the next sample of the same size.
    places = places.astype(np.min_scalar_type(size))
    places.setflags(write=False)
    return places


@lru_cache(maxsize=64)
def _middles(size: int, rows: int, seed: int, batch: int) -> npt.NDArray[np.integer]:
    """Return the two middle places of each draw, shape (rows, 2); equal for odd sizes."""
    middle = [(size - 1) // 2, size // 2]
    return np.partition(draw_places(size, rows, seed, batch), middle, axis=1)[:, middle]
