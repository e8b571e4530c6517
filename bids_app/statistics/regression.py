"""Linear models of clinical outcomes on thalamus volume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm
from scipy import linalg, stats
from statsmodels.stats.diagnostic import het_breuschpagan

from bids_app.statistics.comparison import adjust
from bids_app.statistics.samples import (
    FloatArray,
    is_constant,
    numeric_column,
    require_columns,
)

Transform = Literal["identity", "log"]
Covariance = Literal["classical", "HC3"]
Family = Literal["all", "outcome"]

SHAPIRO_LIMIT = 5000


class ModelError(ValueError):
    """A model cannot be fitted; the message says why."""


@dataclass(frozen=True)
class Model:
    """What a regression explains, by what, and how.

    Attributes
    ----------
    outcome : str
        Column of the outcome.
    predictor : str
        Column of the variable of interest, for example a method's volume in mL.
    numeric : tuple of str
        Numeric covariates.
    categorical : tuple of str
        Categorical covariates; the reference level is the first in sorted order.
    standardised : tuple of str
        Those numeric covariates that enter as z-scores over the model's complete cases.
    transform : {'identity', 'log'}
        Natural logarithm of the outcome, or none.
    covariance : {'classical', 'HC3'}
        Standard errors; both use the t distribution with the residual degrees of freedom.
    """

    outcome: str
    predictor: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    standardised: tuple[str, ...] = ()
    transform: Transform = "identity"
    covariance: Covariance = "classical"


@dataclass(frozen=True)
class Design:
    """Complete cases of a model as numbers.

    Attributes
    ----------
    outcome : Series of float64, shape (n,)
        The transformed outcome.
    terms : DataFrame of float64, shape (n, p)
        The predictor and the covariates without a constant; n exceeds p + 1 and no column
        is constant or a combination of the others.
    """

    outcome: pd.Series
    terms: pd.DataFrame


@dataclass(frozen=True)
class Diagnostics:
    """How far a linear model meets its assumptions.

    Attributes
    ----------
    quantiles : DataFrame
        QQ plot: ``theoretical`` normal quantiles and ordered ``studentised`` residuals.
    breusch_pagan, breusch_pagan_p : float
        Studentised (Koenker) score test of heteroscedasticity.
    shapiro_wilk, shapiro_wilk_p : float
        Test of normal residuals.
    variance_inflation : Series of float64
        Variance inflation factor of each term.
    """

    quantiles: pd.DataFrame
    breusch_pagan: float
    breusch_pagan_p: float
    shapiro_wilk: float
    shapiro_wilk_p: float
    variance_inflation: pd.Series


@dataclass(frozen=True)
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
    residual_sd: float
    observations: pd.DataFrame

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """How far the model meets its assumptions.

        Tests are NaN if the fit is perfect; Shapiro-Wilk also above 5000 cases, where its
        p-value is not known.

        References
        ----------
        Koenker 1981, J Econom 17:107-112; Shapiro & Wilk 1965, Biometrika 52:591-611; Filliben
        1975, Technometrics 17:111-117 (plotting positions).
        """
        residual = self.observations["residual"].to_numpy()
        theoretical, ordered = stats.probplot(self.observations["studentised"], fit=False)
        breusch_pagan = shapiro = (np.nan, np.nan)
        if np.ptp(residual) > 1e-12 * np.ptp(self.design.outcome):
            breusch_pagan = het_breuschpagan(residual, _with_constant(self.design.terms))[:2]
            if self.n <= SHAPIRO_LIMIT:
                result = stats.shapiro(residual)
                shapiro = (float(result.statistic), float(result.pvalue))
        correlation = np.corrcoef(self.design.terms.to_numpy(), rowvar=False)
        inflation = np.diag(linalg.inv(np.atleast_2d(correlation)))
        return Diagnostics(
            quantiles=pd.DataFrame({"theoretical": theoretical, "studentised": ordered}),
            breusch_pagan=float(breusch_pagan[0]),
            breusch_pagan_p=float(breusch_pagan[1]),
            shapiro_wilk=float(shapiro[0]),
            shapiro_wilk_p=float(shapiro[1]),
            variance_inflation=pd.Series(inflation, index=self.design.terms.columns),
        )


def build_design(data: pd.DataFrame, model: Model) -> Design:
    """Select the complete cases of a model and code its terms.

    Parameters
    ----------
    data : DataFrame
        One row per subject, with the model's columns.
    model : Model

    Returns
    -------
    Design

    Raises
    ------
    ModelError
        If the model uses a column twice or standardises one that is no numeric covariate; a
        column is absent, holds text instead of numbers or has no value; no case is complete;
        the logarithm is undefined; the outcome or a term is constant but for rounding; there
        are no more cases than parameters; or terms are collinear.
    """
    numeric = (model.predictor, *model.numeric)
    names = [model.outcome, *numeric, *model.categorical]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ModelError(f"{repeated} are used more than once")
    if not set(model.standardised) <= set(model.numeric):
        raise ModelError(f"standardised {list(model.standardised)} are no numeric covariates")
    try:
        require_columns(data, names)
        columns = {name: numeric_column(data, name) for name in (model.outcome, *numeric)}
    except (KeyError, ValueError) as error:
        raise ModelError(str(error.args[0])) from error
    # Arrays by column: a table of the paper has hundreds of models, and frames are slow to make.
    cases = {name: values.to_numpy() for name, values in columns.items()}
    for name in model.categorical:
        cases[name] = data[name].map(str, na_action="ignore").to_numpy(dtype=object)
    kept = _complete(cases)
    cases = {name: values[kept] for name, values in cases.items()}
    outcome = cases.pop(model.outcome)
    if model.transform == "log":
        if (outcome <= 0).any():
            raise ModelError(f"log of '{model.outcome}': {int((outcome <= 0).sum())} values ≤ 0")
        outcome = np.log(outcome)
    terms = {name: cases[name] for name in numeric}
    for name in model.categorical:
        for level in sorted(set(cases[name]))[1:]:
            terms[f"{name}_{level}"] = (cases[name] == level).astype(np.float64)
    n, parameters = len(outcome), len(terms) + 1
    if n <= parameters:
        raise ModelError(f"{n} complete cases do not exceed the {parameters} parameters")
    for name, values in {model.outcome: outcome, **cases}.items():
        same = len(set(values)) == 1 if name in model.categorical else is_constant(values)
        if same:
            raise ModelError(f"'{name}' is constant")
    for name in model.standardised:
        terms[name] = (terms[name] - terms[name].mean()) / terms[name].std(ddof=1)
    index = data.index[kept]
    design = Design(pd.Series(outcome, index), pd.DataFrame(terms, index, dtype=np.float64))
    _require_full_rank(design.terms)
    return design


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
    Partial R²: t² / (t² + df) with the classical t, Cohen et al. 2003, chapter 3.
    """
    design = build_design(data, model)
    classical = sm.OLS(design.outcome.to_numpy(), _with_constant(design.terms)).fit()
    influence = classical.get_influence()
    leverage = influence.hat_matrix_diag
    fit = classical
    if model.covariance == "HC3":
        if leverage.max() > 1 - 1e-10:
            raise ModelError("a case has a leverage of 1, HC3 is undefined")
        fit = classical.get_robustcov_results("HC3", use_t=True)
    interval = np.asarray(fit.conf_int(1 - confidence))
    # The predictor comes right after the constant.
    t_squared = classical.tvalues[1] ** 2
    return LinearFit(
        model=model,
        design=design,
        n=int(classical.nobs),
        df=int(classical.df_resid),
        coefficients=pd.DataFrame(
            {
                "beta": np.asarray(fit.params),
                "se": np.asarray(fit.bse),
                "ci_low": interval[:, 0],
                "ci_high": interval[:, 1],
                "t": np.asarray(fit.tvalues),
                "p": np.asarray(fit.pvalues),
            },
            index=["const", *design.terms.columns],
        ),
        r2=float(classical.rsquared),
        r2_adjusted=float(classical.rsquared_adj),
        partial_r2=float(t_squared / (t_squared + classical.df_resid)),
        residual_sd=float(np.sqrt(classical.scale)),
        observations=pd.DataFrame(
            {
                "fitted": classical.fittedvalues,
                "residual": classical.resid,
                "leverage": leverage,
                "studentised": influence.resid_studentized_internal,
                "cooks_distance": influence.cooks_distance[0],
            },
            index=design.terms.index,
        ),
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
        ``p``, ``p_adj``, ``family``, ``r2``, ``r2_adjusted``, ``partial_r2``,
        ``residual_sd``, ``breusch_pagan_p``, ``shapiro_wilk_p``,
        ``variance_inflation`` (largest), ``cooks_distance`` (largest), ``standardised_over``
        and ``reason``. A model that cannot be fitted is a row with its reason.
    """
    return tabulate_fits(fit_all(data, models, confidence), family)


def fit_all(
    data: pd.DataFrame, models: Sequence[Model], confidence: float = 0.95
) -> list[tuple[Model, LinearFit | str]]:
    """Fit many linear models; in the place of one that cannot be fitted stands the reason."""
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
    columns += ["r2_adjusted", "partial_r2", "residual_sd", "breusch_pagan_p", "shapiro_wilk_p"]
    columns += ["variance_inflation", "cooks_distance", "standardised_over", "reason"]
    return adjust_family(pd.DataFrame(rows, columns=columns), family)


def adjust_family(table: pd.DataFrame, family: Family) -> pd.DataFrame:
    """Fill ``p_adj`` from ``p`` by Benjamini-Hochberg and name the ``family``.

    Parameters
    ----------
    table : DataFrame
        The columns ``p`` and ``outcome``.
    family : {'all', 'outcome'}

    Returns
    -------
    DataFrame
        A copy of `table`.
    """
    families = None if family == "all" else table["outcome"].tolist()
    return table.assign(p_adj=adjust(table["p"], families), family=family)


def winsorise(values: pd.Series, lower: float, upper: float) -> pd.Series:
    """Clip a sample at two of its own quantiles.

    Parameters
    ----------
    values : Series of float64
        The full sample; NaN stay NaN.
    lower, upper : float
        Quantile levels, for example 0.01 and 0.99; quantiles are of type 7.

    Returns
    -------
    Series of float64

    Raises
    ------
    ValueError
        If the levels are not 0 ≤ lower < upper ≤ 1.

    References
    ----------
    Hyndman & Fan 1996, Am Stat 50:361-365 (type 7).
    """
    if not 0 <= lower < upper <= 1:
        raise ValueError(f"quantile levels must satisfy 0 ≤ lower < upper ≤ 1: {lower}, {upper}")
    return values.clip(float(values.quantile(lower)), float(values.quantile(upper)))


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
        "partial_r2": fit.partial_r2,
        "residual_sd": fit.residual_sd,
        "breusch_pagan_p": diagnostics.breusch_pagan_p,
        "shapiro_wilk_p": diagnostics.shapiro_wilk_p,
        "variance_inflation": diagnostics.variance_inflation.max(),
        "cooks_distance": fit.observations["cooks_distance"].max(),
    }


def _complete(cases: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Return which cases have every value."""
    missing = {name: pd.isna(values) for name, values in cases.items()}
    absent = [name for name, gaps in missing.items() if gaps.all()]
    if absent:
        raise ModelError(f"all values of {absent} are missing")
    complete = ~np.logical_or.reduce(list(missing.values()))
    if not complete.any():
        raise ModelError("no case is complete")
    return np.asarray(complete)


def _with_constant(terms: pd.DataFrame) -> FloatArray:
    return np.column_stack([np.ones(len(terms)), terms.to_numpy()])


def _require_full_rank(terms: pd.DataFrame) -> None:
    """Raise if a term is a linear combination of the others and a constant."""
    values = terms.to_numpy()
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    _, triangle, order = linalg.qr(scaled, mode="economic", pivoting=True)
    dependent = np.abs(np.diag(triangle)) < 1e-10 * np.sqrt(len(terms))
    if dependent.any():
        names = terms.columns[order[dependent]].tolist()
        raise ModelError(f"{names} is collinear with the other terms")
