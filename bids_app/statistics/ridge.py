"""Logistic regression with a ridge penalty, fitted to many training sets at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from bids_app.statistics.design import ModelError
from bids_app.statistics.samples import ROUNDING, FloatArray

_MOST_STEPS = 100
_MOST_HALVINGS = 30


@dataclass(frozen=True, eq=False)
class RidgeLogistic:
    """Logistic regressions on standardised terms, one per training set.

    Attributes
    ----------
    mean, scale, coefficients : float64 arrays, shape (sets, p)
        Mean and SD of each term in the training set, and its log odds per SD.
    intercept : float64 array, shape (sets,)
    """

    mean: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    intercept: FloatArray

    def probability(self, terms: FloatArray) -> FloatArray:
        """Predict the probability of the class, shape (sets, n), from terms (sets or 1, n, p)."""
        scaled = (terms - self.mean[:, np.newaxis]) / self.scale[:, np.newaxis]
        odds = (scaled @ self.coefficients[..., np.newaxis])[..., 0]
        return np.asarray(expit(odds + self.intercept[:, np.newaxis]), dtype=np.float64)


def fit_ridge_logistic(
    terms: FloatArray, positive: npt.NDArray[np.bool_], train: npt.NDArray[np.bool_]
) -> RidgeLogistic:
    """Fit a logistic regression with balanced class weights to each of several training sets.

    The penalty is half the sum of the squared coefficients of the standardised terms; the intercept
    is free: scikit-learn's ``LogisticRegression(C=1, class_weight="balanced")`` after
    ``StandardScaler``, with all folds in the time of one there.

    Parameters
    ----------
    terms : float64 array, shape (sets, n, p) or (1, n, p)
        Terms of all cases, by training set if they depend on it.
    positive : bool array, shape (n,)
        Whether a case is of the class.
    train : bool array, shape (sets, n)
        Cases of each training set, with both classes.

    Returns
    -------
    RidgeLogistic

    Raises
    ------
    ModelError
        If Newton's method does not converge.

    References
    ----------
    le Cessie & van Houwelingen 1992, Appl Stat 41:191-201 (ridge estimators).
    """
    counts = train.sum(axis=1, keepdims=True)
    members = train[..., np.newaxis].astype(np.float64)
    mean = (members * terms).sum(axis=1) / counts
    centred = terms - mean[:, np.newaxis]
    variance = (members * centred**2).sum(axis=1) / counts
    # A term that is constant in a training set has no effect there, whatever its scale.
    constant = variance <= (ROUNDING * np.abs(mean)) ** 2
    scale = np.sqrt(np.where(constant, 1.0, variance))
    scaled = np.where(constant[:, np.newaxis], 0.0, centred / scale[:, np.newaxis])
    columns = np.concatenate([np.ones((*train.shape, 1)), scaled], axis=2)
    members_of = [(train & of).sum(axis=1, keepdims=True) for of in (positive, ~positive)]
    of_class = np.where(positive, *members_of)
    parameters = _maximise(columns, positive, train * counts / (2 * of_class))
    return RidgeLogistic(mean, scale, parameters[:, 1:], parameters[:, 0])


def _maximise(
    columns: FloatArray, positive: npt.NDArray[np.bool_], weights: FloatArray
) -> FloatArray:
    """Minimise the penalised deviance of each set by Newton's method with step halving.

    Parameters
    ----------
    columns : float64 array, shape (sets, n, 1 + p)
        The first is the intercept.
    positive : bool array, shape (n,)
    weights : float64 array, shape (sets, n)

    Returns
    -------
    float64 array, shape (sets, 1 + p)
    """
    sign = np.where(positive, 1.0, -1.0)
    penalty = np.concatenate([[0.0], np.ones(columns.shape[2] - 1)])
    rows = columns.swapaxes(1, 2)

    def loss(parameters: FloatArray) -> FloatArray:
        odds = (columns @ parameters[..., np.newaxis])[..., 0]
        misfit = (weights * np.logaddexp(0, -sign * odds)).sum(axis=1)
        return np.asarray(misfit + (penalty * parameters**2).sum(axis=1) / 2)

    parameters = np.zeros((len(columns), columns.shape[2]))
    before = loss(parameters)
    for _ in range(_MOST_STEPS):
        fitted = expit((columns @ parameters[..., np.newaxis])[..., 0])
        gradient = (rows @ (weights * (fitted - positive))[..., np.newaxis])[..., 0]
        gradient += penalty * parameters
        curvature = (rows * (weights * fitted * (1 - fitted))[:, np.newaxis]) @ columns
        step = np.linalg.solve(curvature + np.diag(penalty), gradient[..., np.newaxis])[..., 0]
        for _ in range(_MOST_HALVINGS):
            after = loss(parameters - step)
            worse = after > before + ROUNDING * np.abs(before)
            if not worse.any():
                break
            step[worse] /= 2
        parameters, before = parameters - step, after
        if np.abs(step).max() < ROUNDING:
            return parameters
    raise ModelError("the optimiser did not converge")
