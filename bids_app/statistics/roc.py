"""Areas under ROC curves by the method of DeLong: intervals, and the test of two on one sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from bids_app.statistics.samples import ROUNDING, FloatArray, Interval, complete_cases


@dataclass(frozen=True, kw_only=True)
class RocArea:
    """Area under a ROC curve.

    Attributes
    ----------
    n, positives : int
        Complete cases, and those of the positive class.
    auc : Interval
        Area with its Wald interval, clipped to [0, 1].
    se : float
        Standard error by DeLong; 0, and an interval without width, for areas of 0 and 1.
    """

    n: int
    positives: int
    auc: Interval
    se: float


@dataclass(frozen=True, kw_only=True)
class RocDifference:
    """Difference of the areas under two ROC curves of one sample.

    Attributes
    ----------
    first, second : float
        The two areas.
    difference : Interval
        First minus second, with its Wald interval.
    se, z, p : float
        Standard error, statistic and two-sided p-value; z and p are NaN if both scores rank the
        cases alike.
    """

    first: float
    second: float
    difference: Interval
    se: float
    z: float
    p: float


def roc_area(truth: npt.ArrayLike, score: npt.ArrayLike, confidence: float = 0.95) -> RocArea:
    """Estimate the area under a ROC curve.

    Parameters
    ----------
    truth : array_like, shape (n,)
        Class of each case: 1 or true for the positive one; cases with a NaN are dropped.
    score : array_like, shape (n,)
        Higher values indicate the positive class; ties count one half.
    confidence : float
        Level of the interval.

    Returns
    -------
    RocArea

    Raises
    ------
    ValueError
        If a class has fewer than two cases, or `truth` holds other values than 0 and 1.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837-845.
    """
    classes, scores = complete_cases(truth, score)
    areas, covariance, positives = _areas(classes, scores[np.newaxis])
    auc, se = float(areas[0]), float(np.sqrt(max(covariance[0, 0], 0.0)))
    low, high = np.clip(auc + _half_width(se, confidence), 0, 1)
    return RocArea(
        n=scores.size, positives=positives, auc=Interval(auc, float(low), float(high)), se=se
    )


def compare_roc_areas(
    truth: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95
) -> RocDifference:
    """Test whether two scores of the same cases have equal areas under their ROC curves.

    Parameters
    ----------
    truth, first, second : array_like, shape (n,)
        As for `roc_area`; cases with a NaN in any of them are dropped.
    confidence : float
        Level of the interval of the difference.

    Returns
    -------
    RocDifference

    Raises
    ------
    ValueError
        See `roc_area`.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837-845.
    """
    classes, *scores = complete_cases(truth, first, second)
    areas, covariance, _ = _areas(classes, np.stack(scores))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    # Scores that rank the cases alike differ by rounding only.
    se = float(np.sqrt(variance)) if variance > ROUNDING**2 else 0.0
    z = difference / se if se else np.nan
    low, high = difference + _half_width(se, confidence)
    return RocDifference(
        first=float(areas[0]),
        second=float(areas[1]),
        difference=Interval(difference, float(low), float(high)),
        se=se,
        z=z,
        p=float(2 * stats.norm.sf(abs(z))),
    )


def _areas(classes: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Return areas (k,), their covariance (k, k) and the positives, for scores of shape (k, n)."""
    if not np.isin(classes, (0, 1)).all():
        raise ValueError("classes must be 0 or 1")
    positive = classes == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise ValueError(f"{m} positive and {n} negative cases, at least 2 of each are needed")
    # Share of the other class that each case exceeds, ties half, from midranks.
    overall = stats.rankdata(scores, axis=1)
    above = (overall[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / n
    below = 1 - (overall[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / m
    covariance = np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n
    return above.mean(axis=1), covariance, m


def _half_width(se: float, confidence: float) -> FloatArray:
    half = stats.norm.ppf((1 + confidence) / 2) * se
    return np.array([-half, half])
