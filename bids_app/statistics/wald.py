"""Wald statistics of coefficients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from bids_app.statistics.samples import FloatArray


def wald_table(
    beta: FloatArray, se: FloatArray, names: Iterable[str], confidence: float
) -> pd.DataFrame:
    """Tabulate coefficients with intervals and tests by the normal approximation.

    Parameters
    ----------
    beta, se : float64 array, shape (p,)
        Estimates and their standard errors.
    names : iterable of length p
        Names of the terms.
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per term: ``beta``, ``se``, ``ci_low``, ``ci_high``, ``z``, ``p``.
    """
    half = stats.norm.ppf((1 + confidence) / 2) * se
    z = beta / se
    return pd.DataFrame(
        {
            "beta": beta,
            "se": se,
            "ci_low": beta - half,
            "ci_high": beta + half,
            "z": z,
            "p": 2 * stats.norm.sf(np.abs(z)),
        },
        index=list(names),
    )


def odds_ratios(coefficients: pd.DataFrame) -> pd.DataFrame:
    """Add the odds ratios of log odds.

    Parameters
    ----------
    coefficients : DataFrame
        ``beta``, ``ci_low`` and ``ci_high``.

    Returns
    -------
    DataFrame
        A copy with ``odds_ratio``, ``odds_ratio_ci_low`` and ``odds_ratio_ci_high``.
    """
    return coefficients.assign(
        odds_ratio=np.exp(coefficients["beta"]),
        odds_ratio_ci_low=np.exp(coefficients["ci_low"]),
        odds_ratio_ci_high=np.exp(coefficients["ci_high"]),
    )
