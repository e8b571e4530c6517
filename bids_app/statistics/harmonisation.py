"""Harmonisation of volumes between scanners or sites: ComBat and longitudinal ComBat.

Every segmentation is harmonised on its own, without empirical Bayes estimates: these borrow
strength between many features that scanners affect alike, whereas the few segmentations of a
thalamus by different methods are not exchangeable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import linalg, stats

from bids_app.statistics.random_intercept import maximise_likelihood
from bids_app.statistics.samples import FloatArray, numeric_column, require_columns

# Share of the variance of a covariate between batches above which it is confounded with them: a
# variance inflation factor of 10.
_MOST_SHARED = 0.9
_LEAST_CASES = 3


class HarmonisationError(ValueError):
    """Volumes that cannot be harmonised, with the reason as its message."""


@dataclass(frozen=True, kw_only=True)
class Preserved:
    """Columns of a harmonisation.

    Attributes
    ----------
    batch : str
        Scanner or site.
    numeric, categorical : tuple of str
        Covariates whose effects are preserved.
    subject : str
        Column that names the subject.
    """

    batch: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    subject: str = "participant_id"


@dataclass(frozen=True, kw_only=True)
class Harmonisation:
    """Estimated effects of batches on a volume.

    Attributes
    ----------
    columns : Preserved
    levels : mapping of str to tuple of str
        Levels of each categorical covariate, the reference level first.
    constant : float
        Grand mean given the covariates at 0, mL.
    coefficients : float64 array, shape (p,)
        Coefficients of the covariates.
    shift, scale : mapping of str to float
        By batch: additive effect (mL), and residual SD relative to that of all.
    intercepts : mapping of str to float, or None
        Random intercepts by subject, mL; None if every subject has one measurement.
    n : int
        Measurements.
    """

    columns: Preserved
    levels: Mapping[str, tuple[str, ...]]
    constant: float
    coefficients: FloatArray
    shift: Mapping[str, float]
    scale: Mapping[str, float]
    intercepts: Mapping[str, float] | None
    n: int

    def apply(self, rows: pd.DataFrame, value: str) -> pd.Series:
        """Return harmonised volumes, mL.

        Parameters
        ----------
        rows : DataFrame
            Those of the fit or others.
        value : str
            Column of the volume.

        Returns
        -------
        Series of float64
            NaN where the volume or a covariate is missing, or batch (and subject, with random
            intercepts) were not among those of the fit.

        References
        ----------
        Fortin et al. 2018, NeuroImage 167:104-120, equation 4; Beer et al. 2020, NeuroImage
        220:117129, equation 6.
        """
        terms = _terms(rows, self.columns, self.levels)
        expected = self.constant + terms @ self.coefficients
        if self.intercepts is not None:
            expected = expected + _looked_up(rows[self.columns.subject], self.intercepts)
        shift, scale = (
            _looked_up(rows[self.columns.batch], each) for each in (self.shift, self.scale)
        )
        residual = (numeric_column(rows, value).to_numpy() - expected - shift) / scale
        return pd.Series(expected + residual, rows.index)


def fit_combat(rows: pd.DataFrame, value: str, columns: Preserved) -> Harmonisation:
    """Estimate the effects of batches by ComBat, from one measurement per subject.

    Parameters
    ----------
    rows : DataFrame
        One row per subject; incomplete ones are excluded.
    value : str
        Column of the volume, mL.
    columns : Preserved

    Returns
    -------
    Harmonisation

    Raises
    ------
    HarmonisationError
        If a subject has several measurements, there is one batch only, a batch has fewer subjects
        than parameters, or a covariate is the batch or confounded with it.

    References
    ----------
    Johnson et al. 2007, Biostatistics 8:118-127, sections 3.1 and 3.3; Fortin et al. 2018,
    NeuroImage 167:104-120, equations 2 to 4, without empirical Bayes.
    """
    cases, levels, terms = _checked(rows, value, columns)
    if cases[columns.subject].duplicated().any():
        raise HarmonisationError(
            "participants have several measurements, which are not independent; expected "
            "'longitudinal combat'"
        )
    batches, names = pd.factorize(cases[columns.batch].astype(str), sort=True)
    outcome = cases[value].to_numpy(dtype=np.float64)
    dummies = np.eye(len(names))[batches]
    solution = np.linalg.lstsq(np.column_stack([dummies, terms]), outcome)[0]
    means, coefficients = solution[: len(names)], solution[len(names) :]
    sizes = np.bincount(batches)
    constant = float(sizes @ means / len(cases))
    residual = outcome - dummies @ means - terms @ coefficients
    pooled = float(np.sqrt(np.mean(residual**2)))
    spread = np.array([residual[batches == each].std(ddof=1) for each in range(len(names))])
    return Harmonisation(
        columns=columns,
        levels=levels,
        constant=constant,
        coefficients=coefficients,
        shift=dict(zip(names, (means - constant).tolist(), strict=True)),
        scale=dict(zip(names, _ratios(spread, pooled, names.tolist()), strict=True)),
        intercepts=None,
        n=len(cases),
    )


def fit_longitudinal_combat(rows: pd.DataFrame, value: str, columns: Preserved) -> Harmonisation:
    """Estimate the effects of batches by longitudinal ComBat, with random intercepts of subjects.

    Parameters
    ----------
    rows : DataFrame
        One row per session; incomplete ones are excluded. Subjects may have been in several
        batches.
    value : str
        Column of the volume, mL.
    columns : Preserved
        Its covariates include the time.

    Returns
    -------
    Harmonisation

    Raises
    ------
    HarmonisationError
        If no subject has several measurements, or as for `fit_combat`.

    References
    ----------
    Beer et al. 2020, NeuroImage 220:117129, equations 3 to 6, without empirical Bayes.
    """
    cases, levels, terms = _checked(rows, value, columns)
    subjects, people = pd.factorize(cases[columns.subject].astype(str))
    if len(people) == len(cases):
        raise HarmonisationError("no participant has several measurements; expected 'combat'")
    batches, names = pd.factorize(cases[columns.batch].astype(str), sort=True)
    outcome, dummies = cases[value].to_numpy(dtype=np.float64), np.eye(len(names))[batches]
    fixed = np.column_stack([dummies, terms])
    # Covariates of very different size would make the equations ill-conditioned.
    length = np.sqrt((fixed**2).mean(axis=0))
    best = maximise_likelihood(outcome, fixed / length, subjects)
    solution = best.beta / length
    means, coefficients = solution[: len(names)], solution[len(names) :]
    sizes, of_subject = np.bincount(batches), np.bincount(subjects)
    constant = float(sizes @ means / len(cases))
    marginal = outcome - fixed @ solution
    # Best linear unbiased predictions of the random intercepts.
    intercepts = best.ratio * np.bincount(subjects, marginal) / (1 + best.ratio * of_subject)
    residual = marginal - intercepts[subjects]
    offset = np.bincount(batches, residual) / sizes
    spread = np.array([residual[batches == each].std(ddof=1) for each in range(len(names))])
    return Harmonisation(
        columns=columns,
        levels=levels,
        constant=constant,
        coefficients=coefficients,
        shift=dict(zip(names, (means - constant + offset).tolist(), strict=True)),
        scale=dict(
            zip(names, _ratios(spread, float(np.sqrt(best.variance)), names.tolist()), strict=True)
        ),
        intercepts=dict(zip(people, intercepts.tolist(), strict=True)),
        n=len(cases),
    )


def require_separable(rows: pd.DataFrame, value: str, columns: Preserved) -> None:
    """Raise `HarmonisationError` if effects of batches and covariates cannot be separated."""
    _checked(rows, value, columns)


def batch_effect(rows: pd.DataFrame, value: str, columns: Preserved) -> dict[str, float]:
    """Test whether volumes differ between batches given the covariates.

    Parameters
    ----------
    rows : DataFrame
        One row per subject; incomplete ones are excluded.
    value : str
    columns : Preserved

    Returns
    -------
    dict of str to float
        ``f``, ``df``, ``df_error`` and ``p`` of the F test of equal batches; ``cv_between``, the
        coefficient of variation of the adjusted means of the batches, %.
    """
    cases, _, terms = _checked(rows, value, columns)
    batches, names = pd.factorize(cases[columns.batch].astype(str), sort=True)
    outcome = cases[value].to_numpy(dtype=np.float64)
    full = np.column_stack([np.eye(len(names))[batches], terms - terms.mean(axis=0)])
    fewer = np.column_stack([np.ones(len(cases)), terms])
    solution = np.linalg.lstsq(full, outcome)[0]
    squares = float(((outcome - full @ solution) ** 2).sum())
    reduced = float(((outcome - fewer @ np.linalg.lstsq(fewer, outcome)[0]) ** 2).sum())
    df, df_error = len(names) - 1, len(cases) - full.shape[1]
    f = max(reduced - squares, 0.0) / df / (squares / df_error)
    means = solution[: len(names)]
    return {
        "f": f,
        "df": df,
        "df_error": df_error,
        "p": float(stats.f.sf(f, df, df_error)),
        "cv_between": float(100 * means.std(ddof=1) / means.mean()),
    }


def _checked(
    rows: pd.DataFrame, value: str, columns: Preserved
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]], FloatArray]:
    """Select the complete cases, and code their covariates; raise if batches are confounded."""
    covariates = [*columns.numeric, *columns.categorical]
    if columns.batch in covariates:
        raise HarmonisationError(f"the covariate '{columns.batch}' is what is harmonised")
    try:
        require_columns(rows, [value, columns.batch, columns.subject, *covariates])
    except KeyError as error:
        raise HarmonisationError(str(error.args[0])) from error
    cases = rows.dropna(subset=[value, columns.batch, columns.subject, *covariates])
    levels = {name: tuple(sorted(set(cases[name].astype(str)))) for name in columns.categorical}
    if cases.empty:
        raise HarmonisationError("no case is complete")
    try:
        terms = _terms(cases, columns, levels)
    except ValueError as error:
        raise HarmonisationError(str(error.args[0])) from error
    batches, names = pd.factorize(cases[columns.batch].astype(str), sort=True)
    if len(names) < 2:
        raise HarmonisationError(f"all complete cases have the {columns.batch} '{names[0]}'")
    sizes = cases.groupby(batches)[columns.subject].nunique().to_numpy()
    needed = max(1 + terms.shape[1], _LEAST_CASES)
    if sizes.min() < needed:
        raise HarmonisationError(
            f"the {columns.batch} '{names[int(sizes.argmin())]}' has {sizes.min()} "
            f"participants with complete data, fewer than the {needed} that its parameters need"
        )
    _require_unconfounded(terms, _labels(columns, levels), batches, columns.batch)
    return cases, levels, terms


def _require_unconfounded(
    terms: FloatArray, labels: Sequence[str], batches: npt.NDArray[np.intp], name: str
) -> None:
    """Raise if a covariate, or a combination of covariates, is confounded with the batches."""
    sizes = np.bincount(batches)
    for label, column in zip(labels, terms.T, strict=True):
        total = float(((column - column.mean()) ** 2).sum())
        if total == 0:
            raise HarmonisationError(f"the covariate '{label}' is constant")
        means = np.bincount(batches, column) / sizes
        between = float(sizes @ (means - column.mean()) ** 2) / total
        if between > _MOST_SHARED:
            raise HarmonisationError(
                f"the covariate '{label}' is confounded with the {name}: {100 * between:.0f} % of "
                "its variance lies between batches"
            )
    if terms.size:
        means = np.column_stack([np.bincount(batches, column) / sizes for column in terms.T])
        within = (terms - means[batches]) / terms.std(axis=0)
        _, triangle, order = linalg.qr(within, mode="economic", pivoting=True)
        dependent = np.abs(np.diag(triangle)) < 1e-8 * np.sqrt(len(terms))
        if dependent.any():
            named = ", ".join(labels[place] for place in order[: len(dependent)][dependent])
            raise HarmonisationError(
                f"the covariates {named} are determined by the {name} and the other covariates"
            )


def _labels(columns: Preserved, levels: Mapping[str, Sequence[str]]) -> list[str]:
    indicators = [f"{name} {level}" for name in levels for level in levels[name][1:]]
    return [*columns.numeric, *indicators]


def _terms(
    rows: pd.DataFrame, columns: Preserved, levels: Mapping[str, Sequence[str]]
) -> FloatArray:
    """Code the covariates, shape (n, p); NaN where one is missing or of another level."""
    parts = [numeric_column(rows, name).to_numpy() for name in columns.numeric]
    for name in columns.categorical:
        texts = rows[name].map(str, na_action="ignore")
        coded = texts.isin(levels[name]).to_numpy()
        parts += [
            np.where(coded, (texts == level).to_numpy(dtype=np.float64), np.nan)
            for level in levels[name][1:]
        ]
        if len(levels[name]) == 1:
            parts.append(np.where(coded, 0.0, np.nan))
    return np.column_stack(parts) if parts else np.empty((len(rows), 0))


def _looked_up(keys: pd.Series, values: Mapping[str, float]) -> FloatArray:
    texts = keys.map(str, na_action="ignore")
    return np.asarray(texts.map(values), dtype=np.float64)


def _ratios(spread: FloatArray, pooled: float, names: Sequence[str]) -> list[float]:
    """Return the residual SD of each batch relative to that of all."""
    constant = spread <= 1e-10 * max(pooled, 1.0)
    if constant.any():
        raise HarmonisationError(f"the volumes of '{names[int(constant.argmax())]}' do not vary")
    return [float(each) for each in spread / pooled]
