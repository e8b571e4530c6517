"""Linear mixed models of repeated sessions with a random intercept per subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from bids_app.statistics.design import Model, ModelError, build_design
from bids_app.statistics.multiplicity import Family, adjust_family
from bids_app.statistics.samples import FloatArray
from bids_app.statistics.wald import wald_table

MINIMUM_SESSIONS = 2
_COLUMNS = [
    *("outcome", "predictor", "transform", "distribution", "n", "subjects"),
    *("beta", "se", "ci_low", "ci_high", "z", "p", "p_adj", "family"),
    *("subject_sd", "residual_sd", "log_likelihood", "standardised_over", "reason"),
]


@dataclass(frozen=True, kw_only=True)
class MixedFit:
    """A fitted random-intercept model.

    Attributes
    ----------
    n, subjects : int
        Complete cases, and their subjects.
    coefficients : DataFrame
        One row per term (``const`` first): ``beta``, ``se``, ``ci_low``, ``ci_high``, ``z``,
        ``p``; normal approximation.
    subject_sd, residual_sd : float
        Standard deviations between and within subjects; the former may be estimated as 0.
    log_likelihood : float
        Restricted log-likelihood.
    """

    n: int
    subjects: int
    coefficients: pd.DataFrame
    subject_sd: float
    residual_sd: float
    log_likelihood: float


def fit_mixed(
    data: pd.DataFrame, model: Model, subject: str = "subject", confidence: float = 0.95
) -> MixedFit:
    """Fit a linear model with a random intercept per subject by REML.

    Given the ratio of the variances, generalised least squares is ordinary least squares after
    a fraction of the subject's mean has been subtracted from outcome and terms. The restricted
    likelihood is maximised over that ratio alone, which is exact and, unlike statsmodels'
    general mixed model, fast enough for 10,000 sessions.

    Parameters
    ----------
    data : DataFrame
        One row per session.
    model : Model
        The predictor varies between sessions; the covariance is not used.
    subject : str
        Column that names the subject.
    confidence : float
        Level of the Wald intervals.

    Returns
    -------
    MixedFit

    Raises
    ------
    ModelError
        If the subject column is absent, no subject has two complete sessions, or for a
        reason of `build_design`.

    References
    ----------
    Laird & Ware 1982, Biometrics 38:963-974; Fuller & Battese 1973, J Am Stat Assoc
    68:626-632 (transformation); Bates et al. 2015, J Stat Softw 67(1), section 3.4 (profiled
    REML criterion).
    """
    if subject not in data.columns:
        raise ModelError(f"columns {[subject]} are absent")
    sessions = data[data[subject].notna()].reset_index(drop=True)
    design = build_design(sessions, model)
    groups, names = pd.factorize(sessions.loc[design.terms.index, subject])
    if np.bincount(groups).max() < MINIMUM_SESSIONS:
        raise ModelError(f"no subject has {MINIMUM_SESSIONS} complete sessions")
    terms = np.column_stack([np.ones(len(groups)), design.terms.to_numpy()])
    solve = partial(_profile, design.outcome.to_numpy(), terms, groups)
    ratio = _best_ratio(solve)
    best = solve(ratio)
    return MixedFit(
        n=len(groups),
        subjects=len(names),
        coefficients=wald_table(best.beta, best.se, ["const", *design.terms.columns], confidence),
        subject_sd=float(np.sqrt(ratio) * best.residual_sd),
        residual_sd=best.residual_sd,
        log_likelihood=-best.deviance / 2,
    )


def mixed_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    subject: str = "subject",
    family: Family = "all",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Fit many random-intercept models and report the coefficient of each predictor.

    Parameters
    ----------
    data : DataFrame
        One row per session.
    models : sequence of Model
    subject : str
        Column that names the subject.
    family : {'all', 'outcome'}
        Benjamini-Hochberg over all models that could be fitted, or by outcome.
    confidence : float

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``transform``, ``distribution``, ``n``,
        ``subjects``, ``beta``, ``se``, ``ci_low``, ``ci_high``, ``z``, ``p``, ``p_adj``,
        ``family``, ``subject_sd``, ``residual_sd``, ``log_likelihood``,
        ``standardised_over``, ``reason``. A model that cannot be fitted is a row with its
        reason.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"transform": model.transform, "distribution": "normal", "reason": ""}
        row["standardised_over"] = "complete cases" if model.standardised else ""
        try:
            fit = fit_mixed(data, model, subject, confidence)
        except ModelError as error:
            rows.append(row | {"reason": str(error)})
            continue
        coefficient = fit.coefficients.loc[model.predictor]
        row |= {str(name): value for name, value in coefficient.items()}
        row |= {"n": fit.n, "subjects": fit.subjects, "subject_sd": fit.subject_sd}
        row |= {"residual_sd": fit.residual_sd, "log_likelihood": fit.log_likelihood}
        rows.append(row)
    return adjust_family(pd.DataFrame(rows, columns=_COLUMNS), family)


@dataclass(frozen=True)
class _Solution:
    """Generalised least squares at one ratio of the variances."""

    beta: FloatArray
    se: FloatArray
    residual_sd: float
    deviance: float


def _best_ratio(solve: Callable[[float], _Solution]) -> float:
    """Return the ratio of subject to residual variance with the least deviance."""
    search = optimize.minimize_scalar(
        lambda log_ratio: solve(float(np.exp(log_ratio))).deviance,
        bounds=(-16, 16),
        method="bounded",
        options={"xatol": 1e-10},
    )
    # The search is over logarithms, which exclude a ratio of 0.
    return min(0.0, float(np.exp(search.x)), key=lambda value: solve(value).deviance)


def _profile(
    outcome: FloatArray, terms: FloatArray, groups: npt.NDArray[np.intp], ratio: float
) -> _Solution:
    """Solve for the fixed effects given the ratio of subject to residual variance."""
    sizes = np.bincount(groups)
    columns = np.column_stack([outcome, terms])
    totals = np.zeros((sizes.size, columns.shape[1]))
    np.add.at(totals, groups, columns)
    # Without this fraction of its mean, the residuals of a subject are uncorrelated.
    fraction = 1 - 1 / np.sqrt(1 + sizes * ratio)
    centred = columns - ((fraction / sizes)[:, np.newaxis] * totals)[groups]
    y, x = centred[:, 0], centred[:, 1:]
    # Normal equations would square the condition number of nearly collinear terms.
    factor, triangle = np.linalg.qr(x)
    beta = np.linalg.solve(triangle, factor.T @ y)
    residual = y - x @ beta
    df = len(y) - x.shape[1]
    variance = float(residual @ residual / df)
    root = np.linalg.inv(triangle)
    deviance = (
        np.log1p(sizes * ratio).sum()
        + 2 * np.log(np.abs(np.diag(triangle))).sum()
        + df * (1 + np.log(2 * np.pi * variance))
    )
    return _Solution(
        beta=beta,
        se=np.sqrt(variance * (root**2).sum(axis=1)),
        residual_sd=float(np.sqrt(variance)),
        deviance=float(deviance),
    )
