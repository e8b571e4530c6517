"""Normative model of thalamus volume and the test of a single subject against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bids_app.statistics.choices import Rule
from bids_app.statistics.samples import (
    FloatArray,
    complete_cases,
    numeric_column,
    require_columns,
)

# Threshold of outliers, interquartile ranges beyond the quartiles: Tukey's inner and outer fences.
_FENCES = {"opfer": 1.5, "prediction": 3.0}
TERMS = ("tiv²", "age²", "tiv·age", "tiv", "age", "constant")


@dataclass(frozen=True, kw_only=True)
class NormativeModel:
    """Expected thalamus volume in healthy subjects, a quadratic in TIV and age.

    Attributes
    ----------
    coefficients : Series of float64
        By term, for volume and TIV in mL and age in years.
    residual_sd : float
        Standard deviation of the residuals without outliers, mL: with n - 1 for the rule ``opfer``,
        with n - 6 for ``prediction``.
    n, outliers : int
        Subjects in the final fit, and subjects excluded as outliers.
    age_range, tiv_range : tuple of float
        Range of the final sample, years and mL.
    covariance : (6, 6) float64
        Covariance of the coefficients, divided by the residual variance.
    rule : {'opfer', 'prediction'}
    """

    coefficients: pd.Series
    residual_sd: float
    n: int
    outliers: int
    age_range: tuple[float, float]
    tiv_range: tuple[float, float]
    covariance: FloatArray
    rule: Rule = "opfer"

    @property
    def degrees_of_freedom(self) -> int:
        """Subjects in the final fit less coefficients."""
        return self.n - len(TERMS)


@dataclass(frozen=True)
class ScannerResiduals:
    """Deviations of one subject's volumes, measured repeatedly on several scanners.

    Attributes
    ----------
    intra : Series of float64
        Each scan minus the mean of its scanner, mL.
    inter : Series of float64
        Each scanner's mean minus the mean of these means, mL.
    """

    intra: pd.Series
    inter: pd.Series


def fit_normative(database: pd.DataFrame, rule: Rule = "opfer") -> NormativeModel:
    """Fit the normative model in two steps, the second without the outliers of the first.

    Parameters
    ----------
    database : DataFrame
        One row per healthy subject: ``volume`` and ``tiv`` (mL), ``age`` (years).
    rule : {'opfer', 'prediction'}
        Outliers are residuals beyond the quartiles by more than 1.5 interquartile ranges, or
        internally studentised residuals by more than 3.

    Returns
    -------
    NormativeModel

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a column holds text or infinite values, or the complete cases do not determine
        the six coefficients.

    References
    ----------
    Opfer et al. 2022, section "Single subject analysis":
    THALV = a TIV² + b age² + c TIV·age + d TIV + e age + f.
    """
    volume, tiv, age = complete_cases(
        *(numeric_column(database, name) for name in ("volume", "tiv", "age"))
    )
    terms = _terms(tiv, age)
    residual = volume - terms @ _solve(terms, volume)
    if rule == "prediction":
        leverage = _leverage(terms, _covariance(terms))
        residual /= np.sqrt(np.maximum(1 - leverage, np.finfo(np.float64).eps))
    q1, q3 = np.quantile(residual, [0.25, 0.75])
    reach = _FENCES[rule] * (q3 - q1)
    kept = (residual >= q1 - reach) & (residual <= q3 + reach)
    coefficients = _solve(terms[kept], volume[kept])
    final = volume[kept] - terms[kept] @ coefficients
    ddof = 1 if rule == "opfer" else len(TERMS)
    return NormativeModel(
        coefficients=pd.Series(coefficients, index=TERMS),
        residual_sd=float(final.std(ddof=ddof)),
        n=int(kept.sum()),
        outliers=int((~kept).sum()),
        age_range=(float(age[kept].min()), float(age[kept].max())),
        tiv_range=(float(tiv[kept].min()), float(tiv[kept].max())),
        covariance=_covariance(terms[kept]),
        rule=rule,
    )


def assess_subjects(
    subjects: pd.DataFrame, model: NormativeModel, scanner_sd: float
) -> pd.DataFrame:
    """Test the thalamus volume of each subject against the normative model.

    Parameters
    ----------
    subjects : DataFrame
        One row per subject: ``volume`` and ``tiv`` (mL), ``age`` (years).
    model : NormativeModel
    scanner_sd : float
        Inter-scanner standard deviation of the method, mL.

    Returns
    -------
    DataFrame
        Index of `subjects`; ``expected`` and ``residual`` (mL), ``residual_ci_low``,
        ``residual_ci_high`` (± 1.96 scanner_sd), ``z``, ``percentile``, ``reduced`` and
        ``extrapolated`` (age or TIV outside the normative sample). NaN or false if missing.

        By the rule ``opfer``, z is residual / residual_sd, the percentile is that of a normal
        distribution, and a volume is reduced if the interval lies below -1.96 residual_sd. By the
        rule ``prediction``, z is residual / (residual_sd √(1 + h)) with the leverage h of the
        subject, the percentile is that of t with n - 6 degrees of freedom, and a volume is reduced
        if the interval lies below its 2.5 % quantile.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a column holds text or infinite values or `scanner_sd` is negative.

    References
    ----------
    Opfer et al. 2022, single-subject analysis, after Mühlau et al. 2009, AJNR 30:539-543;
    prediction of an observation: Draper & Smith 1998, Applied Regression Analysis, section 3.1.
    """
    if not scanner_sd >= 0:
        raise ValueError(f"scanner_sd {scanner_sd} is negative")
    volume, tiv, age = (numeric_column(subjects, name) for name in ("volume", "tiv", "age"))
    terms = _terms(tiv.to_numpy(), age.to_numpy())
    expected = terms @ model.coefficients.to_numpy()
    predicts = model.rule == "prediction"
    leverage = _leverage(terms, model.covariance) if predicts else np.zeros(len(terms))
    spread = model.residual_sd * np.sqrt(1 + leverage)
    distribution = stats.t(model.degrees_of_freedom) if predicts else stats.norm()
    limit = distribution.ppf(0.025) if predicts else -1.96
    residual = volume - expected
    outside = ~(age.between(*model.age_range) & tiv.between(*model.tiv_range))
    table = pd.DataFrame({"expected": expected, "residual": residual}, index=subjects.index)
    table["residual_ci_low"] = residual - 1.96 * scanner_sd
    table["residual_ci_high"] = residual + 1.96 * scanner_sd
    table["z"] = residual / spread
    table["percentile"] = 100 * distribution.cdf(table["z"])
    table["reduced"] = table["residual_ci_high"] < limit * spread
    return table.assign(extrapolated=outside & residual.notna())


def scanner_residuals(scans: pd.DataFrame) -> ScannerResiduals:
    """Split the volumes of a travelling subject into intra- and inter-scanner residuals.

    Parameters
    ----------
    scans : DataFrame
        One row per scan of the one subject by one method: ``scanner`` and ``volume`` (mL).
        Missing volumes are dropped.

    Returns
    -------
    ScannerResiduals

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If the volumes hold text or infinite values.

    References
    ----------
    Opfer et al. 2022, section "Intra- and inter-scanner variability"; the intra-scanner
    residuals keep scanners with a single scan, as there.
    """
    require_columns(scans, ["scanner"])
    volume = numeric_column(scans, "volume").dropna()
    scanner = scans.loc[volume.index, "scanner"]
    means = volume.groupby(scanner).mean()
    return ScannerResiduals(
        intra=volume - volume.groupby(scanner).transform("mean"), inter=means - means.mean()
    )


def _terms(tiv: FloatArray, age: FloatArray) -> FloatArray:
    return np.column_stack([tiv**2, age**2, tiv * age, tiv, age, np.ones_like(tiv)])


def _covariance(terms: FloatArray) -> FloatArray:
    """Compute the inverse of the cross products of the terms."""
    length = np.sqrt((terms**2).sum(axis=0))
    inverse = np.linalg.pinv(terms / length)
    return np.asarray(inverse @ inverse.T / np.outer(length, length))


def _leverage(terms: FloatArray, covariance: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,jk,ik->i", terms, covariance, terms))


def _solve(terms: FloatArray, volume: FloatArray) -> FloatArray:
    # Columns of unit length: TIV² in mL² is a million times the constant.
    length = np.sqrt((terms**2).sum(axis=0)) if len(terms) else np.ones(len(TERMS))
    coefficients, _, rank, _ = np.linalg.lstsq(terms / length, volume)
    if rank < len(TERMS) or len(terms) <= len(TERMS):
        raise ValueError(f"{len(terms)} complete cases do not determine {len(TERMS)} coefficients")
    return np.asarray(coefficients / length)
