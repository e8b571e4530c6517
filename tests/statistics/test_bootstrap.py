"""Bootstrap intervals: theory, exact distributions, coverage, seeds."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.statistics import bootstrap
from bids_app.statistics.samples import Interval


def test_bootstrap_mean_is_near_the_t_interval() -> None:
    """For a normal sample the intervals of theory and bootstrap agree within a few percent."""
    sample = np.random.default_rng(0).normal(9, 2, 200)
    half = 1.972 * sample.std(ddof=1) / np.sqrt(200)
    for method in ("percentile", "BCa"):
        interval = bootstrap.bootstrap_interval(sample, "mean", method=method)
        assert interval.estimate == pytest.approx(sample.mean())
        assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)


def test_bootstrap_median_matches_its_exact_distribution() -> None:
    """The bootstrap median of an odd sample has binomial percentiles (Efron 1979)."""
    sample = np.arange(1, 102, dtype=float)
    interval = bootstrap.bootstrap_interval(sample, resamples=20000)
    assert interval.estimate == 51
    # P(median* ≤ k) = P(Binomial(101, k/101) ≥ 51); the 2.5 and 97.5 % points are 41 and 61.
    assert (interval.low, interval.high) == (pytest.approx(41, abs=1), pytest.approx(61, abs=1))


def test_bootstrap_covers() -> None:
    """The interval of the median of a skewed sample covers it at about the nominal rate."""
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        interval = bootstrap.bootstrap_interval(rng.exponential(size=60), resamples=400)
        hits += interval.low <= np.log(2) <= interval.high
    assert 0.89 <= hits / 200 <= 0.99


def test_bootstrap_is_seeded_and_handles_small_samples() -> None:
    """Same seed, same interval; one value has no interval, no value no estimate."""
    sample = np.random.default_rng(1).normal(size=30)
    first, again, other = (
        bootstrap.bootstrap_interval(sample, "mean", seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert np.isnan(bootstrap.bootstrap_interval([3.0, np.nan]).low)
    assert np.isnan(bootstrap.bootstrap_interval([]).estimate)
    assert bootstrap.bootstrap_interval([2.0, 2.0]) == Interval(2, 2, 2)
