"""Calibration of a method to reference labels, evaluated on subjects excluded from the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import stats

from bids_app.statistics.samples import FloatArray, Interval, complete_cases

Kind = Literal["identity", "offset", "ratio", "line"]
# The simplest first: it is chosen among equally good ones.
KINDS: tuple[Kind, ...] = get_args(Kind)
COEFFICIENTS = {"identity": 0, "offset": 1, "ratio": 1, "line": 2}
MINIMUM_SUBJECTS = 3
# Three or four subjects lie near some line by chance; it then has the least cross-validation error
# of all mappings, and a far larger error in new subjects.
_MINIMUM_FOR_LINE = 5


@dataclass(frozen=True, kw_only=True)
class VolumeMapping:
    """Linear mapping, reference = intercept + slope · method, with its covariance.

    Attributes
    ----------
    kind : {'identity', 'offset', 'ratio', 'line'}
        Intercept 0 and slope 1; slope 1; intercept 0; both estimated.
    intercept, slope : float
        In the unit of the volumes, and dimensionless.
    covariance : (2, 2) float64
        Covariance of intercept and slope; 0 where one is fixed.
    residual_sd : float
        Standard deviation of single scans about the mapping, in the unit of the volumes.
    subjects : int
        Subjects in the fit.
    """

    kind: Kind
    intercept: float
    slope: float
    covariance: npt.NDArray[np.float64]
    residual_sd: float
    subjects: int

    @property
    def df(self) -> int:
        """Degrees of freedom of the residuals: subjects less fitted coefficients."""
        return self.subjects - COEFFICIENTS[self.kind]

    def coefficients(self, confidence: float = 0.95) -> tuple[Interval, Interval]:
        """Return intercept and slope with t-based confidence intervals."""
        quantile = stats.t.ppf((1 + confidence) / 2, self.df)
        half = quantile * np.sqrt(np.diag(self.covariance))
        values = (self.intercept, self.slope)
        intercept, slope = (
            Interval(value, value - float(width), value + float(width))
            for value, width in zip(values, half, strict=True)
        )
        return intercept, slope

    def predict(self, method: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Predict the volumes by the reference, with prediction intervals.

        Parameters
        ----------
        method : array_like, shape (n,)
            Volumes by the method; NaN stays NaN.
        confidence : float
            Level of the interval for a single scan of a new subject.

        Returns
        -------
        (3, n) float64
            Estimate, lower and upper end.

        References
        ----------
        Draper & Smith 1998, Applied Regression Analysis, section 3.1: the variance of a new
        observation is that of the residuals plus that of the fitted value.
        """
        volumes = np.asarray(method, dtype=np.float64)
        terms = np.stack([np.ones_like(volumes), volumes])
        fitted = np.einsum("in,ij,jn->n", terms, self.covariance, terms)
        half = stats.t.ppf((1 + confidence) / 2, self.df) * np.sqrt(self.residual_sd**2 + fitted)
        estimate = self.intercept + self.slope * volumes
        return np.stack([estimate, estimate - half, estimate + half])


def fit_mapping(
    method: npt.ArrayLike, reference: npt.ArrayLike, subjects: Sequence[object], kind: Kind
) -> VolumeMapping:
    """Fit one kind of mapping by least squares.

    Parameters
    ----------
    method, reference : array_like, shape (n,)
        Volumes of the same scans.
    subjects : sequence of length n
        Subject of each scan. All subjects have the same weight, divided among their scans.
    kind : {'identity', 'offset', 'ratio', 'line'}

    Returns
    -------
    VolumeMapping

    Raises
    ------
    ValueError
        If a volume is missing, there are fewer than three subjects, or the method's volumes
        do not vary.
    """
    x, y, groups = _checked(method, reference, subjects)
    count = int(groups.max()) + 1
    # Each subject has a total weight of 1, however many scans it has.
    weights = 1 / np.bincount(groups)[groups]
    intercept, slope = _coefficients(kind, _moments(x, y, groups).sum(0))
    if np.isnan(slope):
        raise ValueError("the method's volumes do not vary")
    free: list[int] = {"identity": [], "offset": [0], "ratio": [1], "line": [0, 1]}[kind]
    terms = np.stack([np.ones_like(x), x], axis=1)[:, free]
    residual = y - intercept - slope * x
    variance = float(weights @ residual**2) / (count - len(free))
    # Rows and columns of coefficients that are not estimated remain 0.
    covariance = np.zeros((2, 2))
    inverse = np.linalg.inv(terms.T @ (weights[:, None] * terms))
    covariance[np.ix_(free, free)] = variance * inverse
    return VolumeMapping(
        kind=kind,
        intercept=float(intercept),
        slope=float(slope),
        covariance=covariance,
        residual_sd=float(np.sqrt(variance)),
        subjects=count,
    )


def choose_mapping(
    method: npt.ArrayLike, reference: npt.ArrayLike, subjects: Sequence[object]
) -> VolumeMapping:
    """Fit the kind of mapping with the least leave-one-subject-out error.

    Parameters
    ----------
    method, reference, subjects
        As in `fit_mapping`.

    Returns
    -------
    VolumeMapping
        The simplest of equally good mappings. Lines need a positive slope, so that loss does not
        become growth, and at least five subjects.

    Raises
    ------
    ValueError
        If a volume is missing or there are fewer than three subjects.
    """
    x, y, groups = _checked(method, reference, subjects)
    kind = _best_kind(_moments(x, y, groups), x, y, groups)
    return fit_mapping(x, y, groups.tolist(), kind)


def cross_validate(
    method: npt.ArrayLike, reference: npt.ArrayLike, subjects: Sequence[object]
) -> FloatArray:
    """Calibrate each subject with the mapping that the other subjects choose and fit.

    Parameters
    ----------
    method, reference, subjects
        As in `fit_mapping`.

    Returns
    -------
    (n,) float64
        Calibrated volumes, in the order of the scans and the unit of the volumes.

    Raises
    ------
    ValueError
        If a volume is missing or there are fewer than three subjects.
    """
    x, y, groups = _checked(method, reference, subjects)
    moments = _moments(x, y, groups)
    predicted = np.empty_like(x)
    for subject in range(len(moments)):
        others = groups != subject
        # Numbers of the subjects without gaps, as the rows of their moments.
        renumbered = groups[others] - (groups[others] > subject)
        kept = np.delete(moments, subject, axis=0)
        kind = _best_kind(kept, x[others], y[others], renumbered)
        intercept, slope = _coefficients(kind, kept.sum(0))
        predicted[~others] = intercept + slope * x[~others]
    return predicted


@dataclass(frozen=True)
class Boundary:
    """Probability threshold for labelling a voxel as thalamus.

    Attributes
    ----------
    threshold : float
        The one with the least squared volume error over all subjects.
    cross_validated : (n,) int64
        For each scan, the index of the threshold that the other subjects choose.
    """

    threshold: float
    cross_validated: npt.NDArray[np.int64]


def choose_threshold(
    volumes: npt.ArrayLike,
    reference: npt.ArrayLike,
    subjects: Sequence[object],
    thresholds: Sequence[float],
) -> Boundary:
    """Choose the threshold with the least squared volume error, and by leave-one-subject-out.

    Parameters
    ----------
    volumes : array_like, shape (n, t)
        Volume of each scan at each threshold, see `boundary_curve`.
    reference : array_like, shape (n,)
        In the same unit.
    subjects : sequence of length n
        Subject of each scan. All subjects have the same weight, divided among their scans.
    thresholds : sequence of length t
        Probabilities, above 0.

    Returns
    -------
    Boundary

    Raises
    ------
    ValueError
        If there are fewer than three subjects.
    """
    curves = np.asarray(volumes, dtype=np.float64)
    _, y, groups = _checked(curves[:, 0], reference, subjects)
    counts = np.bincount(groups)
    # Mean squared error of each subject at each threshold.
    squared = np.zeros((counts.size, len(thresholds)))
    np.add.at(squared, groups, (curves - y[:, None]) ** 2)
    squared /= counts[:, None]
    # The sum of all subjects minus each of them is that of the others.
    cross_validated = (squared.sum(0) - squared).argmin(1)
    return Boundary(float(thresholds[squared.sum(0).argmin()]), cross_validated[groups])


def boundary_curve(
    probability: npt.ArrayLike, reference: npt.ArrayLike, thresholds: Sequence[float]
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Count the voxels at or above each threshold, and compare them with the reference.

    Parameters
    ----------
    probability : array_like, shape (X, Y, Z)
        Probability of thalamus, left and right together.
    reference : array_like, shape (X, Y, Z)
        Label image; thalamus where it is not zero.
    thresholds : sequence of float
        Probabilities, above 0.

    Returns
    -------
    voxels : (t,) int64
        Voxels at or above each threshold.
    dice : (t,) float64
        Dice coefficient with the reference; NaN where both are empty.
    """
    # As stored: in float64, probabilities equal to a threshold could fall below it.
    values = np.asarray(probability, dtype=np.float32)
    inside = np.asarray(reference) != 0
    steps = np.asarray(thresholds, dtype=np.float32)
    some = values > 0
    # One sort answers all thresholds.
    voxels, shared = (
        chosen.size - np.searchsorted(np.sort(chosen), steps)
        for chosen in (values[some], values[some & inside])
    )
    total = voxels + np.count_nonzero(inside)
    return voxels, np.divide(2 * shared, total, out=np.full(steps.size, np.nan), where=total > 0)


def _checked(
    method: npt.ArrayLike, reference: npt.ArrayLike, subjects: Sequence[object]
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Return both volumes and the number of each scan's subject, from 0 in order of the names."""
    x, y = complete_cases(method, reference)
    if x.size != len(subjects):
        raise ValueError("a volume is missing")
    names, groups = np.unique([str(subject) for subject in subjects], return_inverse=True)
    if len(names) < MINIMUM_SUBJECTS:
        raise ValueError(f"{len(names)} subjects, at least {MINIMUM_SUBJECTS} are needed")
    return x, y, groups


def _moments(x: FloatArray, y: FloatArray, groups: npt.NDArray[np.int64]) -> FloatArray:
    """Return the means of 1, x, y, x² and xy over the scans of each subject, (G, 5)."""
    terms = (np.ones_like(x), x, y, x * x, x * y)
    sums = np.stack([np.bincount(groups, term) for term in terms], axis=1)
    return np.asarray(sums / sums[:, :1])


def _coefficients(kind: Kind, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return least-squares intercepts and slopes from moments (..., 5); NaN if undetermined."""
    n, x, y, xx, xy = np.moveaxis(sums, -1, 0)
    if kind == "identity":
        return np.zeros_like(n), np.ones_like(n)
    if kind == "offset":
        return np.asarray((y - x) / n), np.ones_like(n)
    if kind == "ratio":
        return np.zeros_like(n), np.asarray(xy / np.where(xx > 0, xx, np.nan))
    spread = n * xx - x * x
    # A smaller spread is rounding error.
    slope = (n * xy - x * y) / np.where(spread > 1e-12 * n * xx, spread, np.nan)
    return np.asarray((y - slope * x) / n), np.asarray(slope)


def _best_kind(
    moments: FloatArray, x: FloatArray, y: FloatArray, groups: npt.NDArray[np.int64]
) -> Kind:
    """Return the kind with the least squared leave-one-subject-out error."""
    errors = []
    for kind in KINDS:
        intercept, slope = _coefficients(kind, moments.sum(0) - moments)
        squared = (y - intercept[groups] - slope[groups] * x) ** 2
        error = float((np.bincount(groups, squared) / np.bincount(groups)).mean())
        falls = not (slope > 0).all()
        few = kind == "line" and len(moments) < _MINIMUM_FOR_LINE
        errors.append(np.inf if np.isnan(error) or falls or few else error)
    # Errors that differ by rounding are equal; the simplest kind then comes first.
    good = np.array(errors) <= min(errors) + 1e-12 * float((y * y).mean())
    return KINDS[int(np.argmax(good))]
