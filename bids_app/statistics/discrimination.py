"""How well predicted probabilities discriminate two classes, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.statistics.bootstrap import row_blocks
from bids_app.statistics.paired import OfMethods
from bids_app.statistics.samples import FloatArray, Interval

DECISION = 0.5
METRICS = ("balanced_accuracy", "sensitivity", "specificity", "auc")


@dataclass(frozen=True)
class Classification:
    """Quality of a two-class prediction, each with its bootstrap interval.

    Attributes
    ----------
    balanced_accuracy, sensitivity, specificity, auc : Interval
        Fractions; the disabled are the positive class and a probability of at least 0.5 is
        a positive call.
    """

    balanced_accuracy: Interval
    sensitivity: Interval
    specificity: Interval
    auc: Interval


def classify(
    disabled: npt.ArrayLike,
    probability: npt.ArrayLike,
    patients: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Classification:
    """Measure how well predicted probabilities discriminate disabled from other scans.

    Parameters
    ----------
    disabled : array_like of bool, shape (n,)
    probability : array_like, shape (n,)
        Predicted probability of being disabled.
    patients : array_like, shape (n,)
        The patient of each scan; patients, not scans, are resampled.
    confidence : float
    resamples, seed : int
        Number of bootstrap samples and the seed of their drawing. Samples with one class
        only do not count.

    Returns
    -------
    Classification
        Percentile intervals.

    Raises
    ------
    ValueError
        If only one class occurs.

    References
    ----------
    Coll et al. 2024, J Magn Reson Imaging 60:258-267 (measures).
    """
    truth = np.asarray(disabled, dtype=np.bool_)
    predicted = np.asarray(probability, dtype=np.float64)
    if truth.all() or not truth.any():
        raise ValueError("only one class occurs")
    weights = _bootstrap_weights(np.asarray(patients), resamples, seed)
    metrics = _metrics(truth, predicted, weights)
    return Classification(*_percentile_intervals(metrics, confidence))


@dataclass(frozen=True)
class Discrimination:
    """Area under the ROC curve of predicted probabilities, to be compared between methods.

    Attributes
    ----------
    disabled : Series of bool
        By participant.
    """

    disabled: pd.Series

    @property
    def names(self) -> tuple[str, ...]:
        """Area under the ROC curve."""
        return ("auc",)

    def prepare(self, weights: FloatArray, participants: pd.Index) -> OfMethods:
        """Select the classes of the participants."""
        truth = self.disabled.loc[participants].to_numpy(dtype=np.bool_)

        def of_methods(probabilities: FloatArray) -> FloatArray:
            return np.stack([[_areas(truth, each, weights) for each in probabilities.T]])

        return of_methods


def _bootstrap_weights(patients: npt.NDArray[Any], resamples: int, seed: int) -> FloatArray:
    """Return the weights of the scans, shape (1 + resamples, n), first those of the sample.

    The weight of a scan is how often its patient was drawn.
    """
    codes, names = pd.factorize(patients)
    rng = np.random.default_rng(seed)
    samples: list[FloatArray] = []
    for _ in range(resamples):
        drawn = rng.integers(len(names), size=len(names))
        samples.append(np.bincount(drawn, minlength=len(names))[codes].astype(np.float64))
    return np.vstack([np.ones(len(codes)), *samples])


def _percentile_intervals(metrics: FloatArray, confidence: float) -> list[Interval]:
    """Return one interval per column; the first row is the estimate, the others are resampled."""
    resampled = metrics[1:][~np.isnan(metrics[1:]).any(axis=1)]
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends = (
        np.quantile(resampled, levels, axis=0)
        if len(resampled)
        else np.full((2, metrics.shape[1]), np.nan)
    )
    return [Interval(*values) for values in np.vstack([metrics[:1], ends]).T.tolist()]


def _metrics(
    truth: npt.NDArray[np.bool_], probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the values of `METRICS`, shape (samples, 4), for weights of shape (samples, n).

    Samples with one class only have NaN.
    """
    called = probability >= DECISION
    # Weights are counts: their sums are exact in any order.
    right, size = (
        weights @ np.column_stack(each)
        for each in ((truth & called, ~truth & ~called), (truth, ~truth))
    )
    with np.errstate(invalid="ignore"):
        sensitivity, specificity = (right / size).T
    auc = _areas(truth, probability, weights)
    return np.column_stack([(sensitivity + specificity) / 2, sensitivity, specificity, auc])


def _areas(
    truth: npt.NDArray[np.bool_], probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the area under the ROC curve in each sample, for weights of shape (samples, n).

    It is the Mann-Whitney statistic (Hanley & McNeil 1982, Radiology 143:29-36): disabled scans
    win against all others with a lower probability, and half of the ties. Samples with one class
    only have NaN.
    """
    ill, well = np.flatnonzero(truth), np.flatnonzero(~truth)
    well = well[np.argsort(probability[well])]
    fewest, most = (
        np.searchsorted(probability[well], probability[ill], side) for side in ("left", "right")
    )
    areas = np.empty(len(weights))
    for rows in row_blocks(*weights.shape):
        won, lost = weights[rows][:, ill], weights[rows][:, well]
        beaten = np.pad(lost.cumsum(axis=1), ((0, 0), (1, 0)))
        wins = np.einsum("si,si->s", won, beaten[:, fewest] + beaten[:, most]) / 2
        with np.errstate(invalid="ignore"):
            areas[rows] = wins / (won.sum(axis=1) * beaten[:, -1])
    return areas
