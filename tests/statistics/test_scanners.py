"""Variability within and between scanners against its definitions and planted values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_app.statistics.normative import scanner_residuals
from bids_app.statistics.scanners import (
    scanner_variability,
    variability_table,
    variability_tests,
)


def travellers(
    subjects: int,
    scanners: int,
    repeats: int,
    *,
    spread: float = 0.3,
    error: float = 0.08,
    seed: int = 0,
) -> pd.DataFrame:
    """Every subject on every scanner, whose offsets all subjects share."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, spread, scanners)
    rows = [
        (f"s{subject}", f"m{scanner}", f"s{subject}m{scanner}r{repeat}", 13 + subject + offset)
        for subject in range(subjects)
        for scanner, offset in enumerate(offsets)
        for repeat in range(repeats)
    ]
    table = pd.DataFrame(rows, columns=["subject", "scanner", "scan", "volume"])
    return table.assign(method="a", volume=table["volume"] + rng.normal(0, error, len(table)))


def test_of_one_subject_they_are_those_of_the_paper() -> None:
    scans = travellers(1, 12, 4)
    paper = scanner_residuals(scans)
    between = scanner_variability(scans, "inter-scanner")
    assert between.sd.estimate == pytest.approx(paper.inter.std(ddof=1))
    assert between.df == pytest.approx(11)
    ends = stats.chi2.ppf([0.975, 0.025], 11)
    squares = 11 * between.sd.estimate**2
    assert [between.sd.low, between.sd.high] == pytest.approx(np.sqrt(squares / ends))
    within = scanner_variability(scans, "intra-scanner")
    assert within.df == 36
    assert within.sd.estimate == pytest.approx(np.sqrt((paper.intra**2).sum() / 36))
    assert np.sort(within.residuals) == pytest.approx(np.sort(paper.intra))
    assert within.detectable_change == pytest.approx(1.96 * np.sqrt(2) * within.sd.estimate)


def test_shared_scanners_are_not_independent() -> None:
    """The interval holds the planted value in 95 % of simulations, whoever was scanned where."""
    hits, planted = 0, np.sqrt(0.3**2 + 0.08**2)
    for seed in range(300):
        found = scanner_variability(travellers(4, 6, 1, seed=seed), "inter-scanner")
        assert 5 <= found.df < 20
        hits += found.sd.low < planted < found.sd.high
    assert 0.92 < hits / 300 < 0.98


def test_a_method_without_travellers_is_a_row_with_its_reason() -> None:
    scans = travellers(3, 1, 2)
    table = variability_table(scans).set_index("kind")
    assert table.loc["intra-scanner", "subjects"] == 3
    assert "on several scanners" in table.loc["inter-scanner", "reason"]
    single = variability_table(travellers(2, 3, 1)).set_index("kind")
    assert "several scans on one scanner" in single.loc["intra-scanner", "reason"]


def test_the_table_holds_the_estimates_of_each_kind() -> None:
    scans = travellers(3, 8, 2)
    table = variability_table(scans)
    assert table["kind"].tolist() == ["intra-scanner", "inter-scanner"]
    assert table[["subjects", "scanners", "scans"]].to_numpy().tolist() == [[3, 8, 48]] * 2
    for row in table.to_dict("records"):
        found = scanner_variability(scans, row["kind"], confidence=0.95)
        sd = [row[f"deviation_sd{end}"] for end in ("", "_ci_low", "_ci_high")]
        assert sd == pytest.approx([found.sd.estimate, found.sd.low, found.sd.high])
        absolute = np.abs(found.residuals)
        ends = np.quantile(absolute, [0.5, 0.95])
        assert [row["absolute_median"], row["absolute_p95"]] == pytest.approx(ends)
        percent = 100 * found.detectable_change / scans["volume"].mean()
        assert row["detectable_percent"] == pytest.approx(percent)


def test_methods_are_compared_in_pairs_or_as_independent_groups() -> None:
    scans = travellers(2, 20, 2)
    rng = np.random.default_rng(1)
    noisy = scans.assign(method="b", volume=scans["volume"] + rng.normal(0, 0.3, len(scans)))
    apart = travellers(2, 20, 2, seed=3).assign(method="c")
    apart["scan"] += "other"
    tests = variability_tests(pd.concat([scans, noisy, apart], ignore_index=True))
    assert tests.index.tolist() == list(range(6))
    pairs = tests.set_index(["kind", "first", "second"])
    same = pairs.loc[("intra-scanner", "a", "b")]
    assert (same["test"], same["n"]) == ("Pitman–Morgan", 40)
    assert same["p_adj"] == pytest.approx(min(3 * same["p"], 1))
    assert same["p_adj"] < 1e-4
    other = pairs.loc[("inter-scanner", "a", "c")]
    assert (other["test"], other["n"]) == ("Levene, median-centred", 76)
    assert other["p"] > 0.05
