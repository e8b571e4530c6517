"""Intraclass correlation: published values, McGraw and Wong's formulas, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from bids_app.statistics.intraclass import intraclass_correlation
from bids_app.statistics.samples import FloatArray, Interval

# Shrout & Fleiss 1979, table 2: six targets rated by four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
    dtype=np.float64,
)
VOLUMES = hnp.arrays(np.float64, (12, 2), elements=st.integers(4000, 18000).map(lambda v: v / 1e3))
VARIED = VOLUMES.filter(lambda pairs: bool((np.ptp(pairs, axis=0) > 0.01).all()))
FEW = settings(max_examples=25, deadline=None)


def by_hand(ratings: FloatArray, confidence: float) -> tuple[list[float], list[float]]:
    """Return ICC(C,1) and ICC(A,1) with their intervals, McGraw & Wong 1996, tables 4 and 7."""
    n, k = ratings.shape
    centred = ratings - ratings.mean()
    subjects, raters = centred.mean(axis=1), centred.mean(axis=0)
    residual = centred - subjects[:, np.newaxis] - raters
    r = k * (subjects @ subjects) / (n - 1)
    c = n * (raters @ raters) / (k - 1)
    e = (residual**2).sum() / ((n - 1) * (k - 1))
    level, rows, rest = (1 + confidence) / 2, n - 1, (n - 1) * (k - 1)
    low, high = r / e / stats.f.ppf(level, rows, rest), r / e * stats.f.ppf(level, rest, rows)
    consistency = [(r - e) / (r + (k - 1) * e)] + [(f - 1) / (f + k - 1) for f in (low, high)]
    icc = (r - e) / (r + (k - 1) * e + k / n * (c - e))
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    v = (a * c + b * e) ** 2 / ((a * c) ** 2 / (k - 1) + (b * e) ** 2 / rest)
    f_low, f_high = stats.f.ppf(level, rows, v), stats.f.ppf(level, v, rows)
    within = k * c + (k * n - k - n) * e
    ends = [n * (r - f_low * e) / (f_low * within + n * r)]
    ends.append(n * (f_high * r - e) / (within + n * f_high * r))
    return consistency, [icc, *ends]


def test_shrout_and_fleiss() -> None:
    """Published: ICC(2,1) = .29, ICC(3,1) = .71, as printed in table 4."""
    result = intraclass_correlation(SHROUT_FLEISS)
    assert round(result.agreement.estimate, 2) == 0.29
    assert round(result.consistency.estimate, 2) == 0.71


@pytest.mark.parametrize("confidence", [0.5, 0.95])
@pytest.mark.parametrize("error", [2.0, 0.1, 1e-4])
@pytest.mark.parametrize("raters", [2, 4])
def test_formulas_of_mcgraw_and_wong(confidence: float, error: float, raters: int) -> None:
    rng = np.random.default_rng(raters)
    ratings = rng.normal(9, 2, (30, 1)) + rng.normal(0, error, (30, raters)) + np.arange(raters)
    result = intraclass_correlation(ratings, confidence)
    for interval, values in zip(
        (result.consistency, result.agreement), by_hand(ratings, confidence), strict=True
    ):
        ends = (interval.estimate, interval.low, interval.high)
        np.testing.assert_allclose(ends, values, rtol=1e-9)


@FEW
@given(VARIED, st.floats(0.1, 1000), st.floats(-3, 3))
def test_units_offsets_and_order(pairs: FloatArray, factor: float, offset: float) -> None:
    """Units and the order of raters do not matter; an offset changes the agreement only."""
    result, scaled, swapped, shifted = (
        intraclass_correlation(ratings)
        for ratings in (pairs, factor * pairs, pairs[:, ::-1], np.add(pairs, [0, offset]))
    )
    for name in ("consistency", "agreement"):
        interval: Interval = getattr(result, name)
        assert getattr(swapped, name).estimate == pytest.approx(interval.estimate)
        assert getattr(scaled, name).low == pytest.approx(interval.low, abs=1e-6)
        assert interval.low <= interval.estimate <= interval.high <= 1
    assert shifted.consistency.estimate == pytest.approx(result.consistency.estimate)


def test_perfect_and_absent_variation() -> None:
    """Equal ratings agree perfectly; constant ratings have no defined reliability."""
    x = np.array([7.1, 8.3, 9.7, 10.2])
    perfect = intraclass_correlation(np.column_stack([x, x]))
    assert perfect.consistency == perfect.agreement == Interval(1, 1, 1)
    shifted = intraclass_correlation(np.column_stack([x, x + 5]))
    assert shifted.consistency.low == pytest.approx(1)
    assert 0 < shifted.agreement.low < shifted.agreement.estimate < shifted.agreement.high < 1
    rounded = np.array([0.3, 0.1 + 0.2, 0.3, 0.3])
    for ratings in (
        np.full((5, 2), 0.1),
        np.column_stack([rounded, rounded[::-1]]),
        np.column_stack([np.full(4, 1.0), np.full(4, 2.0)]),
    ):
        undefined = intraclass_correlation(ratings)
        assert np.isnan([undefined.consistency.estimate, undefined.agreement.estimate]).all()
    mirrored = intraclass_correlation(np.column_stack([x, -x])).consistency
    assert [mirrored.estimate, mirrored.low, mirrored.high] == pytest.approx([-1, -1, -1])


def test_refusals() -> None:
    """A single rater and too few subjects are refused."""
    with pytest.raises(ValueError, match="ratings need shape"):
        intraclass_correlation([[1], [2], [3]])
    with pytest.raises(ValueError, match="2 complete pairs, at least 3 are needed"):
        intraclass_correlation([[1, 2], [2, 3], [np.nan, 4]])
