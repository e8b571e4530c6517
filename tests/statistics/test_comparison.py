"""Paired tests, and variances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from bids_app.statistics import comparison, multiplicity
from bids_app.statistics.samples import FloatArray

FEW = settings(max_examples=25, deadline=None)
SAMPLES = hnp.arrays(np.float64, (2, 15), elements=st.integers(0, 40).map(lambda v: v / 8))


@pytest.mark.parametrize(
    ("case", "rows", "columns", "distribution"),
    [
        ("exact", 50, "ab", "exact"),
        ("normal", 60, "ab", "approximate"),
        ("corrected", 60, "ab", "approximate"),
        ("ties_and_zeros", 60, "dc", "approximate"),
    ],
)
def test_signed_rank_agrees_with_r(
    expected: dict[str, Any],
    inputs: Callable[[str], pd.DataFrame],
    case: str,
    *,
    rows: int,
    columns: str,
    distribution: str,
) -> None:
    """wilcox.test: exact, normal, continuity-corrected, and with ties and zeros."""
    x, y = inputs("scores")[:rows][list(columns)].to_numpy().T
    result = comparison.signed_rank(x, y, correction=case == "corrected")
    assert result.distribution == distribution
    for name, value in expected["signed_rank"][case].items():
        assert getattr(result, name) == pytest.approx(value, abs=1e-9), name


def test_signed_rank_of_darwins_maize() -> None:
    """Darwin's maize (Fisher 1935, The Design of Experiments): ranks 10 and 14 are negative."""
    difference = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    result = comparison.signed_rank(difference, np.zeros(15))
    assert (result.w, result.n_nonzero, result.distribution) == (24, 15, "exact")
    assert result.p == pytest.approx(0.0413, abs=5e-5)


def test_rounding_makes_ties() -> None:
    """0.1 + 0.2 - 0.3 is zero, and equal volumes summed in another order are ties."""
    result = comparison.signed_rank([0.1 + 0.2, 1.3, 2.0], [0.3, 1.2, 1.9])
    assert (result.n, result.n_nonzero, result.distribution) == (3, 2, "approximate")
    assert comparison.signed_rank([0.1 + 0.2], [0.3]).p == 1


def test_zero_methods_differ() -> None:
    """Pratt ranks the zeros before dropping them, so p changes but n does not."""
    x = np.array([0, 0, 0, 1, 2, -3, 4, 5, 6, 7, 8, -9.0])
    drop, pratt = (
        comparison.signed_rank(x, np.zeros(12), zero_method=method)
        for method in ("wilcox", "pratt")
    )
    assert drop.p != pratt.p
    assert drop.n_nonzero == pratt.n_nonzero == 9


@FEW
@given(SAMPLES, st.permutations(range(15)))
def test_signed_rank_symmetry(samples: FloatArray, order: list[int]) -> None:
    """Swapping, reordering, scaling and shifting both samples leave the test as it is."""
    x, y = samples
    base = comparison.signed_rank(x, y)
    assert 0 <= base.p <= 1
    for other in ((x[order], y[order]), (4 * x, 4 * y), (x + 2, y + 2)):
        assert comparison.signed_rank(*other) == base
    swapped = comparison.signed_rank(y, x)
    assert swapped == replace(base, rank_biserial=swapped.rank_biserial)
    assert swapped.rank_biserial == -base.rank_biserial


def tidy(wide: pd.DataFrame) -> pd.DataFrame:
    """Return one row per subject and method, with a second measure."""
    long = wide.melt(id_vars="subject", var_name="method", value_name="dice")
    return long.assign(hd=1 - long["dice"])


def test_pairwise_table(inputs: Callable[[str], pd.DataFrame]) -> None:
    """All pairs of all measures; missing methods have a row with their reason."""
    wide = inputs("scores").assign(empty=np.nan)
    table = comparison.pairwise_signed_rank(tidy(wide), ["dice", "hd"])
    assert len(table) == 2 * 10
    assert (table["reason"] == "no complete pairs").sum() == 8
    tested = table[table["reason"] == ""]
    np.testing.assert_allclose(tested["p_adj"], multiplicity.adjust(tested["p"]))
    assert set(table["family"]) == {"all"}
    row = tested.set_index(["measure", "first", "second"]).loc[("dice", "c", "d")]
    single = comparison.signed_rank(wide["c"], wide["d"])
    assert (row["w"], row["p"], row["n_nonzero"]) == (single.w, single.p, single.n_nonzero)
    assert row["median_difference"] == np.median(wide["c"] - wide["d"])
    by_measure = comparison.pairwise_signed_rank(tidy(wide), ["dice", "hd"], family="measure")
    halves = by_measure.groupby("measure")["p_adj"].apply(list)
    np.testing.assert_allclose(halves["dice"], halves["hd"])
    assert (by_measure["p_adj"].dropna() <= table["p_adj"].dropna() + 1e-12).all()


def test_pairwise_refusals(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Duplicates, absent columns and text are named."""
    scores = tidy(inputs("scores"))
    with pytest.raises(ValueError, match="duplicate rows"):
        comparison.pairwise_signed_rank(pd.concat([scores, scores[:1]]), ["dice"])
    with pytest.raises(KeyError, match="assd"):
        comparison.pairwise_signed_rank(scores, ["assd"])
    with pytest.raises(ValueError, match="holds text: 'n/a'"):
        comparison.pairwise_signed_rank(scores.assign(dice="n/a"), ["dice"])
    with pytest.raises(ValueError, match="no complete pairs"):
        comparison.signed_rank([np.nan], [1])


@pytest.mark.parametrize("centre", ["median", "mean"])
def test_levene_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame], centre: str
) -> None:
    """Package car, both centrings, unequal sizes."""
    scores = inputs("scores")
    row = comparison.pairwise_levene({"a": scores["a"], "d": scores["d"][:45]}).iloc[0]
    assert row[f"f_{centre}"] == pytest.approx(expected["levene"][centre]["f"], abs=1e-10)
    assert row[f"p_{centre}"] == pytest.approx(expected["levene"][centre]["p"], abs=1e-10)
    assert (row["n_first"], row["n_second"]) == (60, 45)


def test_levene_pairs_and_reasons() -> None:
    """Bonferroni over the pairs that could be tested; the others have a reason."""
    rng = np.random.default_rng(2)
    samples = {
        "stable": rng.normal(0, 0.08, 100),
        "noisy": rng.normal(0, 0.15, 100),
        "single": [1.0],
        "flat": [2.0, 2.0, 2.0],
        "even": [3.0, 3.0],
    }
    table = comparison.pairwise_levene(samples).set_index(["first", "second"])
    assert table.loc[("stable", "noisy"), "p_median"] < 1e-4
    tested = table[table["reason"] == ""]
    np.testing.assert_allclose(
        tested["p_median_adj"], np.minimum(1, len(tested) * tested["p_median"])
    )
    assert table.loc[("noisy", "single"), "reason"] == "a sample has fewer than two values"
    assert table.loc[("flat", "even"), "reason"] == "both samples are constant"


def test_levene_of_pairs_of_values_is_undefined() -> None:
    """Two values lie equally far from their centre, which is no proof of unequal variances."""
    table = comparison.pairwise_levene({"a": [1.0, 2.0], "b": [1.0, 9.0], "c": [1.0, 5.0, 6.0]})
    rows = table.set_index(["first", "second"])
    assert rows.loc[("a", "b"), "reason"] == "deviations from the centre do not vary"
    assert np.isnan(rows.loc[("a", "b"), "p_median"])
    assert rows.loc[("a", "c"), "reason"] == ""
    assert 0 < rows.loc[("a", "c"), "p_median"] < 1


def test_pitman_morgan_by_hand() -> None:
    """t from the ratio of variances F and the correlation: (F - 1)√(n - 2) / 2√(F (1 - r²))."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=30)
    values = pd.DataFrame(
        {"a": shared + rng.normal(0, 0.3, 30), "b": 1.5 * shared + rng.normal(0, 0.3, 30)}
    )
    values.loc[29, "b"] = np.nan
    row = comparison.pairwise_pitman_morgan({("a", "b"): values}).iloc[0]
    x, y = values.dropna().to_numpy().T
    ratio, r = x.var() / y.var(), np.corrcoef(x, y)[0, 1]
    t = (ratio - 1) * np.sqrt(27) / (2 * np.sqrt(ratio * (1 - r**2)))
    assert (row["n"], row["df"]) == (29, 27)
    assert row[["t", "r_between"]].tolist() == pytest.approx([t, r])
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), 27))
    assert row["sd_first"] == pytest.approx(x.std(ddof=1))


@pytest.mark.parametrize(("ratio", "low", "high"), [(1.0, 0.03, 0.07), (1.3, 0.85, 1.0)])
def test_variances_of_methods_on_the_same_scans(ratio: float, low: float, high: float) -> None:
    """With errors that correlate by 0.9: the level is kept, and a ratio of 1.3 is found."""
    rng = np.random.default_rng(4)
    errors = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], (500, 40)) * [ratio, 1]
    pairs = {
        (f"a{n}", f"b{n}"): pd.DataFrame(e, columns=[f"a{n}", f"b{n}"])
        for n, e in enumerate(errors)
    }
    p = comparison.pairwise_pitman_morgan(pairs)["p"]
    assert low < (p < 0.05).mean() < high
    if ratio > 1:
        independent = [comparison.pairwise_levene(dict(each)) for each in list(pairs.values())[:50]]
        assert np.mean([table["p_median"][0] < 0.05 for table in independent]) < 0.4


def test_pitman_morgan_reasons() -> None:
    flat, short = (
        pd.DataFrame({"a": [1.0, 2, 3, 5], "b": [2.0, 3, 4, 6]}),
        pd.DataFrame({"c": [1.0], "d": [1.0]}),
    )
    table = comparison.pairwise_pitman_morgan({("a", "b"): flat, ("c", "d"): short})
    assert table["reason"].tolist() == ["the values differ by a constant", "fewer than four pairs"]
    assert table["p_adj"].isna().all()


def test_levene_of_three_samples_agrees_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package car; two samples are the pairwise test."""
    scores = inputs("scores")
    samples = [scores["a"][:20], scores["b"][:25], scores["d"][:30]]
    result = comparison.levene_test(samples)
    assert (result.n, result.df) == (75, (2, 72))
    for name, value in expected_tests["levene"].items():
        assert getattr(result, name) == pytest.approx(value), name
    two = comparison.levene_test(samples[:2])
    row = comparison.pairwise_levene({"a": samples[0], "b": samples[1]}).iloc[0]
    assert row["p_median"] == two.p_median
    with pytest.raises(ValueError, match="fewer than two samples"):
        comparison.levene_test(samples[:1])
    with pytest.raises(ValueError, match="all samples are constant"):
        comparison.levene_test([[1, 1], [2, 2], [3, 3]])
