"""Intraclass correlation of raters or methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.samples import (
    ROUNDING,
    FloatArray,
    Interval,
    complete_cases,
    is_constant,
    require_pairs,
)


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Reliability of a single rating, from a two-way layout without replication.

    Attributes
    ----------
    consistency : Interval
        ICC(C,1), also known as ICC(3,1): differences between the raters' means are ignored.
    agreement : Interval
        ICC(A,1), also known as ICC(2,1): differences between the raters' means count as error.
    """

    consistency: Interval
    agreement: Interval


def intraclass_correlation(
    ratings: npt.ArrayLike, confidence: float = 0.95
) -> IntraclassCorrelation:
    """Compute ICC(C,1) and ICC(A,1) with their F-based confidence intervals.

    Parameters
    ----------
    ratings : array_like, shape (n, k)
        One row per subject, one column per rater; rows with a NaN are dropped.
    confidence : float
        Level of the intervals.

    Returns
    -------
    IntraclassCorrelation
        NaN if no rater's ratings vary; 1 with the interval [1, 1] if all raters agree.

    Raises
    ------
    ValueError
        If fewer than three rows are complete or there are fewer than two raters.

    References
    ----------
    McGraw & Wong 1996, Psychol Methods 1:30-46, tables 4 and 7; Shrout & Fleiss 1979,
    Psychol Bull 86:420-428.
    """
    table = _complete_ratings(ratings)
    if all(is_constant(column) for column in table.T):
        return IntraclassCorrelation(*[Interval(np.nan, np.nan, np.nan)] * 2)
    if np.ptp(table, axis=1).max() <= ROUNDING * np.abs(table).max():
        return IntraclassCorrelation(*[Interval(1.0, 1.0, 1.0)] * 2)
    estimates, f_ratios = _two_way_layout(table)
    consistency, agreement = estimates["ICC(C,1)"], estimates["ICC(A,1)"]
    if is_constant(table.mean(axis=1)):
        # Without variance between subjects the F ratio is 0 at any level of confidence.
        return IntraclassCorrelation(Interval(*[consistency] * 3), Interval(*[agreement] * 3))
    error, raters = _mean_squares(f_ratios["ICC(C,1)"], f_ratios["ICC(1,1)"], len(table))
    # pingouin gives intervals of 95 % only, rounded to two decimals.
    return IntraclassCorrelation(
        Interval(consistency, *_consistency_ends(table.shape, error, confidence)),
        Interval(agreement, *_agreement_ends(table.shape, error, raters, agreement, confidence)),
    )


def _complete_ratings(ratings: npt.ArrayLike) -> FloatArray:
    """Return the rows without a NaN, shape (m, k) with m ≥ 3 and k ≥ 2."""
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"ratings need shape (subjects, raters ≥ 2), got {table.shape}")
    table = np.column_stack(complete_cases(*table.T))
    require_pairs(len(table))
    return table


def _two_way_layout(table: FloatArray) -> tuple[dict[str, float], dict[str, float]]:
    """Return pingouin's estimates of the coefficients and their F ratios, both by type."""
    # Its plotting libraries take seconds to import.
    import pingouin

    n, k = table.shape
    ratings = pd.DataFrame(
        {
            "subject": np.repeat(np.arange(n), k),
            "rater": np.tile(np.arange(k), n),
            # Centred, so that sums of squares lose no digits to the mean.
            "rating": (table - table.mean()).ravel(),
        }
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        layout = pingouin.intraclass_corr(ratings, "subject", "rater", "rating")
    types = layout["Type"].tolist()
    return (
        dict(zip(types, layout["ICC"].tolist(), strict=True)),
        dict(zip(types, layout["F"].tolist(), strict=True)),
    )


def _mean_squares(f_two_way: float, f_one_way: float, n: int) -> tuple[float, float]:
    """Return the mean squares of error and raters relative to that of subjects.

    Parameters
    ----------
    f_two_way, f_one_way : float
        F ratios of the subjects in the layouts with and without raters.
    n : int
        Number of subjects.
    """
    # A ratio that is negative or beyond measurement is an error of 0 but for rounding.
    error = 1 / f_two_way if 0 < f_two_way < 1 / ROUNDING else 0.0
    return error, n / f_one_way - (n - 1) * error


def _consistency_ends(
    shape: tuple[int, int], error: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of ICC(C,1); `error` relative to the mean square of subjects."""
    n, k = shape
    df_subjects, df_error = n - 1, (n - 1) * (k - 1)
    f_low = stats.f.ppf((1 + confidence) / 2, df_subjects, df_error)
    f_high = stats.f.ppf((1 + confidence) / 2, df_error, df_subjects)
    return (
        float((1 - f_low * error) / (1 + (k - 1) * f_low * error)),
        float((f_high - error) / (f_high + (k - 1) * error)),
    )


def _agreement_ends(
    shape: tuple[int, int], error: float, raters: float, icc: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of ICC(A,1); mean squares relative to that of subjects.

    McGraw and Wong's constants a and b are both multiplied by n (1 - ICC), which leaves the
    degrees of freedom unchanged.
    """
    n, k = shape
    a, b = k * icc, n * (1 - icc) + k * icc * (n - 1)
    df_error = (a * raters + b * error) ** 2 / (
        (a * raters) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    f_low = stats.f.ppf((1 + confidence) / 2, n - 1, df_error)
    f_high = stats.f.ppf((1 + confidence) / 2, df_error, n - 1)
    within = k * raters + (k * n - k - n) * error
    return (
        float(n * (1 - f_low * error) / (f_low * within + n)),
        float(n * (f_high - error) / (within + n * f_high)),
    )
