"""Comparison of methods: paired tests and variances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.multiplicity import Adjustment, adjust
from bids_app.statistics.samples import (
    FloatArray,
    complete_cases,
    is_constant,
    numeric_column,
    require_columns,
    require_unique,
)

DIFFERENCE_DECIMALS = 10
EXACT_LIMIT = 50

ZeroMethod = Literal["wilcox", "pratt", "zsplit"]

_SIGNED_RANK_COLUMNS = [
    *("measure", "first", "second", "n", "n_nonzero", "median_difference", "w", "p", "p_adj"),
    *("rank_biserial", "distribution", "zero_method", "correction", "family", "reason"),
]
_LEVENE_COLUMNS = [
    *("first", "second", "n_first", "n_second", "sd_first", "sd_second"),
    *("f_median", "p_median", "p_median_adj", "f_mean", "p_mean", "reason"),
]
_PITMAN_COLUMNS = [
    *("first", "second", "n", "sd_first", "sd_second", "r_between", "t", "df", "p", "p_adj"),
    "reason",
]
CENTRES: tuple[Literal["median", "mean"], ...] = ("median", "mean")


@dataclass(frozen=True, kw_only=True)
class SignedRank:
    """Result of a Wilcoxon signed-rank test.

    Attributes
    ----------
    n, n_nonzero : int
        Complete pairs, and those whose difference is not zero.
    w : float
        The smaller of the sums of positive and of negative ranks.
    p : float
        Two-sided p-value; 1 if every difference is zero.
    rank_biserial : float
        Sum of positive less sum of negative ranks over the sum of all, from -1 to 1; 0 if every
        difference is zero.
    distribution : str
        Null distribution of `w`: ``exact`` or ``approximate`` (normal, variance with ties).
    """

    n: int
    n_nonzero: int
    w: float
    p: float
    rank_biserial: float
    distribution: str


@dataclass(frozen=True, kw_only=True)
class Levene:
    """Test of equal variances of independent samples.

    Attributes
    ----------
    n : int
        Values of all samples.
    df : tuple of int
        Degrees of freedom of numerator and denominator.
    f_median, p_median : float
        Deviations from medians (Brown-Forsythe); NaN if they do not vary.
    f_mean, p_mean : float
        Deviations from means (Levene); NaN if they do not vary.
    """

    n: int
    df: tuple[int, int]
    f_median: float
    p_median: float
    f_mean: float
    p_mean: float


def signed_rank(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    zero_method: ZeroMethod = "wilcox",
    correction: bool = False,
) -> SignedRank:
    """Test whether paired differences are symmetric about zero.

    Differences are rounded to 10 decimals, so that sums in another order count as ties. The null
    distribution is exact up to 50 pairs without zeros and ties, otherwise normal.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Paired samples; pairs with a NaN are dropped.
    zero_method : {'wilcox', 'pratt', 'zsplit'}
        Zero differences are dropped, ranked and then dropped, or ranked and split evenly.
    correction : bool
        Apply a continuity correction to the normal approximation.

    Returns
    -------
    SignedRank

    Raises
    ------
    ValueError
        If no pair is complete.

    References
    ----------
    Wilcoxon 1945, Biometrics Bull 1:80-83; Pratt 1959, J Am Stat Assoc 54:655-667; rank-biserial
    correlation of pairs: Kerby 2014, Compr Psychol 3:11.IT.3.1.
    """
    x, y = complete_cases(first, second)
    if x.size == 0:
        raise ValueError("no complete pairs")
    difference = np.round(x - y, DIFFERENCE_DECIMALS)
    nonzero = int(np.count_nonzero(difference))
    if nonzero == 0:
        return SignedRank(
            n=x.size, n_nonzero=0, w=0.0, p=1.0, rank_biserial=0.0, distribution="exact"
        )
        # The exact distribution assumes distinct magnitudes.
    distinct = nonzero == x.size == np.unique(np.abs(difference)).size
    method: Literal["exact", "approx"] = "exact" if distinct and x.size <= EXACT_LIMIT else "approx"
    test = stats.wilcoxon(difference, None, zero_method, correction, method=method)
    distribution = "exact" if method == "exact" else "approximate"
    return SignedRank(
        n=x.size,
        n_nonzero=nonzero,
        w=float(test.statistic),
        p=float(test.pvalue),
        rank_biserial=_rank_biserial(difference, zero_method),
        distribution=distribution,
    )


def _rank_biserial(difference: FloatArray, zero_method: ZeroMethod) -> float:
    """Return the matched-pairs rank-biserial correlation; not all differences are zero."""
    ranked = difference[difference != 0] if zero_method == "wilcox" else difference
    ranks = stats.rankdata(np.abs(ranked))
    counted = ranks if zero_method == "zsplit" else ranks[ranked != 0]
    return float(np.sign(ranked) @ ranks / counted.sum())


def pairwise_signed_rank(
    scores: pd.DataFrame,
    measures: Sequence[str],
    keys: Sequence[str] = ("subject",),
    *,
    family: Literal["all", "measure"] = "all",
    zero_method: ZeroMethod = "wilcox",
    correction: bool = False,
) -> pd.DataFrame:
    """Compare every pair of methods by the Wilcoxon signed-rank test.

    Parameters
    ----------
    scores : DataFrame
        One row per scan and method: the columns `keys`, ``method`` and `measures`.
    measures : sequence of str
        Numeric columns to compare.
    keys : sequence of str
        Columns that together identify a scan.
    family : {'all', 'measure'}
        Benjamini-Hochberg over all tests, or over the pairs of each measure.
    zero_method, correction
        See `signed_rank`.

    Returns
    -------
    DataFrame
        One row per measure and pair: ``measure``, ``first``, ``second``, ``n``,
        ``n_nonzero``, ``median_difference`` (first - second), ``w``, ``p``, ``p_adj``,
        ``rank_biserial`` (positive if the first is larger), ``distribution``, ``zero_method``,
        ``correction``, ``family``, ``reason``.

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
            row = _signed_rank_columns(wide[first], wide[second], zero_method, correction)
            rows.append({"measure": measure, "first": first, "second": second, **row})
    table = pd.DataFrame(rows, columns=_SIGNED_RANK_COLUMNS)
    return table.assign(
        p_adj=adjust(table["p"], None if family == "all" else table["measure"].tolist()),
        zero_method=zero_method,
        correction=correction,
        family=family,
    )


def _signed_rank_columns(
    first: pd.Series, second: pd.Series, zero_method: ZeroMethod, correction: bool
) -> dict[str, object]:
    x, y = complete_cases(first, second)
    if x.size == 0:
        return {"n": 0, "reason": "no complete pairs"}
    result = signed_rank(x, y, zero_method, correction)
    return {**vars(result), "median_difference": float(np.median(x - y)), "reason": ""}


def pairwise_levene(
    samples: Mapping[str, npt.ArrayLike], procedure: Adjustment = "bonferroni"
) -> pd.DataFrame:
    """Compare the variances of every pair of samples by Levene's test.

    Parameters
    ----------
    samples : mapping of str to array_like
        Independent samples, for example scanner residuals in mL by method; NaN are dropped.
    procedure : {'bonferroni', 'fdr_bh'}
        Adjustment of the median-centred p-values over all pairs.

    Returns
    -------
    DataFrame
        One row per pair: ``first``, ``second``, ``n_first``, ``n_second``, ``sd_first``,
        ``sd_second``, ``f_median``, ``p_median`` (Brown-Forsythe), ``p_median_adj``,
        ``f_mean``, ``p_mean`` (Levene), ``reason``.

    References
    ----------
    Levene 1960, in Contributions to Probability and Statistics, 278-292; Brown & Forsythe
    1974, J Am Stat Assoc 69:364-367; use: Opfer et al. 2022.
    """
    rows: list[dict[str, object]] = []
    for first, second in combinations(samples, 2):
        (x,), (y,) = complete_cases(samples[first]), complete_cases(samples[second])
        rows.append({"first": first, "second": second, **_levene_row(x, y)})
    table = pd.DataFrame(rows, columns=_LEVENE_COLUMNS)
    return table.assign(p_median_adj=adjust(table["p_median"], procedure=procedure))


def _levene_row(x: FloatArray, y: FloatArray) -> dict[str, object]:
    row: dict[str, object] = {"n_first": x.size, "n_second": y.size}
    if min(x.size, y.size) >= 2:
        row |= {"sd_first": x.std(ddof=1), "sd_second": y.std(ddof=1)}
    try:
        result = levene_test([x, y])
    except ValueError as error:
        return row | {"reason": str(error)}
    columns = ("f_median", "p_median", "f_mean", "p_mean")
    row |= {name: getattr(result, name) for name in columns}
    undefined = np.isnan([result.f_median, result.f_mean]).any()
    # Two values always have equal deviations.
    return row | {"reason": "deviations from the centre do not vary" if undefined else ""}


def levene_test(samples: Sequence[npt.ArrayLike]) -> Levene:
    """Test whether two or more independent samples have equal variances.

    Parameters
    ----------
    samples : sequence of array_like
        At least two; NaN are dropped.

    Returns
    -------
    Levene

    Raises
    ------
    ValueError
        If there are fewer than two samples, one has fewer than two values, or all are constant.

    References
    ----------
    Levene 1960, in Contributions to Probability and Statistics, 278-292; Brown & Forsythe
    1974, J Am Stat Assoc 69:364-367.
    """
    groups = [complete_cases(sample)[0] for sample in samples]
    if len(groups) < 2:
        raise ValueError("fewer than two samples")
    if min(group.size for group in groups) < 2:
        raise ValueError("a sample has fewer than two values")
    if all(is_constant(group) for group in groups):
        number = "both" if len(groups) == 2 else "all"
        raise ValueError(f"{number} samples are constant")
    n = sum(group.size for group in groups)
    results: dict[str, tuple[float, float]] = {}
    for centre in CENTRES:
        compute = np.median if centre == "median" else np.mean
        # The test statistic is a ratio of the variances of these deviations.
        if all(is_constant(np.abs(group - compute(group))) for group in groups):
            results[centre] = (np.nan, np.nan)
            continue
        test = stats.levene(*groups, center=centre)
        results[centre] = (float(test.statistic), float(test.pvalue))
    return Levene(
        n=n,
        df=(len(groups) - 1, n - len(groups)),
        f_median=results["median"][0],
        p_median=results["median"][1],
        f_mean=results["mean"][0],
        p_mean=results["mean"][1],
    )


def pairwise_pitman_morgan(
    pairs: Mapping[tuple[str, str], pd.DataFrame], procedure: Adjustment = "bonferroni"
) -> pd.DataFrame:
    """Compare the variances of paired samples by the test of Pitman and Morgan.

    Equal variances make the sum and the difference of the two values of a pair uncorrelated,
    whatever the correlation of the values. Tests for independent samples hardly ever reject where
    it is high.

    Parameters
    ----------
    pairs : mapping of (str, str) to DataFrame
        By the two names: columns of these names, one row per pair; incomplete pairs are dropped.
    procedure : {'bonferroni', 'fdr_bh'}
        Adjustment of the p-values over all pairs of names.

    Returns
    -------
    DataFrame
        One row per pair of names: ``first``, ``second``, ``n`` pairs of values, ``sd_first``,
        ``sd_second``, ``r_between`` (correlation of the values), ``t`` (positive if the first
        varies more), ``df`` (n - 2), ``p``, ``p_adj``, ``reason``.

    References
    ----------
    Pitman 1939, Biometrika 31:9-12; Morgan 1939, Biometrika 31:13-19.
    """
    rows: list[dict[str, object]] = []
    for (first, second), values in pairs.items():
        x, y = complete_cases(values[first], values[second])
        rows.append({"first": first, "second": second, **_pitman_morgan_row(x, y)})
    table = pd.DataFrame(rows, columns=_PITMAN_COLUMNS)
    return table.assign(p_adj=adjust(table["p"], procedure=procedure))


def _pitman_morgan_row(x: FloatArray, y: FloatArray) -> dict[str, object]:
    row: dict[str, object] = {"n": x.size, "reason": ""}
    if x.size < 4:
        return row | {"reason": "fewer than four pairs"}
    row |= {"sd_first": x.std(ddof=1), "sd_second": y.std(ddof=1)}
    if is_constant(x - y) or is_constant(x + y):
        return row | {"reason": "the values differ by a constant"}
    if not (is_constant(x) or is_constant(y)):
        row["r_between"] = stats.pearsonr(x, y).statistic
    result = stats.pearsonr(x + y, x - y)
    df = x.size - 2
    with np.errstate(divide="ignore"):
        t = result.statistic * np.sqrt(df / (1 - result.statistic**2))
    return row | {"t": t, "df": df, "p": result.pvalue}
