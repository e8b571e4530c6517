"""Volume change of groups of participants compared without covariates: ranks and variances."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from bids_app.group.levels import level_name
from bids_app.group.result import ResultTable
from bids_app.statistics.comparison import levene_test
from bids_app.statistics.effect_size import rank_sum
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.samples import FloatArray

_RANKS = [
    *("by", "method", "first", "second", "n_first", "n_second", "median_first", "median_second"),
    *("u", "rank_biserial", "p", "p_adj", "distribution", "reason"),
]
_VARIANCES = ["by", "method", "n", "f", "df", "df_error", "p", "p_adj", "reason"]


def unadjusted_tables(changes: Mapping[str, pd.DataFrame], prefix: str) -> dict[str, ResultTable]:
    """Compare percentage change between groups by Mann-Whitney and Brown-Forsythe tests.

    Parameters
    ----------
    changes : mapping of str to DataFrame
        By kind of group the rows of changes: ``segmentation``, ``percent``, and the ``group``,
        which is missing in rows that do not count.
    prefix : str
        With which the names of the tables begin.

    Returns
    -------
    dict of str to ResultTable
        Pairs of groups in ranks, and the variances of all groups.
    """
    ranks: list[dict[str, object]] = []
    variances: list[dict[str, object]] = []
    for kind, table in changes.items():
        counted = table[table["group"].notna() & table["percent"].notna()]
        for method in dict.fromkeys(table["segmentation"]):
            rows = counted[counted["segmentation"] == method]
            samples = {
                level_name(level): values.to_numpy("float64")
                for level, values in rows.groupby("group")["percent"]
            }
            key = {"by": kind, "method": str(method)}
            ranks += [
                key | {"first": first, "second": second} | _ranks(samples[first], samples[second])
                for first, second in combinations(samples, 2)
            ]
            variances.append(key | _variances(samples))
    return {
        f"{prefix}_ranks": ResultTable(
            "Change by group: ranks",
            "Percentage change of two groups without covariates, by Mann-Whitney tests. Adjusted "
            "p: Benjamini-Hochberg over all rows.",
            _adjusted(ranks, _RANKS),
        ),
        f"{prefix}_variances": ResultTable(
            "Change by group: variances",
            "Variance of percentage change in all groups, by Levene's test centred at the medians "
            "(Brown and Forsythe). Adjusted p: Benjamini-Hochberg over all rows.",
            _adjusted(variances, _VARIANCES),
        ),
    }


def _ranks(first: FloatArray, second: FloatArray) -> dict[str, object]:
    medians = {"median_first": np.median(first), "median_second": np.median(second)}
    try:
        result = rank_sum(first, second)
    except ValueError as error:
        return {"n_first": first.size, "n_second": second.size, "reason": str(error)} | medians
    return vars(result) | medians | {"reason": ""}


def _variances(samples: Mapping[str, FloatArray]) -> dict[str, object]:
    n = sum(sample.size for sample in samples.values())
    try:
        result = levene_test(list(samples.values()))
    except ValueError as error:
        return {"n": n, "reason": str(error)}
    row = {"n": result.n, "f": result.f_median, "df": result.df[0], "df_error": result.df[1]}
    reason = "" if np.isfinite(result.f_median) else "deviations from the medians do not vary"
    return row | {"p": result.p_median, "reason": reason}


def _adjusted(rows: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_adj=adjust(table["p"].astype("float64")))
