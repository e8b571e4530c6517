"""Intervals of what cross-validated predictions are worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.discrimination import DECISION, METRICS
from bids_app.statistics.samples import FloatArray, Interval


class _Parts(NamedTuple):
    """How a measure is made of the means of both classes, the disabled first.

    Attributes
    ----------
    mean : tuple of float
        Weights of the two means.
    influence : tuple of float
        Weights of the deviations of single scans from them.
    """

    mean: tuple[float, float]
    influence: tuple[float, float]


_HALF = (0.5, 0.5)
_PARTS = {
    "balanced_accuracy": _Parts(_HALF, _HALF),
    "sensitivity": _Parts((1, 0), (1, 0)),
    "specificity": _Parts((0, 1), (0, 1)),
    # Either mean is the area; a scan moves the pairs that it is part of.
    "auc": _Parts(_HALF, (1, 1)),
}


def assess(predicted: pd.DataFrame, confidence: float = 0.95) -> dict[str, Interval]:
    """Estimate measures of discrimination, averaged over folds and repetitions.

    Areas are computed within each fold, since scores of different models are not comparable.
    Their variance has two parts: that of the patients of the test sets by influence curves (LeDell
    et al. 2015), and that of the models, whose training sets overlap, which Nadeau and Bengio
    (2003) put at the ratio of test to training patients: for K folds, the first times
    K / (K - 1). Repetitions add no patients and reduce neither.

    Parameters
    ----------
    predicted : DataFrame
        One row per scan and repetition, the scans in the same order in each: ``repeat``, ``fold``,
        ``patient``, ``disabled``, ``probability``; ``covariates``, NaN if there are none.
    confidence : float

    Returns
    -------
    dict of str to Interval
        By `METRICS`; with covariates also ``auc_covariates`` and ``auc_difference``.

    References
    ----------
    LeDell, Petersen & van der Laan 2015, Electron J Stat 9:1583-1607; Nadeau & Bengio 2003,
    Mach Learn 52:239-281.
    """
    repeats, folds = predicted["repeat"].nunique(), predicted["fold"].nunique()
    scans = len(predicted) // repeats
    truth = predicted["disabled"].to_numpy(dtype=np.bool_)
    probability = predicted["probability"].to_numpy()
    group = (folds * predicted["repeat"] + predicted["fold"]).to_numpy()
    correct = ((probability >= DECISION) == truth).astype(np.float64)
    shares = shares_outranked(truth, probability, group)
    values = {name: shares if name == "auc" else correct for name in METRICS}
    parts = dict(_PARTS)
    if predicted["covariates"].notna().all():
        alone = shares_outranked(truth, predicted["covariates"].to_numpy(), group)
        values |= {"auc_covariates": alone, "auc_difference": shares - alone}
        parts |= dict.fromkeys(("auc_covariates", "auc_difference"), _PARTS["auc"])
    patients = pd.factorize(predicted["patient"].iloc[:scans])[0]
    quantile = float(stats.norm.ppf((1 + confidence) / 2))
    intervals: dict[str, Interval] = {}
    for name, each in values.items():
        by_repeat = each.reshape(repeats, scans)
        estimate, variance = _mean_and_variance(by_repeat, truth[:scans], patients, parts[name])
        half = quantile * np.sqrt(variance * (1 + folds / (folds - 1)))
        lowest = -1.0 if name == "auc_difference" else 0.0
        low, high = np.clip([estimate - half, estimate + half], lowest, 1.0).tolist()
        intervals[name] = Interval(estimate, low, high)
    return intervals


def shares_outranked(
    truth: npt.NDArray[np.bool_], score: FloatArray, group: npt.NDArray[np.integer]
) -> FloatArray:
    """Return the share of the other class that each case is ranked rightly against.

    Parameters
    ----------
    truth : bool array, shape (n,)
    score : float64 array, shape (n,)
        Higher for true; ties count one half.
    group : int array, shape (n,)
        Cases are ranked within their group, which has both classes.

    Returns
    -------
    float64 array, shape (n,)
        The mean of either class is the area under the ROC curve of a group.

    Examples
    --------
    >>> truth, group = np.array([True, True, False, False]), np.zeros(4, dtype=int)
    >>> shares_outranked(truth, np.array([0.9, 0.2, 0.2, 0.1]), group).tolist()
    [1.0, 0.75, 0.75, 1.0]
    """
    shares = np.empty(len(score))
    for members in (np.flatnonzero(group == each) for each in np.unique(group)):
        positive, values = truth[members], score[members]
        ranks = stats.rankdata(values)
        for of_class in (positive, ~positive):
            others = len(members) - of_class.sum()
            below = (ranks[of_class] - stats.rankdata(values[of_class])) / others
            shares[members[of_class]] = below if of_class is positive else 1 - below
    return shares


def _mean_and_variance(
    values: FloatArray,
    truth: npt.NDArray[np.bool_],
    patients: npt.NDArray[np.integer],
    parts: _Parts,
) -> tuple[float, float]:
    """Return a measure and its variance by patients, averaged over repetitions.

    Parameters
    ----------
    values : float64 array, shape (repeats, scans)
    truth, patients : arrays, shape (scans,)
    parts : _Parts
    """
    estimate, influence = 0.0, np.zeros_like(values)
    for members, weight, moved in zip((truth, ~truth), *parts, strict=True):
        mean = values[:, members].mean(axis=1, keepdims=True)
        estimate += weight * float(mean.mean())
        influence[:, members] = moved * (values[:, members] - mean) / members.sum()
    count = int(patients.max()) + 1
    of_patients = np.stack([np.bincount(patients, each, count) for each in influence])
    variance = float((of_patients**2).sum(axis=1).mean()) * count / (count - 1)
    return estimate, variance
