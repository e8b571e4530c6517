"""Calibration of predicted risks: whether as many events occur as were predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
from scipy.special import expit, logit

from bids_app.statistics.samples import FloatArray, Interval

_UNKNOWN = Interval(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class RiskCalibration:
    """Calibration of predicted risks, with Wald intervals.

    Attributes
    ----------
    intercept : Interval
        Log odds to be added to the predicted ones for the observed share of events; 0 is ideal.
    slope : Interval
        Slope of the observed on the predicted log odds; 1 is ideal. Unknown where predictions
        separate the events from the others, or do not vary.
    """

    intercept: Interval
    slope: Interval


def at_share(probability: npt.ArrayLike, share: npt.ArrayLike) -> FloatArray:
    """Convert probabilities of a model with balanced class weights to a share of events.

    Balanced weights give both classes a prior of one half; the prior odds of the share are
    multiplied back (Elkan 2001, Proc IJCAI 17:973-978).

    Parameters
    ----------
    probability : array_like, shape (n,)
        In [0, 1].
    share : array_like, shape (n,) or scalar
        Share of events in the training set, in (0, 1).

    Returns
    -------
    float64 array, shape (n,)

    Examples
    --------
    >>> at_share([0.5, 0.8], 0.2).round(3).tolist()
    [0.2, 0.5]
    """
    # Probabilities that rounding makes 0 or 1 have no finite odds.
    edge = np.finfo(np.float64).eps
    inner = np.clip(np.asarray(probability, dtype=np.float64), edge, 1 - edge)
    odds = logit(inner) + logit(np.asarray(share))
    return np.asarray(expit(odds), dtype=np.float64)


def calibrate_risk(
    occurred: npt.ArrayLike, risk: npt.ArrayLike, confidence: float = 0.95
) -> RiskCalibration:
    """Regress events on the log odds of their predicted risks.

    Parameters
    ----------
    occurred : array_like, shape (n,)
        0 or 1; both occur.
    risk : array_like, shape (n,)
        Predicted risk of independent cases, in (0, 1).
    confidence : float

    Returns
    -------
    RiskCalibration

    References
    ----------
    Cox 1958, Biometrika 45:562-565; the intercept is that of a slope of 1 (calibration in the
    large), Steyerberg 2019, Clinical Prediction Models, chapter 15.
    """
    events, odds = np.asarray(occurred, dtype=np.float64), logit(np.asarray(risk))
    ones = np.ones((len(events), 1))
    binomial = sm.families.Binomial()
    level = sm.GLM(events, ones, family=binomial, offset=odds).fit()
    slope = _UNKNOWN
    ill, well = odds[events == 1], odds[events == 0]
    if ill.min() < well.max() and well.min() < ill.max():
        line = sm.GLM(events, np.column_stack([ones, odds]), family=binomial).fit()
        slope = Interval(float(line.params[1]), *_limits(line, 1, confidence))
    return RiskCalibration(Interval(float(level.params[0]), *_limits(level, 0, confidence)), slope)


def _limits(
    fit: sm.genmod.generalized_linear_model.GLMResultsWrapper, term: int, confidence: float
) -> tuple[float, float]:
    low, high = fit.conf_int(alpha=1 - confidence)[term]
    return float(low), float(high)
