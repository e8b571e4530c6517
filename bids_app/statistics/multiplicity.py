"""Adjustment of p-values for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.stats.multitest import multipletests

from bids_app.statistics.samples import FloatArray

Adjustment = Literal["fdr_bh", "bonferroni"]
Family = Literal["all", "outcome"]


def adjust(
    p_values: npt.ArrayLike,
    families: Sequence[str] | None = None,
    procedure: Adjustment = "fdr_bh",
) -> FloatArray:
    """Adjust p-values for multiplicity; NaN stays NaN and is not counted.

    Parameters
    ----------
    p_values : array_like, shape (m,)
        In [0, 1] or NaN.
    families : sequence of length m, optional
        The family of each p-value; by default all are one family.
    procedure : {'fdr_bh', 'bonferroni'}

    Returns
    -------
    float64 array, shape (m,)
        Adjusted p-values.

    Raises
    ------
    ValueError
        If a p-value lies outside [0, 1].

    References
    ----------
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289-300.
    """
    values = np.asarray(p_values, dtype=np.float64)
    # multipletests returns NaN for all p-values if one is NaN.
    defined = ~np.isnan(values)
    if ((values[defined] < 0) | (values[defined] > 1)).any():
        raise ValueError("p-values must lie in [0, 1]")
    labels = np.zeros(values.size, dtype=np.int64)
    if families is not None:
        labels = pd.factorize(pd.Series(families))[0]
    adjusted = np.full(values.shape, np.nan)
    for label in np.unique(labels[defined]):
        members = defined & (labels == label)
        adjusted[members] = multipletests(values[members], method=procedure)[1]
    return adjusted


def adjust_family(table: pd.DataFrame, family: Family) -> pd.DataFrame:
    """Fill ``p_adj`` from ``p`` by Benjamini-Hochberg and name the ``family``.

    Parameters
    ----------
    table : DataFrame
        The columns ``p`` and ``outcome``.
    family : {'all', 'outcome'}

    Returns
    -------
    DataFrame
        A copy of `table`.
    """
    families = None if family == "all" else table["outcome"].tolist()
    return table.assign(p_adj=adjust(table["p"], families), family=family)
