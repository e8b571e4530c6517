"""Correlations with one outcome and their differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from bids_app.statistics import correlation

METHODS = ["one", "two", "three"]
TESTS = [correlation.williams_t, correlation.steiger_z]


def test_tables_agree_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """cor.test; Williams' t of package psych; Steiger's equations by hand."""
    pbvc = inputs("pbvc")
    table = correlation.correlation_table(pbvc, "pbvc", METHODS).set_index("method")
    for method, values in expected["pearson"].items():
        for name, value in values.items():
            assert table.loc[method, name] == pytest.approx(value, abs=1e-10), name
    differences = correlation.correlation_difference_table(pbvc, "pbvc", METHODS)
    differences = differences.set_index(["first", "second"])
    for pair, values in expected["dependent"].items():
        for name, value in values.items():
            assert differences.loc[tuple(pair.split("_")), name] == pytest.approx(value, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(TESTS))
def test_symmetry(seed: int, test: Callable[..., correlation.DifferenceTest]) -> None:
    """Swapping the methods changes the sign only; equal correlations give zero."""
    data = np.random.default_rng(seed).normal(size=(3, 12))
    r = np.corrcoef(data)
    there = test(r[0, 1], r[0, 2], r[1, 2], 12)
    back = test(r[0, 2], r[0, 1], r[1, 2], 12)
    assert there.statistic == pytest.approx(-back.statistic)
    assert there.p == pytest.approx(back.p)
    assert test(0.3, 0.3, r[1, 2], 12).statistic == 0


@pytest.mark.parametrize("test", TESTS)
def test_size_under_the_null(test: Callable[..., correlation.DifferenceTest]) -> None:
    """Equal true correlations are called different at about the nominal rate."""
    rng = np.random.default_rng(7)
    covariance = [[1, 0.5, 0.5], [0.5, 1, 0.8], [0.5, 0.8, 1]]
    p_values = []
    for _ in range(600):
        r = np.corrcoef(rng.multivariate_normal([0, 0, 0], covariance, size=80).T)
        p_values.append(test(r[0, 1], r[0, 2], r[1, 2], 80).p)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_reasons_and_missing_values(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Each pair uses its own complete cases; what cannot be tested has a reason."""
    pbvc = inputs("pbvc").assign(flat=1.0, rare=np.nan)
    pbvc.loc[:9, "two"] = np.nan
    pbvc.loc[:2, "rare"] = [1.0, 2.0, 3.0]
    methods = [*METHODS, "flat", "rare"]
    table = correlation.correlation_table(pbvc, "pbvc", methods).set_index("method")
    assert table["n"].to_dict() == {"one": 50, "two": 40, "three": 50, "flat": 50, "rare": 3}
    assert table.loc["flat", "reason"] == "a sample is constant"
    assert table.loc["rare", "reason"] == "3 complete pairs, at least 4 are needed"
    assert table["p_adj"].notna().sum() == 3
    differences = correlation.correlation_difference_table(pbvc, "pbvc", methods)
    differences = differences.set_index(["first", "second"])
    assert differences.loc[("one", "two"), "n"] == 40
    assert differences.loc[("one", "three"), "n"] == 50
    assert differences.loc[("one", "flat"), "reason"] == "a sample is constant"
    assert (differences["williams_p_adj"].dropna() >= differences["williams_p"].dropna()).all()


def test_identical_methods_are_undefined() -> None:
    """A method and its copy cannot differ: NaN, not an error."""
    for test in TESTS:
        assert np.isnan(test(0.4, 0.4, 1.0, 30).p)


def test_refusals() -> None:
    """Impossible correlation matrices and tiny samples are refused."""
    for test in TESTS:
        with pytest.raises(ValueError, match="not correlations of one sample"):
            test(0.9, -0.9, 0.9, 30)
        with pytest.raises(ValueError, match="at least 4"):
            test(0.1, 0.2, 0.3, 3)
    with pytest.raises(ValueError, match="holds text"):
        correlation.correlation_table(pd.DataFrame({"a": ["x"], "b": [1]}), "a", ["b"])


def test_meng_and_zou_agree_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """The equations as printed, with the intervals of cor.test."""
    table = correlation.correlation_difference_table(
        inputs("pbvc"), "pbvc", ["one", "two", "three"]
    )
    for row in table.to_dict("records"):
        for name, value in expected_tests["dependent"][f"{row['first']}_{row['second']}"].items():
            assert row[name] == pytest.approx(value, abs=1e-9), name
    np.testing.assert_allclose(
        table["meng_p_adj"], multipletests(table["meng_p"], method="fdr_bh")[1]
    )


def test_published_examples() -> None:
    """Meng et al. 1992, p. 173: Z = 1.68; Zou 2007, section on overlapping: -0.093 to 0.517."""
    assert correlation.meng_z(0.63, -0.03, -0.19, 15).statistic == pytest.approx(1.68, abs=0.005)
    interval = correlation.difference_interval(0.396, 0.179, 0.088, 66)
    assert (interval.low, interval.high) == pytest.approx((-0.093, 0.517), abs=6e-4)


@pytest.mark.parametrize("test", [correlation.meng_z, correlation.steiger_z])
def test_dependent_tests_are_antisymmetric(test: Callable[..., Any]) -> None:
    there, back = test(0.6, 0.2, 0.3, 40), test(0.2, 0.6, 0.3, 40)
    assert there.statistic == pytest.approx(-back.statistic)
    assert there.p == pytest.approx(back.p)
    assert np.isnan(test(1.0, 0.2, 0.2, 40).p)
    with pytest.raises(ValueError, match="at least 4"):
        test(0.6, 0.2, 0.3, 3)


def test_interval_of_a_difference_covers() -> None:
    """At 95 %: within 3 standard errors in 600 samples of 30."""
    rng = np.random.default_rng(9)
    covariance = [[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]]
    hits = 0
    for sample in rng.multivariate_normal(np.zeros(3), covariance, (600, 30)):
        r = np.corrcoef(sample, rowvar=False)
        interval = correlation.difference_interval(r[0, 1], r[0, 2], r[1, 2], 30)
        hits += interval.low <= 0.3 <= interval.high
    assert abs(hits / 600 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 600)
    alone = correlation.difference_interval(1.0, 0.2, 0.2, 30)
    assert alone.estimate == pytest.approx(0.8)
    assert np.isnan(alone.low)
