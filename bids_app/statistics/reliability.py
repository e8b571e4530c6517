"""Measurement error from repeat scans, and associations corrected for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from bids_app.statistics.design import Model, ModelError
from bids_app.statistics.regression import LinearFit, fit_linear
from bids_app.statistics.samples import Interval, numeric_column, require_columns

_ERROR_COLUMNS = [
    *("method", "subjects", "scans", "df", "within_sd", "within_sd_ci_low", "within_sd_ci_high"),
    *("repeatability", "coefficient_of_variation", "reason"),
]
_CORRECTION_COLUMNS = [
    *("outcome", "predictor", "n", "beta", "se", "reliability", "beta_corrected"),
    *("beta_corrected_ci_low", "beta_corrected_ci_high", "se_corrected", "reason"),
]


@dataclass(frozen=True)
class MeasurementError:
    """Error of a single measurement, from scans repeated while nothing changed.

    Attributes
    ----------
    subjects, scans, df : int
        Subjects with a set of repeat scans, their repeat scans, and scans - sets.
    within_sd : Interval
        Within-subject standard deviation, in the unit of the value.
    mean : float
        Mean of the means of the sets.
    """

    subjects: int
    scans: int
    df: int
    within_sd: Interval
    mean: float


def measurement_error(
    repeats: pd.DataFrame,
    value: str = "volume",
    keys: Sequence[str] = ("subject",),
    confidence: float = 0.95,
) -> MeasurementError:
    """Estimate the within-subject standard deviation by one-way analysis of variance.

    Parameters
    ----------
    repeats : DataFrame
        One row per scan: the columns `keys` and `value`; missing values are dropped.
    value : str
    keys : sequence of str
        Columns that identify a set of repeat scans without change, for example subject and
        session; the first identifies the subject.
    confidence : float
        Level of the χ²-based interval.

    Returns
    -------
    MeasurementError

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If nothing was scanned twice, or the values hold text or infinite values.

    References
    ----------
    Bland & Altman 1996, BMJ 313:744.
    """
    values = _values(repeats, value, keys)
    repeated = values[values.groupby(list(keys))["value"].transform("size") > 1]
    grouped = repeated.groupby(list(keys))["value"]
    if repeated.empty:
        raise ValueError("nothing was scanned twice")
    df = len(repeated) - grouped.ngroups
    squares = float(((repeated["value"] - grouped.transform("mean")) ** 2).sum())
    # The upper quantile gives the lower end.
    tails = (stats.chi2.ppf((1 + side * confidence) / 2, df) for side in (1, -1))
    within_sd = Interval(*(float(np.sqrt(squares / divisor)) for divisor in (df, *tails)))
    mean = float(grouped.mean().mean())
    subjects = repeated[keys[0]].nunique()
    return MeasurementError(subjects, len(repeated), df, within_sd, mean)


def measurement_error_table(
    repeats: pd.DataFrame,
    value: str = "volume",
    keys: Sequence[str] = ("subject",),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Report the measurement error of each method.

    Parameters
    ----------
    repeats : DataFrame
        As for `measurement_error`, with the column ``method``.
    value, keys, confidence
        As for `measurement_error`.

    Returns
    -------
    DataFrame
        One row per method: ``method``, ``subjects``, ``scans``, ``df``, ``within_sd`` with
        ``_ci_low`` and ``_ci_high``, ``repeatability`` (1.96·√2·within_sd: two scans differ by
        less in 95 % of pairs), ``coefficient_of_variation`` (%; NaN unless the mean is
        positive), ``reason``.

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(repeats, ["method", *keys, value])
    rows: list[dict[str, Any]] = []
    for method, scans in repeats.groupby("method", sort=False):
        row: dict[str, Any] = {"method": method, "reason": ""}
        try:
            error = measurement_error(scans, value, keys, confidence)
        except ValueError as reason:
            rows.append(row | {"reason": str(reason)})
            continue
        row |= {"subjects": error.subjects, "scans": error.scans, "df": error.df}
        row |= error.within_sd.columns("within_sd")
        row["repeatability"] = 1.96 * np.sqrt(2) * error.within_sd.estimate
        if error.mean > 0:
            row["coefficient_of_variation"] = 100 * error.within_sd.estimate / error.mean
        rows.append(row)
    return pd.DataFrame(rows, columns=_ERROR_COLUMNS)


def within_contrasts(
    repeats: pd.DataFrame, value: str = "volume", keys: Sequence[str] = ("subject",)
) -> pd.Series:
    """Convert repeated scans to independent deviations with the variance of a single scan.

    The deviations of m scans from their mean depend on one another; their m - 1 Helmert
    contrasts, each scan against the mean of those before it, do not.

    Parameters
    ----------
    repeats, value, keys
        As for `measurement_error`.

    Returns
    -------
    Series of float64
        √(j / (j + 1)) · (scan j + 1 - mean of scans 1 … j), indexed by the scan; its mean square
        is the squared ``within_sd``.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If the values hold text or infinite values.

    References
    ----------
    Searle 1971, Linear Models, section 2.5 (Helmert matrix).
    """
    values = _values(repeats, value, keys)
    grouped = values.groupby(list(keys))["value"]
    before = grouped.cumcount()
    previous = (grouped.cumsum() - values["value"]) / before
    contrasts = (before / (before + 1)) ** 0.5 * (values["value"] - previous)
    return contrasts[before > 0].rename("contrast")


def calibrated_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    errors: Mapping[str, MeasurementError],
    *,
    difference: bool = False,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Correct the coefficient of each predictor for its measurement error.

    The naive coefficient is divided by the reliability of the predictor given the covariates,
    λ = 1 - σ² / Var(predictor | covariates); the variance follows by the delta method from
    those of the coefficient, of σ² and of the conditional variance.

    Parameters
    ----------
    data : DataFrame
        One row per subject.
    models : sequence of Model
    errors : mapping of str to MeasurementError
        Error of a single measurement, by predictor.
    difference : bool
        The predictors are differences of two measurements, whose error variance is doubled.
    confidence : float
        Level of the t-based intervals.

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``n``, ``beta``, ``se``,
        ``reliability``, ``beta_corrected`` with ``_ci_low`` and ``_ci_high``,
        ``se_corrected``, ``reason``.

    References
    ----------
    Rosner, Spiegelman & Willett 1990, Am J Epidemiol 132:734-745; Carroll et al. 2006,
    Measurement Error in Nonlinear Models, chapters 3 and 4.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        error = errors.get(model.predictor)
        rows.append(row | _corrected_row(data, model, error, 1 + difference, confidence))
    return pd.DataFrame(rows, columns=_CORRECTION_COLUMNS)


def _corrected_row(
    data: pd.DataFrame,
    model: Model,
    error: MeasurementError | None,
    measurements: int,
    confidence: float,
) -> dict[str, Any]:
    if error is None:
        return {"reason": f"no repeat scans of '{model.predictor}'"}
    try:
        fit = fit_linear(data, model, confidence)
        return _calibrate(fit, error, measurements, confidence) | {"reason": ""}
    except ModelError as problem:
        return {"reason": str(problem)}


def _values(repeats: pd.DataFrame, value: str, keys: Sequence[str]) -> pd.DataFrame:
    """Return `keys` and the ``value`` of the scans that have all of them."""
    require_columns(repeats, [*keys, value])
    return repeats[list(keys)].assign(value=numeric_column(repeats, value)).dropna()


def _calibrate(
    fit: LinearFit, error: MeasurementError, measurements: int, confidence: float
) -> dict[str, Any]:
    predictor = fit.design.terms[fit.model.predictor]
    # The constant replaces the predictor among the terms.
    conditional = sm.OLS(predictor, fit.design.terms.assign(**{fit.model.predictor: 1.0})).fit()
    unreliable = measurements * error.within_sd.estimate**2 / conditional.scale
    reliability = 1 - unreliable
    # Noise beyond the variance of the predictor cannot be corrected for.
    if reliability <= 0:
        raise ModelError(f"the error of '{fit.model.predictor}' exceeds its variance")
    beta = float(fit.coefficients["beta"][fit.model.predictor])
    se = float(fit.coefficients["se"][fit.model.predictor])
    # The relative variance of an estimated variance is 2 / df.
    reliability_variance = unreliable**2 * (2 / error.df + 2 / conditional.df_resid)
    corrected = beta / reliability
    corrected_se = float(
        np.sqrt((se / reliability) ** 2 + corrected**2 * reliability_variance / reliability**2)
    )
    half = stats.t.ppf((1 + confidence) / 2, fit.df) * corrected_se
    interval = Interval(corrected, float(corrected - half), float(corrected + half))
    return {
        "n": fit.n,
        "beta": beta,
        "se": se,
        "reliability": float(reliability),
        **interval.columns("beta_corrected"),
        "se_corrected": corrected_se,
    }
