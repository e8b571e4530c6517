"""Paired t tests, rank tests and their effect sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_app.statistics import comparison, effect_size

# Extra hours of sleep with two drugs (Student 1908, R's sleep).
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_students_sleep() -> None:
    """Published: t = -4.0621, df = 9, p = 0.002833, -2.4598858 to -0.7001142."""
    result = effect_size.paired_t(FIRST, SECOND)
    assert (result.n, result.df) == (10, 9)
    assert result.t == pytest.approx(-4.0621, abs=5e-5)
    assert result.p == pytest.approx(0.002833, abs=5e-7)
    ends = (result.difference.low, result.difference.high)
    assert ends == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    # d_z is t / √n.
    assert result.d_z == pytest.approx(result.t / np.sqrt(10))
    spread = np.sqrt((np.var(FIRST, ddof=1) + np.var(SECOND, ddof=1)) / 2)
    assert result.d_av == pytest.approx(-1.58 / spread)


def test_table_agrees_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Functions t.test and effectsize::cohens_d."""
    scores = inputs("scores").melt("subject", var_name="method", value_name="dice")
    table = effect_size.pairwise_t(scores, ["dice"])
    assert table["reason"].eq("").all()
    np.testing.assert_allclose(table["p_adj"], np.minimum(6 * table["p"], 1))
    rows = table.set_index(["first", "second"])
    for pair, values in expected_tests["paired_t"].items():
        for name, value in values.items():
            assert rows.loc[tuple(pair.split("_")), name] == pytest.approx(value, rel=1e-8), name


def test_pairs_without_variation_are_rows_with_reasons() -> None:
    rows = [(s, m, s + shift) for s in range(5) for m, shift in (("a", 0.1), ("b", 0.3))]
    scores = pd.DataFrame([*rows, (0, "c", 2.0)], columns=["subject", "method", "dice"])
    table = effect_size.pairwise_t(scores, ["dice"])
    assert table["reason"].tolist() == [
        "all differences are equal",
        *["1 complete pairs, at least 2 are needed"] * 2,
    ]
    assert table["n"].tolist() == [5, 1, 1]
    assert table["p_adj"].isna().all()


def test_rank_biserial_agrees_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Function effectsize::rank_biserial, of pairs and of independent samples."""
    scores, values = inputs("scores"), expected_tests["rank_biserial"]
    pairs = comparison.signed_rank(scores["a"], scores["b"])
    assert pairs.rank_biserial == pytest.approx(values["a_b"])
    samples = effect_size.rank_sum(scores["a"][:20], scores["d"][20:45])
    assert samples.rank_biserial == pytest.approx(values["independent"])


@pytest.mark.parametrize(
    ("zero_method", "expected"),
    [("wilcox", (3 + 1.5 - 1.5) / 6), ("pratt", (5 + 3.5 - 3.5) / 12), ("zsplit", 5 / 15)],
)
def test_zeros_and_ties_in_rank_biserial(
    zero_method: comparison.ZeroMethod, expected: float
) -> None:
    """Differences 3, 1, -1, 0, 0: without zeros ranks 3, 1.5, 1.5, with them 5, 3.5, 3.5."""
    result = comparison.signed_rank([3, 1, -1, 0, 0], [0] * 5, zero_method)
    assert result.rank_biserial == pytest.approx(expected)


def test_rank_sum_agrees_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Function wilcox.test: normal with continuity correction and ties, and exact."""
    scores, values = inputs("scores"), expected_tests["rank_sum"]
    result = effect_size.rank_sum(scores["a"][:20], scores["d"][20:45])
    assert (result.u, result.distribution) == (values["u"], "approximate")
    assert result.p == pytest.approx(values["p"])
    result = effect_size.rank_sum(scores["a"][:7], scores["b"][7:20])
    assert (result.u, result.distribution) == (values["u_exact"], "exact")
    assert result.p == pytest.approx(values["p_exact"])
    area = stats.mannwhitneyu(scores["a"][:7], scores["b"][7:20]).statistic / (7 * 13)
    assert result.rank_biserial == pytest.approx(2 * area - 1)


def test_rank_sum_refusals() -> None:
    with pytest.raises(ValueError, match="0 and 2 values"):
        effect_size.rank_sum([np.nan], [1, 2])
    with pytest.raises(ValueError, match="all values are equal"):
        effect_size.rank_sum([1, 1], [1, 1, 1])
