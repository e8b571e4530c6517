"""Description of samples: the first table of a paper, and summaries by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from bids_app.statistics.bootstrap import Statistic, bootstrap_interval
from bids_app.statistics.samples import Interval, numeric_column, require_columns


def describe_sample(
    people: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]
) -> pd.DataFrame:
    """Describe numeric variables by their distribution and categorical ones by their counts.

    Parameters
    ----------
    people : DataFrame
        One row per participant.
    numeric, categorical : sequence of str
        Columns to describe.

    Returns
    -------
    DataFrame
        One row per numeric variable and per level of a categorical one: ``variable``, ``level``
        (missing for a numeric variable), ``n`` values present, ``missing``, ``mean``, ``sd``
        (n - 1), ``median``, ``q1``, ``q3`` (type 7), ``minimum``, ``maximum``; for a level its
        ``count`` and its ``share`` of the values present.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a numeric column holds text or infinite values.
    """
    require_columns(people, [*numeric, *categorical])
    rows: list[dict[str, Any]] = []
    for name in numeric:
        values = numeric_column(people, name).dropna()
        q1, median, q3 = values.quantile([0.25, 0.5, 0.75])
        row = _presence(people, name) | {"mean": values.mean(), "sd": values.std()}
        row |= {"median": median, "q1": q1, "q3": q3}
        rows.append(row | {"minimum": values.min(), "maximum": values.max()})
    for name in categorical:
        # In order of the levels rather than of their counts, which differ between groups.
        counts = people[name].value_counts().sort_index()
        presence = _presence(people, name)
        for level, count in counts.items():
            share = count / presence["n"]
            rows.append(presence | {"level": level, "count": count, "share": share})
    columns = ["variable", "level", "n", "missing", "mean", "sd", "median", "q1", "q3"]
    return pd.DataFrame(rows, columns=[*columns, "minimum", "maximum", "count", "share"])


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
        Columns whose combinations are the groups; rows without a group are excluded.
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
    estimate = partial(bootstrap_interval, confidence=confidence, resamples=resamples, seed=seed)
    rows: list[dict[str, object]] = []
    for names, members in checked.groupby(list(groups), sort=False, observed=True):
        for measure in measures:
            row = dict(zip(groups, names, strict=True)) | {"measure": measure}
            rows.append(row | _summary_columns(members[measure], estimate))
    return pd.DataFrame(rows)


def _summary_columns(
    measure: pd.Series, estimate: Callable[[pd.Series, Statistic], Interval]
) -> dict[str, object]:
    values = measure.dropna()
    q1, q3 = values.quantile([0.25, 0.75])
    return {
        "n": len(values),
        "missing": len(measure) - len(values),
        **estimate(values, "mean").columns("mean"),
        **estimate(values, "median").columns("median"),
        "sd": values.std(),
        "q1": q1,
        "q3": q3,
        "iqr": q3 - q1,
        "minimum": values.min(),
        "maximum": values.max(),
    }


def _presence(people: pd.DataFrame, name: str) -> dict[str, Any]:
    n = int(people[name].notna().sum())
    return {"variable": name, "n": n, "missing": len(people) - n}
