"""Volumetric agreement of a method with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.intraclass import intraclass_correlation
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.samples import (
    FloatArray,
    Interval,
    complete_cases,
    is_constant,
    numeric_column,
    require_columns,
    require_pairs,
    require_unique,
)

# The limits of agreement do not depend on the level of their intervals.
LIMIT_FACTOR = 1.96
_WITHOUT_INTERVAL = "residual_sd"
_MEASURES = (
    "ccc",
    "icc_c1",
    "icc_a1",
    "slope",
    "intercept",
    _WITHOUT_INTERVAL,
    "bias",
    "sd",
    "lower_limit",
    "upper_limit",
    "proportional_slope",
)
_SLOPES = ("slope", "proportional_slope")
_COLUMNS = (
    *(
        f"{measure}{end}"
        for measure in _MEASURES
        for end in (("",) if measure == _WITHOUT_INTERVAL else ("", "_ci_low", "_ci_high"))
    ),
    *(f"{slope}{end}" for slope in _SLOPES for end in ("_se", "_p", "_p_adj", "_r2")),
)


@dataclass(frozen=True, kw_only=True)
class LineFit:
    """Least-squares line through paired samples.

    Attributes
    ----------
    slope, intercept : Interval
        Coefficients with t-based confidence intervals, n - 2 degrees of freedom.
    residual_sd : float
        Residual standard deviation, n - 2 degrees of freedom.
    slope_se, p : float
        Standard error of the slope, and two-sided p-value of a slope of 0.
    r2 : float
        Share of variance explained; NaN if `y` is constant.
    """

    slope: Interval
    intercept: Interval
    residual_sd: float
    slope_se: float
    p: float
    r2: float


@dataclass(frozen=True)
class BlandAltman:
    """Differences between a method and a reference (method - reference).

    Attributes
    ----------
    bias : Interval
        Mean difference.
    sd : Interval
        Standard deviation of the differences, n - 1 degrees of freedom; χ²-based interval.
    lower_limit, upper_limit : Interval
        Limits of agreement, bias ± 1.96 sd.
    proportional : LineFit
        Regression of the differences on the pairwise means.
    """

    bias: Interval
    sd: Interval
    lower_limit: Interval
    upper_limit: Interval
    proportional: LineFit


def concordance(
    reference: npt.ArrayLike, method: npt.ArrayLike, confidence: float = 0.95, ddof: int = 0
) -> Interval:
    """Compute Lin's concordance correlation coefficient.

    Twice the covariance over the sum of the variances and the squared difference of the means.

    Parameters
    ----------
    reference, method : array_like, shape (n,)
        Paired measurements; pairs with a NaN are dropped.
    confidence : float
        Level of the interval.
    ddof : {0, 1}
        Delta degrees of freedom of the variances and the covariance.

    Returns
    -------
    Interval
        With the interval by Fisher's z, from the corrected variance with n - 2; [1, 1] for
        perfect concordance. If one sample is constant, the coefficient is 0 without an interval
        (NaN); if both are constant and equal, it is undefined as well (NaN).

    Raises
    ------
    ValueError
        If fewer than three pairs are complete.

    References
    ----------
    Lin 1989, Biometrics 45:255-268; variance with the correction of Lin 2000, Biometrics
    56:324-325, multiplied out to avoid division by the correlation.
    """
    x, y = _complete_pairs(reference, method)
    (var_x, cov), (_, var_y) = np.cov(x, y, ddof=ddof)
    denominator = var_x + var_y + (x.mean() - y.mean()) ** 2
    # Rounding would give constant samples a variance, and a coefficient of noise.
    if is_constant(np.concatenate([x, y])):
        return Interval(np.nan, np.nan, np.nan)
    if is_constant(x) or is_constant(y):
        return Interval(0.0, np.nan, np.nan)
    ccc = float(2 * cov / denominator)
    scale = np.sqrt(var_x * var_y)
    shift = (x.mean() - y.mean()) ** 2 / scale
    variance = _concordance_variance(ccc, cov / scale, 2 * scale / denominator, shift)
    return _fisher_interval(ccc, variance / (x.size - 2), confidence)


def _concordance_variance(ccc: float, r: float, accuracy: float, shift: float) -> float:
    """Return n - 2 times the variance of a concordance, Lin 2000.

    Parameters
    ----------
    ccc, r, accuracy : float
        Concordance, Pearson correlation and bias correction factor, ccc = r · accuracy.
    shift : float
        Squared location shift relative to the scale.
    """
    return (
        (1 - r**2) * accuracy**2 * (1 - ccc**2)
        + 2 * ccc**2 * accuracy * (1 - ccc) * shift
        - 0.5 * ccc**2 * accuracy**2 * shift**2
    )


def _fisher_interval(ccc: float, variance: float, confidence: float) -> Interval:
    """Return a concordance with its interval by Fisher's z; [1, 1] if it is perfect."""
    # Fisher's z of ±1 is infinite.
    if 1 - abs(ccc) < 1e-14:
        return Interval(ccc, ccc, ccc)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance) / (1 - ccc**2)
    low, high = np.tanh(np.arctanh(ccc) + np.array([-half, half]))
    return Interval(ccc, float(low), float(high))


def fit_line(x: npt.ArrayLike, y: npt.ArrayLike, confidence: float = 0.95) -> LineFit:
    """Fit y on x by ordinary least squares with classical t-based intervals.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Predictor and outcome; pairs with a NaN are dropped.
    confidence : float
        Level of the intervals.

    Returns
    -------
    LineFit
        NaN if `x` is constant.

    Raises
    ------
    ValueError
        If fewer than three pairs are complete.
    """
    x, y = _complete_pairs(x, y)
    # The slope on a constant would be a ratio of rounding errors.
    if is_constant(x):
        undefined = Interval(np.nan, np.nan, np.nan)
        return LineFit(
            slope=undefined,
            intercept=undefined,
            residual_sd=np.nan,
            slope_se=np.nan,
            p=np.nan,
            r2=np.nan,
        )
    fit = stats.linregress(x, y)
    residuals = y - fit.intercept - fit.slope * x
    quantile = stats.t.ppf((1 + confidence) / 2, x.size - 2)
    return LineFit(
        slope=_symmetric(fit.slope, quantile * fit.stderr),
        intercept=_symmetric(fit.intercept, quantile * fit.intercept_stderr),
        residual_sd=float(np.sqrt(residuals @ residuals / (x.size - 2))),
        slope_se=float(fit.stderr),
        p=float(fit.pvalue),
        r2=np.nan if is_constant(y) else float(fit.rvalue**2),
    )


def bland_altman(
    reference: npt.ArrayLike, method: npt.ArrayLike, confidence: float = 0.95
) -> BlandAltman:
    """Describe the differences method - reference.

    Parameters
    ----------
    reference, method : array_like, shape (n,)
        Paired measurements; pairs with a NaN are dropped.
    confidence : float
        Level of the intervals (the limits of agreement are always bias ± 1.96 sd).

    Returns
    -------
    BlandAltman

    Raises
    ------
    ValueError
        If fewer than three pairs are complete.

    References
    ----------
    Bland & Altman 1986, Lancet 327:307-310; 1999, Stat Methods Med Res 8:135-160, section 2
    (standard error of the limits, sd·sqrt(1/n + 1.96²/(2(n-1))); slope on the mean).
    """
    x, y = _complete_pairs(reference, method)
    difference = y - x
    n, bias, sd = x.size, difference.mean(), difference.std(ddof=1)
    quantile = stats.t.ppf((1 + confidence) / 2, n - 1)
    # Bias and SD of normal differences are independent, so their variances add.
    half_limit = quantile * sd * np.sqrt(1 / n + LIMIT_FACTOR**2 / (2 * (n - 1)))
    spread = np.sqrt((n - 1) / stats.chi2.isf([(1 - confidence) / 2, (1 + confidence) / 2], n - 1))
    return BlandAltman(
        bias=_symmetric(bias, quantile * sd / np.sqrt(n)),
        sd=Interval(float(sd), *(float(sd * factor) for factor in spread)),
        lower_limit=_symmetric(bias - LIMIT_FACTOR * sd, half_limit),
        upper_limit=_symmetric(bias + LIMIT_FACTOR * sd, half_limit),
        proportional=fit_line((x + y) / 2, difference, confidence),
    )


def agreement_table(
    volumes: pd.DataFrame,
    reference: str,
    keys: Sequence[str] = ("subject",),
    confidence: float = 0.95,
    ddof: int = 0,
) -> pd.DataFrame:
    """Compare the volumes of every method with those of the reference.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan and method: the columns `keys`, ``method`` and ``volume`` (mL).
    reference : str
        The method that serves as reference.
    keys : sequence of str
        Columns that together identify a scan.
    confidence : float
        Level of every interval.
    ddof : {0, 1}
        Delta degrees of freedom of the concordance coefficient.

    Returns
    -------
    DataFrame
        One row per method in order of appearance: ``method``, ``n`` complete pairs, ``ccc``,
        ``icc_c1``, ``icc_a1``, ``slope`` and ``intercept`` of method on reference,
        ``residual_sd``, ``bias``, ``sd``, ``lower_limit``, ``upper_limit``,
        ``proportional_slope``; all but ``residual_sd`` with ``_ci_low`` and ``_ci_high``. Both
        slopes with ``_se``, ``_p`` (of a slope of 0), ``_p_adj`` (Benjamini-Hochberg over the
        methods) and ``_r2``. Without them NaN and the ``reason``, which is otherwise empty.

    Raises
    ------
    KeyError
        If a column or the reference is absent.
    ValueError
        If a scan has two volumes by one method, or volumes are text, infinite or negative.
    """
    wide = _volumes_by_method(volumes, keys)
    if reference not in wide:
        raise KeyError(f"reference '{reference}' is none of the methods {list(wide)}")
    rows = [
        {"method": method, **_agreement_row(wide[reference], wide[method], confidence, ddof)}
        for method in wide.columns.drop(reference)
    ]
    table = pd.DataFrame(rows, columns=["method", "n", "reason", *_COLUMNS])
    adjusted = {f"{slope}_p_adj": adjust(table[f"{slope}_p"]) for slope in _SLOPES}
    return table.assign(**adjusted)


def _volumes_by_method(volumes: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per scan and one column per method, in order of appearance."""
    require_columns(volumes, [*keys, "method", "volume"])
    require_unique(volumes, [*keys, "method"])
    checked = volumes.assign(volume=numeric_column(volumes, "volume"))
    if (checked["volume"] < 0).any():
        raise ValueError("column 'volume' holds negative volumes")
    wide = checked.pivot(index=list(keys), columns="method", values="volume")
    return wide[list(dict.fromkeys(checked["method"]))]


def _agreement_row(
    reference: pd.Series, method: pd.Series, confidence: float, ddof: int
) -> dict[str, object]:
    x, y = complete_cases(reference, method)
    try:
        columns = _agreement_columns(x, y, confidence, ddof)
    except ValueError as error:
        return {"n": x.size, "reason": str(error)}
    return {"n": x.size, "reason": _undefined(x, y), **columns}


def _agreement_columns(
    reference: npt.ArrayLike, method: npt.ArrayLike, confidence: float, ddof: int
) -> dict[str, float]:
    ratings = np.column_stack([np.asarray(reference), np.asarray(method)])
    line = fit_line(reference, method, confidence)
    differences = bland_altman(reference, method, confidence)
    icc = intraclass_correlation(ratings, confidence)
    return {
        **concordance(reference, method, confidence, ddof).columns("ccc"),
        **icc.consistency.columns("icc_c1"),
        **icc.agreement.columns("icc_a1"),
        **line.slope.columns("slope"),
        **line.intercept.columns("intercept"),
        _WITHOUT_INTERVAL: line.residual_sd,
        **differences.bias.columns("bias"),
        **differences.sd.columns("sd"),
        **differences.lower_limit.columns("lower_limit"),
        **differences.upper_limit.columns("upper_limit"),
        **differences.proportional.slope.columns("proportional_slope"),
        **_slope_columns("slope", line),
        **_slope_columns("proportional_slope", differences.proportional),
    }


def _slope_columns(name: str, line: LineFit) -> dict[str, float]:
    return {f"{name}_se": line.slope_se, f"{name}_p": line.p, f"{name}_r2": line.r2}


def _undefined(reference: FloatArray, method: FloatArray) -> str:
    """Describe what constant volumes leave undefined; empty if both vary."""
    if is_constant(np.concatenate([reference, method])):
        return "all volumes are equal: ccc, ICC and slopes are undefined"
    if is_constant(reference):
        return "the reference is constant: ccc is 0 without an interval, slope is undefined"
    return "the method is constant: ccc is 0 without an interval" if is_constant(method) else ""


def _complete_pairs(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = complete_cases(x, y)
    require_pairs(x.size)
    return x, y


def _symmetric(estimate: float, half_width: float) -> Interval:
    return Interval(float(estimate), float(estimate - half_width), float(estimate + half_width))
