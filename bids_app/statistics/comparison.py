"""Comparison of methods: paired tests, bootstrap summaries, variances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bids_app.statistics.samples import (
    FloatArray,
    Interval,
    complete_cases,
    is_constant,
    numeric_column,
    require_columns,
    require_unique,
)

DIFFERENCE_DECIMALS = 10
EXACT_LIMIT = 50
# Resamples are drawn in batches of this many values, so that memory does not grow with n.
BATCH_VALUES = 4_000_000

Adjustment = Literal["fdr_bh", "bonferroni"]
ZeroMethod = Literal["wilcox", "pratt", "zsplit"]
BootstrapMethod = Literal["percentile", "BCa"]
Statistic = Literal["mean", "median"]

CENTRES: tuple[Statistic, ...] = ("median", "mean")


@dataclass(frozen=True)
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
    distribution : str
        Null distribution of `w`: ``exact`` or ``approximate`` (normal, variance with ties).
    """

    n: int
    n_nonzero: int
    w: float
    p: float
    distribution: str


def adjust(
    p_values: npt.ArrayLike,
    families: Sequence[str] | None = None,
    procedure: Adjustment = "fdr_bh",
) -> FloatArray:
    """Adjust p-values for multiplicity; NaN stays NaN and is not counted.

    Parameters
    ----------
    p_values : array_like, shape (m,)
    families : sequence of length m, optional
        The family of each p-value; by default all are one family.
    procedure : {'fdr_bh', 'bonferroni'}

    Returns
    -------
    float64 array, shape (m,)

    Raises
    ------
    ValueError
        If a p-value lies outside [0, 1].

    References
    ----------
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289-300.
    """
    values = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError("p-values must lie in [0, 1]")
    labels = np.zeros(values.size, dtype=np.int64)
    if families is not None:
        labels = pd.factorize(pd.Series(families))[0]
    adjusted = np.full(values.shape, np.nan)
    for label in np.unique(labels[known]):
        members = known & (labels == label)
        adjusted[members] = multipletests(values[members], method=procedure)[1]
    return adjusted


def signed_rank(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    zero_method: ZeroMethod = "wilcox",
    correction: bool = False,
) -> SignedRank:
    """Test whether paired differences are symmetric about zero.

    Differences are rounded to 10 decimals, so that equal volumes that were summed in another
    order count as ties. The null distribution is exact up to 50 pairs without zeros and ties,
    otherwise normal.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Paired samples; pairs with a NaN are dropped.
    zero_method : {'wilcox', 'pratt', 'zsplit'}
        Zero differences are dropped, ranked and dropped, or ranked and split.
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
    Wilcoxon 1945, Biometrics Bull 1:80-83; Pratt 1959, J Am Stat Assoc 54:655-667.
    """
    x, y = complete_cases(first, second)
    if x.size == 0:
        raise ValueError("no complete pairs")
    difference = np.round(x - y, DIFFERENCE_DECIMALS)
    nonzero = difference[difference != 0]
    if nonzero.size == 0:
        return SignedRank(n=x.size, n_nonzero=0, w=0.0, p=1.0, distribution="exact")
    tied = np.unique(np.abs(nonzero)).size < nonzero.size
    exact = x.size <= EXACT_LIMIT and nonzero.size == x.size and not tied
    result = stats.wilcoxon(
        difference,
        zero_method=zero_method,
        correction=correction,
        method="exact" if exact else "approx",
    )
    return SignedRank(
        n=x.size,
        n_nonzero=nonzero.size,
        w=float(result.statistic),
        p=float(result.pvalue),
        distribution="exact" if exact else "approximate",
    )


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
        ``distribution``, ``zero_method``, ``correction``, ``family``, ``reason``.

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
            x, y = complete_cases(wide[first], wide[second])
            row: dict[str, object] = {"measure": measure, "first": first, "second": second}
            if x.size == 0:
                rows.append(row | {"n": 0, "reason": "no complete pairs"})
                continue
            result = signed_rank(x, y, zero_method, correction)
            row |= {"median_difference": float(np.median(x - y)), "reason": "", **vars(result)}
            rows.append(row)
    columns = ["measure", "first", "second", "n", "n_nonzero", "median_difference"]
    columns += ["w", "p", "p_adj", "distribution", "zero_method", "correction", "family", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(
        p_adj=adjust(table["p"], None if family == "all" else table["measure"].tolist()),
        zero_method=zero_method,
        correction=correction,
        family=family,
    )


def bootstrap_interval(
    sample: npt.ArrayLike,
    statistic: Statistic = "median",
    *,
    confidence: float = 0.95,
    method: BootstrapMethod = "percentile",
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Estimate a mean or median with its bootstrap confidence interval.

    Parameters
    ----------
    sample : array_like, shape (n,)
        NaN are dropped.
    statistic : {'median', 'mean'}
    confidence : float
    method : {'percentile', 'BCa'}
        The default is the percentile interval: the jackknife in BCa fails for medians.
    resamples : int
        Number of resamples.
    seed : int
        Seed of the resampling; the same seed gives the same interval.

    Returns
    -------
    Interval
        The ends are NaN for fewer than two values; NaN altogether for none.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 14.
    """
    (values,) = complete_cases(sample)
    if values.size == 0:
        return Interval(np.nan, np.nan, np.nan)
    compute = np.median if statistic == "median" else np.mean
    estimate = float(compute(values))
    if is_constant(values):
        end = estimate if values.size > 1 else np.nan
        return Interval(estimate, end, end)
    if method == "percentile":
        resampled = _resample(values, statistic, resamples, seed)
        low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(estimate, float(low), float(high))
    ends = stats.bootstrap(
        (values,),
        compute,
        n_resamples=resamples,
        batch=max(1, BATCH_VALUES // values.size),
        confidence_level=confidence,
        method=method,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(estimate, float(ends.low), float(ends.high))


def summary_table(
    scores: pd.DataFrame,
    measures: Sequence[str],
    groups: Sequence[str] = ("method",),
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Describe measures by group, for example overlap by method or change by diagnosis.

    Parameters
    ----------
    scores : DataFrame
        The columns `groups` and `measures`.
    measures : sequence of str
        Numeric columns to describe.
    groups : sequence of str
        Columns whose combinations are the groups; rows without a group are left out.
    confidence, resamples, seed
        See `bootstrap_interval`; intervals are percentile intervals.

    Returns
    -------
    DataFrame
        One row per group and measure: `groups`, ``measure``, ``n``, ``missing``, ``mean`` and
        ``median`` (each with ``_ci_low``, ``_ci_high``), ``sd`` (n - 1), ``q1``, ``q3``
        (type 7), ``iqr``, ``minimum``, ``maximum``.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a measure holds text or infinite values.
    """
    require_columns(scores, [*groups, *measures])
    checked = scores.assign(**{measure: numeric_column(scores, measure) for measure in measures})
    rows: list[dict[str, object]] = []
    for names, members in checked.groupby(list(groups), sort=False, observed=True):
        for measure in measures:
            values = members[measure].dropna()
            q1, q3 = values.quantile([0.25, 0.75])
            intervals: dict[str, float] = {}
            for name in ("mean", "median"):
                intervals |= bootstrap_interval(
                    values, name, confidence=confidence, resamples=resamples, seed=seed
                ).columns(name)
            rows.append(
                dict(zip(groups, names, strict=True))
                | {"measure": measure, "n": len(values), "missing": len(members) - len(values)}
                | intervals
                | {"sd": values.std(), "q1": q1, "q3": q3, "iqr": q3 - q1}
                | {"minimum": values.min(), "maximum": values.max()}
            )
    return pd.DataFrame(rows)


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
        row: dict[str, object] = {"first": first, "second": second}
        row |= {"n_first": x.size, "n_second": y.size, "reason": ""}
        if min(x.size, y.size) < 2:
            rows.append(row | {"reason": "a sample has fewer than two values"})
            continue
        row |= {"sd_first": x.std(ddof=1), "sd_second": y.std(ddof=1)}
        if is_constant(x) and is_constant(y):
            rows.append(row | {"reason": "both samples are constant"})
            continue
        for centre in CENTRES:
            compute = np.median if centre == "median" else np.mean
            if all(is_constant(np.abs(values - compute(values))) for values in (x, y)):
                # Also any two values: they lie equally far from their centre.
                row["reason"] = "deviations from the centre do not vary"
                continue
            result = stats.levene(x, y, center=centre)
            row |= {f"f_{centre}": result.statistic, f"p_{centre}": result.pvalue}
        rows.append(row)
    columns = ["first", "second", "n_first", "n_second", "sd_first", "sd_second"]
    columns += ["f_median", "p_median", "p_median_adj", "f_mean", "p_mean", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_median_adj=adjust(table["p_median"], procedure=procedure))


def _resample(values: FloatArray, statistic: Statistic, resamples: int, seed: int) -> FloatArray:
    """Return the statistic in each bootstrap sample.

    Places in the ordered sample are drawn. So all samples of one size share the draws, and the
    median of a draw is the value at its middle places, whatever the values are.
    """
    ordered = np.sort(values)
    rows = max(1, BATCH_VALUES // values.size)
    take = _middles if statistic == "median" else draw_places
    batches = [
        take(values.size, min(rows, resamples - start), seed, batch)
        for batch, start in enumerate(range(0, resamples, rows))
    ]
    return np.concatenate([ordered[places].mean(axis=1) for places in batches])


@lru_cache(maxsize=8)
def draw_places(size: int, rows: int, seed: int, batch: int) -> npt.NDArray[np.int32]:
    """Draw bootstrap samples of `size` places, shape (rows, size); each batch has its own."""
    rng = np.random.default_rng([seed, batch])
    places = np.asarray(rng.integers(size, size=(rows, size), dtype=np.int32))
    places.setflags(write=False)
    return places


@lru_cache(maxsize=64)
def _middles(size: int, rows: int, seed: int, batch: int) -> npt.NDArray[np.int32]:
    """Return the two middle places of each draw, shape (rows, 2); equal for odd sizes."""
    middle = [(size - 1) // 2, size // 2]
    return np.partition(draw_places(size, rows, seed, batch), middle, axis=1)[:, middle]
