"""Correlations with one outcome and their differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
