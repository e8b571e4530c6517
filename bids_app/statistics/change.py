"""Change between visits, and the size of a trial that could detect its slowing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.bootstrap import bootstrap_ends
from bids_app.statistics.samples import (
    FloatArray,
    Interval,
    complete_cases,
    is_constant,
    numeric_column,
    require_columns,
    require_unique,
)

# In smaller samples, many bootstrap samples hold one value only and have no effect size.
MINIMUM_RATES = 10
_CHANGE_COLUMNS = [
    *("followup", "interval", "baseline", "value"),
    *("change", "percent", "annual_change", "annual_percent"),
]


def change_table(
    visits: pd.DataFrame,
    value: str,
    keys: Sequence[str] = ("subject", "method"),
    time: str = "years",
) -> pd.DataFrame:
    """Compute the change of a value from the first visit to every later one.

    Parameters
    ----------
    visits : DataFrame
        One row per visit: the columns `keys`, `time` and `value`.
    value : str
        Numeric column, for example ``volume`` (mL) or ``edss``.
    keys : sequence of str
        Columns that together identify a longitudinal series.
    time : str
        Column of the time of the visit in years, of any origin.

    Returns
    -------
    DataFrame
        One row per series and later visit: `keys`, ``followup`` (1, 2, …), ``interval``
        (years), ``baseline``, ``value``, ``change`` (value - baseline), ``percent`` (of
        baseline), and both divided by the interval as ``annual_change``, ``annual_percent``.
        A missing value, also at baseline, makes the change NaN; a baseline that is not
        positive makes the percentage NaN.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If two visits of a series have the same time, a time is missing, or a column holds
        text or infinite values.
    """
    series = _ordered_visits(visits, value, keys, time)
    later = _with_baseline(series, keys)
    later["interval"] = later["time"] - later["start"]
    later["change"] = later["value"] - later["baseline"]
    # A percentage of nothing, or of a negative score, has no meaning.
    later["percent"] = 100 * later["change"] / later["baseline"].where(later["baseline"] > 0)
    later["annual_change"] = later["change"] / later["interval"]
    later["annual_percent"] = later["percent"] / later["interval"]
    ordered = later.sort_values([*keys, "followup"], kind="stable", ignore_index=True)
    return ordered[[*keys, *_CHANGE_COLUMNS]]


def _with_baseline(series: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the follow-up visits with ``start`` and ``baseline``, time and value of the first."""
    first = series[series["followup"] == 0].rename(columns={"time": "start", "value": "baseline"})
    return series[series["followup"] > 0].merge(
        first.drop(columns="followup"), on=list(keys), how="left", validate="many_to_one"
    )


def _ordered_visits(
    visits: pd.DataFrame, value: str, keys: Sequence[str], time: str
) -> pd.DataFrame:
    """Return `keys`, ``time`` and ``value`` in order of time, and the ``followup`` from 0."""
    require_columns(visits, [*keys, time, value])
    require_unique(visits, [*keys, time])
    series = visits[list(keys)].assign(
        time=numeric_column(visits, time), value=numeric_column(visits, value)
    )
    if series["time"].isna().any():
        raise ValueError(f"{int(series['time'].isna().sum())} visits have no '{time}'")
    series = series.sort_values("time", kind="stable")
    followup = series.groupby(list(keys), sort=False, dropna=False).cumcount()
    return series.assign(followup=followup)


def sample_size(
    effect_size: npt.ArrayLike, slowing: float = 0.3, power: float = 0.8, alpha: float = 0.05
) -> FloatArray:
    """Compute the subjects per arm that a two-arm trial needs to detect slower atrophy.

    Parameters
    ----------
    effect_size : array_like
        Mean rate of change divided by its standard deviation; atrophy is negative.
    slowing : float
        Fraction of the rate that treatment prevents.
    power : float
    alpha : float
        Two-sided significance level.

    Returns
    -------
    float64 array
        n = 2 (z(1 - alpha/2) + z(power))² / (slowing · effect size)², not rounded; infinite
        where there is no atrophy to slow.

    Raises
    ------
    ValueError
        If a fraction does not lie strictly between 0 and 1 (slowing: at most 1).

    References
    ----------
    Fox et al. 2000, Arch Neurol 57:339-344; Altmann et al. 2009, Neurology 72:595-601.
    """
    if not (0 < slowing <= 1 and 0 < power < 1 and 0 < alpha < 1):
        raise ValueError(f"slowing {slowing}, power {power} or alpha {alpha} is no fraction")
    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    # Growth counts as no atrophy, which makes the size infinite.
    loss = np.maximum(-np.asarray(effect_size, dtype=np.float64), 0)
    with np.errstate(divide="ignore"):
        return np.asarray(2 * quantiles**2 / (slowing * loss) ** 2)


def sample_size_table(
    changes: pd.DataFrame,
    rate: str = "annual_percent",
    groups: Sequence[str] = ("method",),
    *,
    slowing: float = 0.3,
    power: float = 0.8,
    alpha: float = 0.05,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute the sample size per arm for each method with its bootstrap interval.

    The interval is computed for the effect size; its percentiles map monotonically to sample
    sizes, which may be infinite.

    Parameters
    ----------
    changes : DataFrame
        One row per subject and method: `groups` and `rate`.
    rate : str
        Column of the rate of change.
    groups : sequence of str
        Columns whose combinations are compared.
    slowing, power, alpha
        See `sample_size`.
    confidence : float
    resamples, seed : int
        Number of bootstrap samples of subjects and the seed of their drawing.

    Returns
    -------
    DataFrame
        One row per group: `groups`, ``n``, ``mean``, ``sd``, ``sample_size`` with
        ``_ci_low`` and ``_ci_high`` (rounded up, possibly infinite), ``slowing``, ``power``,
        ``alpha``, ``reason``.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If the rates hold text or infinite values, or see `sample_size`.
    """
    require_columns(changes, [*groups, rate])
    checked = changes[list(groups)].assign(rate=numeric_column(changes, rate))
    settings = {"slowing": slowing, "power": power, "alpha": alpha}
    rows: list[dict[str, object]] = []
    for names, members in checked.groupby(list(groups), sort=False):
        (rates,) = complete_cases(members["rate"])
        row: dict[str, object] = {**dict(zip(groups, names, strict=True)), "n": rates.size}
        if rates.size < MINIMUM_RATES or is_constant(rates):
            rows.append(row | {"reason": f"fewer than {MINIMUM_RATES} rates, or all are equal"})
            continue
        ends = bootstrap_ends(rates, _effect_size, confidence, "percentile", resamples, seed)
        sizes = np.ceil(sample_size([float(_effect_size(rates)), *ends], slowing, power, alpha))
        row |= {"mean": rates.mean(), "sd": rates.std(ddof=1), "reason": ""}
        rows.append(row | Interval(*sizes.tolist()).columns("sample_size"))
    columns = [*groups, "n", "mean", "sd", "sample_size", "sample_size_ci_low"]
    columns += ["sample_size_ci_high", *settings, "reason"]
    return pd.DataFrame(rows, columns=columns).assign(**settings)


def _effect_size(rates: FloatArray, axis: int = -1) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(rates.mean(axis=axis) / rates.std(axis=axis, ddof=1))
