"""How well predicted probabilities discriminate two classes, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.statistics.bootstrap import BATCH_VALUES
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
    parts = np.array_split(weights, _parts(weights))
    metrics = np.vstack([_metrics(truth, predicted, rows) for rows in parts])
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
            return np.stack([[_metrics(truth, each, weights)[:, -1] for each in probabilities.T]])

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


def _parts(weights: FloatArray) -> int:
    """Return the number of parts that bound the memory of the resampled weights."""
    return -(-weights.size // BATCH_VALUES)


def _metrics(
    truth: npt.NDArray[np.bool_], probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the values of `METRICS`, shape (samples, 4), for weights of shape (samples, n).

    The AUC is the Mann-Whitney statistic (Hanley & McNeil 1982, Radiology 143:29-36). Samples
    with one class only have NaN.
    """
    _, level = np.unique(probability, return_inverse=True)
    # In order of probability, sums over its levels are sums over runs.
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    weights, truth, called = weights[:, order], truth[order], (probability >= DECISION)[order]
    positive, negative = weights * truth, weights * ~truth
    positives, negatives = positive.sum(axis=1), negative.sum(axis=1)
    # Per level of probability, disabled scans win against all others below and half of the ties.
    ill, well = (np.add.reduceat(part, starts, axis=1) for part in (positive, negative))
    wins = (ill * (well.cumsum(axis=1) - well / 2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = (positive * called).sum(axis=1) / positives
        specificity = (negative * ~called).sum(axis=1) / negatives
        auc = wins / (positives * negatives)
    return np.column_stack([(sensitivity + specificity) / 2, sensitivity, specificity, auc])
