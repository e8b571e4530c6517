"""Comparison of means and ranks of two samples, with effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.samples import (
    Interval,
    complete_cases,
    is_constant,
    numeric_column,
    require_columns,
    require_unique,
)

_PAIRED_T_COLUMNS = [
    *("measure", "first", "second", "n", "mean_difference", "mean_difference_ci_low"),
    *("mean_difference_ci_high", "t", "df", "p", "p_adj", "d_z", "d_av", "reason"),
]


@dataclass(frozen=True, kw_only=True)
class PairedT:
    """Result of a paired t test.

    Attributes
    ----------
    n : int
        Complete pairs.
    difference : Interval
        Mean of first minus second.
    t, p : float
        Statistic and two-sided p-value.
    df : int
    d_z, d_av : float
        Cohen's d: the mean difference over the SD of the differences, and over the root mean
        square of the SDs of both samples.
    """

    n: int
    difference: Interval
    t: float
    df: int
    p: float
    d_z: float
    d_av: float


@dataclass(frozen=True, kw_only=True)
class RankSum:
    """Result of a Mann-Whitney test.

    Attributes
    ----------
    n_first, n_second : int
    u : float
        Pairs in which the first value is larger, ties one half.
    p : float
        Two-sided p-value.
    rank_biserial : float
        2 U / (n_first · n_second) - 1: share of pairs in which the first is larger less share in
        which it is smaller, from -1 to 1.
    distribution : str
        Null distribution of `u`: ``exact`` or ``approximate`` (normal, variance with ties,
        continuity correction).
    """

    n_first: int
    n_second: int
    u: float
    p: float
    rank_biserial: float
    distribution: str


def paired_t(first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95) -> PairedT:
    """Test whether the mean difference of pairs is zero.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Paired samples; pairs with a NaN are dropped.
    confidence : float
        Level of the interval.

    Returns
    -------
    PairedT

    Raises
    ------
    ValueError
        If fewer than two pairs are complete, or all differences are equal.

    References
    ----------
    Student 1908, Biometrika 6:1-25; d_z: Cohen 1988, Statistical Power Analysis, section 2.3.5;
    d_av: Cumming 2012, Understanding the New Statistics, chapter 11.
    """
    x, y = complete_cases(first, second)
    if x.size < 2:
        raise ValueError(f"{x.size} complete pairs, at least 2 are needed")
    difference = x - y
    # Differences of equal pairs vary by the rounding of the values.
    if np.ptp(difference) <= 1e-12 * max(np.abs(x).max(), np.abs(y).max()):
        raise ValueError("all differences are equal")
    result = stats.ttest_rel(x, y)
    ends = result.confidence_interval(confidence)
    mean, average = float(difference.mean()), np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2)
    return PairedT(
        n=x.size,
        difference=Interval(mean, float(ends.low), float(ends.high)),
        t=float(result.statistic),
        df=int(result.df),
        p=float(result.pvalue),
        d_z=mean / float(difference.std(ddof=1)),
        d_av=mean / float(average),
    )


def pairwise_t(
    scores: pd.DataFrame,
    measures: Sequence[str],
    keys: Sequence[str] = ("subject",),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare every pair of methods by paired t tests, as after an analysis of variance.

    Parameters
    ----------
    scores : DataFrame
        One row per scan and method: the columns `keys`, ``method`` and `measures`.
    measures : sequence of str
        Numeric columns to compare.
    keys : sequence of str
        Columns that together identify a scan.
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per measure and pair: ``measure``, ``first``, ``second``, ``n``,
        ``mean_difference`` (first - second) with ``_ci_low`` and ``_ci_high``, ``t``, ``df``,
        ``p``, ``p_adj`` (Bonferroni over the pairs of a measure), ``d_z``, ``d_av``, ``reason``.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a scan appears twice for a method, or a measure holds text or infinite values.
    """
    require_columns(scores, [*keys, "method", *measures])
    require_unique(scores, [*keys, "method"])
    checked = scores.assign(**{measure: numeric_column(scores, measure) for measure in measures})
    methods = list(dict.fromkeys(scores["method"]))
    rows: list[dict[str, object]] = []
    for measure in measures:
        wide = checked.pivot(index=list(keys), columns="method", values=measure)
        for first, second in combinations(methods, 2):
            row = {"measure": measure, "first": first, "second": second}
            rows.append(row | _paired_columns(wide[first], wide[second], confidence))
    table = pd.DataFrame(rows, columns=_PAIRED_T_COLUMNS)
    adjusted = adjust(table["p"], table["measure"].tolist(), procedure="bonferroni")
    return table.assign(p_adj=adjusted)


def rank_sum(first: npt.ArrayLike, second: npt.ArrayLike) -> RankSum:
    """Test whether the values of two independent samples tend to be equally large.

    Parameters
    ----------
    first, second : array_like, shapes (n,) and (m,)
        NaN are dropped. The null distribution is exact if a sample has at most 8 values and there
        are no ties.

    Returns
    -------
    RankSum

    Raises
    ------
    ValueError
        If a sample is empty, or all values are equal.

    References
    ----------
    Mann & Whitney 1947, Ann Math Stat 18:50-60; rank-biserial correlation: Cureton 1956,
    Psychometrika 21:287-290.
    """
    (x,), (y,) = complete_cases(first), complete_cases(second)
    if min(x.size, y.size) == 0:
        raise ValueError(f"{x.size} and {y.size} values cannot be compared")
    pooled = np.concatenate([x, y])
    if is_constant(pooled):
        raise ValueError("all values are equal")
    exact = min(x.size, y.size) <= 8 and np.unique(pooled).size == pooled.size
    result = stats.mannwhitneyu(x, y, method="exact" if exact else "asymptotic")
    u = float(result.statistic)
    return RankSum(
        n_first=x.size,
        n_second=y.size,
        u=u,
        p=float(result.pvalue),
        rank_biserial=2 * u / (x.size * y.size) - 1,
        distribution="exact" if exact else "approximate",
    )


def _paired_columns(first: pd.Series, second: pd.Series, confidence: float) -> dict[str, object]:
    try:
        result = paired_t(first, second, confidence)
    except ValueError as error:
        return {"n": int((first.notna() & second.notna()).sum()), "reason": str(error)}
    columns = {name: value for name, value in vars(result).items() if name != "difference"}
    return columns | result.difference.columns("mean_difference") | {"reason": ""}
