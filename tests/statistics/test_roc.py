"""Areas under ROC curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from bids_app.statistics import roc

TRUTH = [1, 1, 1, 0, 0, 0]
SCORE = [3.0, 4.0, 5.0, 1.0, 2.0, 4.0]


def test_area_by_hand() -> None:
    """Shares of the other class exceeded: 2/3, 2.5/3, 3/3; and 0, 0, 1.5/3 for the negatives."""
    result = roc.roc_area(TRUTH, SCORE)
    variance = np.var([2 / 3, 2.5 / 3, 1], ddof=1) / 3 + np.var([1, 1, 0.5], ddof=1) / 3
    assert (result.n, result.positives) == (6, 3)
    assert result.auc.estimate == pytest.approx(7.5 / 9)
    assert result.se == pytest.approx(np.sqrt(variance))
    assert result.auc.low == pytest.approx(7.5 / 9 - 1.959963984540054 * np.sqrt(variance))
    assert result.auc.high == 1


def test_agrees_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package pROC: interval and paired test by DeLong."""
    values = expected_tests["roc"]
    cohort = inputs("cohort").dropna(subset="icv")
    truth = cohort["edss"] >= 3
    single = roc.roc_area(truth, -cohort["volume"])
    assert single.positives == values["positives"]
    assert vars(single.auc) == pytest.approx(
        {"estimate": values["auc"], "low": values["low"], "high": values["high"]}
    )
    assert single.se == pytest.approx(values["se"])
    both = roc.compare_roc_areas(truth, -cohort["volume"], cohort["age"])
    assert both.second == pytest.approx(values["second"])
    assert both.z == pytest.approx(values["z"])
    assert both.p == pytest.approx(values["p"])


def _scores(n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes and two correlated scores with ties."""
    rng = np.random.default_rng(8)
    truth = rng.random(n) < 0.4
    first = np.round(rng.normal(size=n) + truth, 1)
    return truth, first, np.round(0.6 * first + rng.normal(size=n), 1)


def test_comparison_agrees_with_the_definition() -> None:
    """Every pair of a positive and a negative case, ties one half; covariances of their means."""
    truth, *scores = _scores()
    pairs = [
        (s[truth][:, None] > s[~truth]) + 0.5 * (s[truth][:, None] == s[~truth]) for s in scores
    ]
    rows, columns = ([pair.mean(axis=axis) for pair in pairs] for axis in (1, 0))
    covariance = np.cov(rows) / truth.sum() + np.cov(columns) / (~truth).sum()
    se = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    result = roc.compare_roc_areas(truth, *scores)
    assert result.first == pytest.approx(roc_auc_score(truth, scores[0]))
    assert result.second == pytest.approx(roc_auc_score(truth, scores[1]))
    assert result.difference.estimate == pytest.approx(result.first - result.second)
    assert result.se == pytest.approx(se)
    z = result.difference.estimate / se
    assert result.z == pytest.approx(z)
    assert result.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert result.difference.low == pytest.approx(
        result.difference.estimate - 1.959963984540054 * se
    )
    single = roc.roc_area(truth, scores[0], confidence=0.9)
    assert single.se == pytest.approx(np.sqrt(covariance[0, 0]))
    assert single.auc.high == pytest.approx(single.auc.estimate + 1.6448536269514722 * single.se)


def test_only_ranks_matter() -> None:
    """A monotone score has the same area; the difference is 0, and there is nothing to test."""
    truth, first, _ = _scores()
    result = roc.compare_roc_areas(truth, first, np.exp(first))
    assert (result.difference.estimate, result.se) == (0, 0)
    assert np.isnan(result.z)
    assert np.isnan(result.p)


def test_perfect_discrimination() -> None:
    """An area of 1 has no variance by this method."""
    result = roc.roc_area([0, 0, 1, 1], [1, 2, 3, 4])
    assert (result.auc.estimate, result.auc.low, result.auc.high, result.se) == (1, 1, 1, 0)


def test_missing_scores_and_refusals() -> None:
    """Cases with a NaN do not count; one case of a class has no variance."""
    result = roc.roc_area([*TRUTH, 1, np.nan], [*SCORE, np.nan, 2])
    assert result == roc.roc_area(TRUTH, SCORE)
    with pytest.raises(ValueError, match="1 positive and 3 negative cases"):
        roc.roc_area([1, 0, 0, 0], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="0 or 1"):
        roc.roc_area([1, 2, 2, 1], [1, 2, 3, 4])
