"""Intervals and tests of coefficients from their standard errors."""

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


def student_table(
    beta: FloatArray, se: FloatArray, df: FloatArray, names: Iterable[str], confidence: float
) -> pd.DataFrame:
    """Tabulate coefficients with intervals and tests by t distributions.

    Parameters
    ----------
    beta, se, df : float64 array, shape (p,)
        Estimates, their standard errors and degrees of freedom.
    names, confidence
        As for `wald_table`.

    Returns
    -------
    DataFrame
        One row per term: ``beta``, ``se``, ``ci_low``, ``ci_high``, ``t``, ``df``, ``p``.
    """
    half = stats.t.ppf((1 + confidence) / 2, df) * se
    t = beta / se
    return pd.DataFrame(
        {
            "beta": beta,
            "se": se,
            "ci_low": beta - half,
            "ci_high": beta + half,
            "t": t,
            "df": df,
            "p": 2 * stats.t.sf(np.abs(t), df),
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
