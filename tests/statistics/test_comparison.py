"""Paired tests, multiplicity, bootstrap summaries and variances."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bids_app.statistics import comparison
from bids_app.statistics.samples import FloatArray

FEW = settings(max_examples=25, deadline=None)
SAMPLES = hnp.arrays(np.float64, (2, 15), elements=st.integers(0, 40).map(lambda v: v / 8))
P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), min_size=1, max_size=12)


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
    for other in ((y, x), (x[order], y[order]), (4 * x, 4 * y), (x + 2, y + 2)):
        assert comparison.signed_rank(*other) == base


def test_published_false_discovery_rate() -> None:
    """Benjamini & Hochberg 1995, section 4.1: four of fifteen are rejected at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert (comparison.adjust(p) <= 0.05).sum() == 4
    assert (comparison.adjust(p, procedure="bonferroni") <= 0.05).sum() == 3


@pytest.mark.parametrize("procedure", ["fdr_bh", "bonferroni"])
def test_adjust_agrees_with_r(expected: dict[str, Any], procedure: comparison.Adjustment) -> None:
    """p.adjust, with a missing p-value."""
    values = expected["adjust"]
    observed = comparison.adjust(np.array(values["p"], dtype=float), procedure=procedure)
    np.testing.assert_allclose(observed, np.array(values[procedure], dtype=float), atol=1e-12)


@FEW
@given(P_VALUES)
def test_adjust_properties(values: list[float]) -> None:
    """Adjusted values are no smaller, keep the order, and missing ones count for nothing."""
    adjusted = comparison.adjust(values)
    known = ~np.isnan(values)
    assert np.isnan(adjusted[~known]).all()
    p = np.asarray(values)[known]
    assert (adjusted[known] >= p).all()
    assert (adjusted[known] <= 1).all()
    assert (np.diff(adjusted[known][np.argsort(p, kind="stable")]) >= 0).all()
    np.testing.assert_array_equal(adjusted[known], comparison.adjust(p))


def test_families_are_adjusted_apart() -> None:
    """Two families of one p-value each need no adjustment."""
    assert comparison.adjust([0.01, 0.04], ["edss", "sdmt"]).tolist() == [0.01, 0.04]
    assert comparison.adjust([0.01, 0.04]).tolist() == [0.02, 0.04]
    with pytest.raises(ValueError, match="p-values"):
        comparison.adjust([0.5, 1.5])


def tidy(wide: pd.DataFrame) -> pd.DataFrame:
    """Return one row per subject and method, with a second measure."""
    long = wide.melt(id_vars="subject", var_name="method", value_name="dice")
    return long.assign(hd=1 - long["dice"])


def test_pairwise_table(inputs: Callable[[str], pd.DataFrame]) -> None:
    """All pairs of all measures; missing methods stand with their reason."""
    wide = inputs("scores").assign(empty=np.nan)
    table = comparison.pairwise_signed_rank(tidy(wide), ["dice", "hd"])
    assert len(table) == 2 * 10
    assert (table["reason"] == "no complete pairs").sum() == 8
    tested = table[table["reason"] == ""]
    np.testing.assert_allclose(tested["p_adj"], comparison.adjust(tested["p"]))
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


def test_summary_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Quartiles of type 7, standard deviation with n - 1."""
    table = comparison.summary_table(tidy(inputs("scores")), ["dice"]).set_index("method")
    for method, values in expected["summary"].items():
        for name, value in values.items():
            assert table.loc[method, name] == pytest.approx(value, abs=1e-12), name
        row = table.loc[method]
        assert row["mean_ci_low"] < row["mean"] < row["mean_ci_high"]
        assert row["median_ci_low"] <= row["median"] <= row["median_ci_high"]


def test_summary_of_groups_with_gaps() -> None:
    """Missing values are counted, a group with no value has NaN, one without a name is left out."""
    scores = pd.DataFrame(
        {
            "method": ["a", "a", "a", "b", "b"],
            "diagnosis": ["RRMS", "RRMS", "HC", "HC", None],
            "change": [1.0, np.nan, 3.0, np.nan, 5.0],
        }
    )
    table = comparison.summary_table(scores, ["change"], ["method", "diagnosis"])
    assert table["n"].tolist() == [1, 1, 0]
    assert table["missing"].tolist() == [1, 0, 1]
    assert table["mean"].tolist()[:2] == [1, 3]
    assert table.loc[2, ["mean", "median", "q1", "sd"]].isna().all()


def test_bootstrap_mean_is_near_the_t_interval() -> None:
    """For a normal sample the intervals of theory and bootstrap agree within a few percent."""
    sample = np.random.default_rng(0).normal(9, 2, 200)
    half = 1.972 * sample.std(ddof=1) / np.sqrt(200)
    for method in ("percentile", "BCa"):
        interval = comparison.bootstrap_interval(sample, "mean", method=method)
        assert interval.estimate == pytest.approx(sample.mean())
        assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)


def test_bootstrap_median_matches_its_exact_distribution() -> None:
    """The bootstrap median of an odd sample has binomial percentiles (Efron 1979)."""
    sample = np.arange(1, 102, dtype=float)
    interval = comparison.bootstrap_interval(sample, resamples=20000)
    assert interval.estimate == 51
    # P(median* ≤ k) = P(Binomial(101, k/101) ≥ 51); the 2.5 and 97.5 % points are 41 and 61.
    assert (interval.low, interval.high) == (pytest.approx(41, abs=1), pytest.approx(61, abs=1))


def test_bootstrap_covers() -> None:
    """The interval of the median of a skewed sample covers it at about the nominal rate."""
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        interval = comparison.bootstrap_interval(rng.exponential(size=60), resamples=400)
        hits += interval.low <= np.log(2) <= interval.high
    assert 0.89 <= hits / 200 <= 0.99


def test_bootstrap_is_seeded_and_handles_small_samples() -> None:
    """Same seed, same interval; one value has no interval, no value no estimate."""
    sample = np.random.default_rng(1).normal(size=30)
    first, again, other = (
        comparison.bootstrap_interval(sample, "mean", seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert np.isnan(comparison.bootstrap_interval([3.0, np.nan]).low)
    assert np.isnan(comparison.bootstrap_interval([]).estimate)
    assert comparison.bootstrap_interval([2.0, 2.0]) == comparison.Interval(2, 2, 2)


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
