"""Linear models of clinical outcomes on thalamus volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import linalg, stats
from statsmodels.stats.diagnostic import het_breuschpagan

from bids_app.statistics.design import Design, Model, ModelError, build_design
from bids_app.statistics.multiplicity import Family, adjust_family
from bids_app.statistics.samples import FloatArray

# Royston's approximation of the p-value is not valid for larger samples.
SHAPIRO_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class Diagnostics:
    """Diagnostics of the assumptions of a linear model.

    Attributes
    ----------
    quantiles : DataFrame
        QQ plot: ``theoretical`` normal quantiles and ordered ``studentised`` residuals.
    breusch_pagan, breusch_pagan_p : float
        Studentised (Koenker) score test of heteroscedasticity.
    shapiro_wilk, shapiro_wilk_p : float
        Test of normality of the residuals.
    variance_inflation : Series of float64
        Variance inflation factor of each term.
    """

    quantiles: pd.DataFrame
    breusch_pagan: float
    breusch_pagan_p: float
    shapiro_wilk: float
    shapiro_wilk_p: float
    variance_inflation: pd.Series


@dataclass(frozen=True, kw_only=True)
class LinearFit:
    """A fitted linear model.

    Attributes
    ----------
    model : Model
    design : Design
    n, df : int
        Complete cases and residual degrees of freedom.
    coefficients : DataFrame
        One row per term (``const`` first): ``beta``, ``se``, ``ci_low``, ``ci_high``, ``t``,
        ``p``.
    r2, r2_adjusted, partial_r2 : float
        Explained variance, adjusted, and of the predictor given the covariates.
    r2_increment : float
        By how much the predictor raises R² above that of the covariates alone.
    residual_sd : float
    observations : DataFrame
        Per complete case: ``fitted``, ``residual``, ``leverage``, ``studentised`` (internally)
        and ``cooks_distance``.
    """

    model: Model
    design: Design
    n: int
    df: int
    coefficients: pd.DataFrame
    r2: float
    r2_adjusted: float
    partial_r2: float
    r2_increment: float
    residual_sd: float
    observations: pd.DataFrame

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """Diagnostics of the assumptions of the model.

        Tests are NaN if the fit is perfect; Shapiro-Wilk also above 5000 cases, where its
        p-value is not available.

        References
        ----------
        Koenker 1981, J Econom 17:107-112; Shapiro & Wilk 1965, Biometrika 52:591-611; Filliben
        1975, Technometrics 17:111-117 (plotting positions).
        """
        residual = self.observations["residual"].to_numpy()
        theoretical, ordered = stats.probplot(self.observations["studentised"], fit=False)
        breusch_pagan = shapiro = (np.nan, np.nan)
        # The residuals of a perfect fit are rounding errors.
        if np.ptp(residual) > 1e-12 * np.ptp(self.design.outcome):
            breusch_pagan = het_breuschpagan(residual, _with_constant(self.design.terms))[:2]
            if self.n <= SHAPIRO_LIMIT:
                result = stats.shapiro(residual)
                shapiro = (float(result.statistic), float(result.pvalue))
        correlation = np.corrcoef(self.design.terms.to_numpy(), rowvar=False)
        # The diagonal of the inverse correlation matrix is 1 / (1 - R²) of each term.
        inflation = np.diag(linalg.inv(np.atleast_2d(correlation)))
        return Diagnostics(
            quantiles=pd.DataFrame({"theoretical": theoretical, "studentised": ordered}),
            breusch_pagan=float(breusch_pagan[0]),
            breusch_pagan_p=float(breusch_pagan[1]),
            shapiro_wilk=float(shapiro[0]),
            shapiro_wilk_p=float(shapiro[1]),
            variance_inflation=pd.Series(inflation, index=self.design.terms.columns),
        )


def fit_linear(data: pd.DataFrame, model: Model, confidence: float = 0.95) -> LinearFit:
    """Fit a linear model by ordinary least squares.

    Parameters
    ----------
    data : DataFrame
        One row per subject.
    model : Model
    confidence : float
        Level of the intervals.

    Returns
    -------
    LinearFit

    Raises
    ------
    ModelError
        If the model cannot be fitted; see `build_design`. Also if HC3 is undefined because a
        case has a leverage of 1.

    References
    ----------
    HC3: MacKinnon & White 1985, J Econom 29:305-325; Long & Ervin 2000, Am Stat 54:217-224.
    Partial R²: t² / (t² + df) with the classical t, Cohen et al. 2003, chapter 3; increment:
    t² (1 - R²) / df, from F = (R² - R² of the covariates) / ((1 - R²) / df) = t², ibid.
    """
    design = build_design(data, model)
    classical = sm.OLS(design.outcome.to_numpy(), _with_constant(design.terms)).fit()
    influence = classical.get_influence()
    leverage = influence.hat_matrix_diag
    fit = classical
    if model.covariance == "HC3":
        # HC3 divides squared residuals by (1 - leverage)².
        if leverage.max() > 1 - 1e-10:
            raise ModelError("a case has a leverage of 1, HC3 is undefined")
        fit = classical.get_robustcov_results("HC3", use_t=True)
    # The predictor follows the constant.
    t_squared = classical.tvalues[1] ** 2
    observations = {
        "fitted": classical.fittedvalues,
        "residual": classical.resid,
        "leverage": leverage,
        "studentised": influence.resid_studentized_internal,
        "cooks_distance": influence.cooks_distance[0],
    }
    return LinearFit(
        model=model,
        design=design,
        n=int(classical.nobs),
        df=int(classical.df_resid),
        coefficients=_coefficients(fit, ["const", *design.terms.columns], confidence),
        r2=float(classical.rsquared),
        r2_adjusted=float(classical.rsquared_adj),
        partial_r2=float(t_squared / (t_squared + classical.df_resid)),
        r2_increment=float(t_squared * (1 - classical.rsquared) / classical.df_resid),
        residual_sd=float(np.sqrt(classical.scale)),
        observations=pd.DataFrame(observations, index=design.terms.index),
    )


def _coefficients(
    fit: sm.regression.linear_model.RegressionResultsWrapper,
    names: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """Tabulate coefficients with t-based intervals and tests."""
    interval = np.asarray(fit.conf_int(1 - confidence))
    return pd.DataFrame(
        {
            "beta": np.asarray(fit.params),
            "se": np.asarray(fit.bse),
            "ci_low": interval[:, 0],
            "ci_high": interval[:, 1],
            "t": np.asarray(fit.tvalues),
            "p": np.asarray(fit.pvalues),
        },
        index=list(names),
    )


def linear_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    family: Family = "all",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Fit many linear models and report the coefficient of each predictor.

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
        One row per model: ``outcome``, ``predictor``, ``transform``, ``covariance``,
        ``distribution``, ``n``, ``df``, ``beta``, ``se``, ``ci_low``, ``ci_high``, ``t``,
        ``p``, ``p_adj``, ``family``, ``r2``, ``r2_adjusted``, ``r2_covariates`` (of the
        covariates alone, in the same cases), ``r2_increment``, ``partial_r2``,
        ``residual_sd``, ``breusch_pagan_p``, ``shapiro_wilk_p``, ``variance_inflation``
        (largest), ``cooks_distance`` (largest), ``standardised_over``
        and ``reason``. A model that cannot be fitted is a row with its reason.
    """
    return tabulate_fits(fit_all(data, models, confidence), family)


def fit_all(
    data: pd.DataFrame, models: Sequence[Model], confidence: float = 0.95
) -> list[tuple[Model, LinearFit | str]]:
    """Fit many linear models; a model that cannot be fitted is paired with the reason."""
    fits: list[tuple[Model, LinearFit | str]] = []
    for model in models:
        try:
            fits.append((model, fit_linear(data, model, confidence)))
        except ModelError as error:
            fits.append((model, str(error)))
    return fits


def tabulate_fits(
    fits: Sequence[tuple[Model, LinearFit | str]], family: Family = "all"
) -> pd.DataFrame:
    """Report the results of `fit_all` as `linear_table` does."""
    rows: list[dict[str, Any]] = []
    for model, fit in fits:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"transform": model.transform, "covariance": model.covariance, "reason": ""}
        row["standardised_over"] = "complete cases" if model.standardised else ""
        rows.append(row | ({"reason": fit} if isinstance(fit, str) else _linear_columns(fit)))
    columns = ["outcome", "predictor", "transform", "covariance", "distribution", "n", "df"]
    columns += ["beta", "se", "ci_low", "ci_high", "t", "p", "p_adj", "family", "r2"]
    columns += ["r2_adjusted", "r2_covariates", "r2_increment", "partial_r2", "residual_sd"]
    columns += ["breusch_pagan_p", "shapiro_wilk_p"]
    columns += ["variance_inflation", "cooks_distance", "standardised_over", "reason"]
    return adjust_family(pd.DataFrame(rows, columns=columns), family)


def _linear_columns(fit: LinearFit) -> dict[str, Any]:
    diagnostics = fit.diagnostics
    coefficient = fit.coefficients.loc[fit.model.predictor]
    return {
        **{str(name): value for name, value in coefficient.items()},
        "distribution": "t",
        "n": fit.n,
        "df": fit.df,
        "r2": fit.r2,
        "r2_adjusted": fit.r2_adjusted,
        "r2_covariates": fit.r2 - fit.r2_increment,
        "r2_increment": fit.r2_increment,
        "partial_r2": fit.partial_r2,
        "residual_sd": fit.residual_sd,
        "breusch_pagan_p": diagnostics.breusch_pagan_p,
        "shapiro_wilk_p": diagnostics.shapiro_wilk_p,
        "variance_inflation": diagnostics.variance_inflation.max(),
        "cooks_distance": fit.observations["cooks_distance"].max(),
    }


def _with_constant(terms: pd.DataFrame) -> FloatArray:
    return np.column_stack([np.ones(len(terms)), terms.to_numpy()])
