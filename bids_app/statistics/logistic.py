"""Logistic models of outcomes that occurred or did not, such as disability progression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from bids_app.statistics.design import Design, Model, ModelError, build_design
from bids_app.statistics.multiplicity import Family, adjust_family
from bids_app.statistics.roc import roc_area
from bids_app.statistics.separation import separating_terms
from bids_app.statistics.wald import odds_ratios, wald_table

_COLUMNS = [
    *("outcome", "predictor", "n", "events", "beta", "se", "ci_low", "ci_high", "z", "p", "p_adj"),
    *("family", "odds_ratio", "odds_ratio_ci_low", "odds_ratio_ci_high"),
    *("log_likelihood", "chi2", "df", "p_model", "nagelkerke_r2"),
    *("fitted_auc", "fitted_auc_covariates", "reason"),
]


@dataclass(frozen=True, kw_only=True)
class LogisticFit:
    """A fitted logistic model, logit P(outcome) = const + terms · beta.

    Attributes
    ----------
    n, events : int
        Complete cases, and those with the outcome.
    coefficients : DataFrame
        One row per term (``const`` first): ``beta`` (log odds), ``se``, ``ci_low``, ``ci_high``,
        ``z``, ``p``, ``odds_ratio``, ``odds_ratio_ci_low``, ``odds_ratio_ci_high``; Wald.
    log_likelihood : float
    chi2, p : float
        Likelihood-ratio test against the model without terms.
    df : int
        Its degrees of freedom, the number of terms.
    mcfadden_r2, nagelkerke_r2 : float
        Pseudo-R².
    auc, auc_covariates : float
        Area under the ROC curve of the fitted probabilities in the cases to which the model was
        fitted, and of those of the model without the predictor; NaN if it has no covariates.
    """

    n: int
    events: int
    coefficients: pd.DataFrame
    log_likelihood: float
    chi2: float
    df: int
    p: float
    mcfadden_r2: float
    nagelkerke_r2: float
    auc: float
    auc_covariates: float


def fit_logistic(data: pd.DataFrame, model: Model, confidence: float = 0.95) -> LogisticFit:
    """Fit a logistic model by maximum likelihood.

    Parameters
    ----------
    data : DataFrame
        One row per subject; the outcome is boolean, or 0 and 1.
    model : Model
        Its transform and covariance are not used.
    confidence : float
        Level of the Wald intervals.

    Returns
    -------
    LogisticFit

    Raises
    ------
    ModelError
        If the outcome holds other values, the terms separate those with the outcome from those
        without, or for a reason of `build_design`, an outcome that all or none have among them.

    References
    ----------
    Hosmer, Lemeshow & Sturdivant 2013, Applied Logistic Regression, chapters 1 to 3; pseudo-R²:
    McFadden 1974, in Frontiers in Econometrics, 105-142; Nagelkerke 1991, Biometrika 78:691-692.
    """
    design = build_design(data, replace(model, transform="identity"))
    if not design.outcome.isin([0, 1]).all():
        raise ModelError(f"'{model.outcome}' holds other values than 0 and 1")
    separating = separating_terms(design)
    if separating:
        raise ModelError(
            f"{separating} separate the cases with '{model.outcome}' from those without, so that "
            "the odds ratio is not finite"
        )
    n, events = len(design.outcome), int(design.outcome.sum())
    coefficients, log_likelihood = _maximise(design, confidence)
    covariates = replace(design, terms=design.terms.drop(columns=model.predictor))
    share = events / n
    # The model without terms predicts the share of the outcome for every case.
    null = n * float(share * np.log(share) + (1 - share) * np.log1p(-share))
    chi2, df = 2 * (log_likelihood - null), design.terms.shape[1]
    return LogisticFit(
        n=n,
        events=events,
        coefficients=coefficients,
        log_likelihood=log_likelihood,
        chi2=chi2,
        df=df,
        p=float(stats.chi2.sf(chi2, df)),
        mcfadden_r2=1 - log_likelihood / null,
        nagelkerke_r2=float(np.expm1(-chi2 / n) / np.expm1(2 * null / n)),
        auc=_auc(design, coefficients),
        auc_covariates=(
            np.nan
            if covariates.terms.empty
            else _auc(covariates, _maximise(covariates, confidence)[0])
        ),
    )


def logistic_table(
    data: pd.DataFrame, models: Sequence[Model], family: Family = "all", confidence: float = 0.95
) -> pd.DataFrame:
    """Fit many logistic models and report the odds ratio of each predictor.

    Parameters
    ----------
    data : DataFrame
        One row per subject.
    models : sequence of Model
    family : {'all', 'outcome'}
        Benjamini-Hochberg over all models that could be fitted, or by outcome.
    confidence : float

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``n``, ``events``, ``beta``, ``se``,
        ``ci_low``, ``ci_high``, ``z``, ``p``, ``p_adj``, ``family``, ``odds_ratio`` (with
        ``_ci_low``, ``_ci_high``), ``log_likelihood``, ``chi2``, ``df`` and ``p_model``
        (likelihood ratio against the model without terms), ``nagelkerke_r2``, ``fitted_auc`` and
        ``fitted_auc_covariates`` (without the predictor), ``reason``. A model that cannot be
        fitted is a row with its reason.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        try:
            fit = fit_logistic(data, model, confidence)
        except ModelError as error:
            rows.append(row | {"reason": str(error)})
            continue
        coefficient = fit.coefficients.loc[model.predictor]
        row |= {str(name): value for name, value in coefficient.items()}
        row |= {"n": fit.n, "events": fit.events, "log_likelihood": fit.log_likelihood}
        row |= {"chi2": fit.chi2, "df": fit.df, "p_model": fit.p, "reason": ""}
        row |= {"fitted_auc": fit.auc, "fitted_auc_covariates": fit.auc_covariates}
        rows.append(row | {"nagelkerke_r2": fit.nagelkerke_r2})
    return adjust_family(pd.DataFrame(rows, columns=_COLUMNS), family)


def _auc(design: Design, coefficients: pd.DataFrame) -> float:
    """Return the area under the ROC curve of a fit in its own cases."""
    beta = coefficients.loc[design.terms.columns, "beta"].to_numpy()
    return roc_area(design.outcome, design.terms.to_numpy() @ beta).auc.estimate


def _maximise(design: Design, confidence: float) -> tuple[pd.DataFrame, float]:
    """Return the coefficients of the terms and the log-likelihood at its maximum."""
    terms = design.terms.to_numpy()
    # Standardised terms keep the Newton steps of all coefficients comparable.
    mean, sd = terms.mean(axis=0), terms.std(axis=0)
    scaled = np.column_stack([np.ones(len(terms)), (terms - mean) / sd])
    fit = sm.Logit(design.outcome.to_numpy(), scaled).fit(
        method="newton", disp=False, maxiter=100, tol=1e-12
    )
    if not fit.mle_retvals["converged"]:
        raise ModelError("the optimiser did not converge")
    # Linear map of the coefficients of standardised terms to those of the terms.
    back = np.diag(np.concatenate([[1.0], 1 / sd]))
    back[0, 1:] = -mean / sd
    beta = back @ np.asarray(fit.params)
    se = np.sqrt(np.diag(back @ np.asarray(fit.cov_params()) @ back.T))
    table = wald_table(beta, se, ["const", *design.terms.columns], confidence)
    return odds_ratios(table), float(fit.llf)
