"""Linear mixed models of repeated sessions with a random intercept per subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.statistics.design import Design, Model, ModelError, build_design
from bids_app.statistics.multiplicity import Family, adjust_family
from bids_app.statistics.random_intercept import maximise_likelihood, satterthwaite_df
from bids_app.statistics.samples import ROUNDING, FloatArray
from bids_app.statistics.wald import student_table

MINIMUM_SESSIONS = 2
# Parts of a predictor: deviation of a session from the subject's mean, and that mean.
PARTS = ("within", "between")
_COLUMNS = [
    *("outcome", "predictor", "term", "transform", "distribution", "n", "subjects"),
    *("beta", "se", "ci_low", "ci_high", "t", "df", "p", "p_adj", "family"),
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
        One row per term (``const`` first): ``beta``, ``se``, ``ci_low``, ``ci_high``, ``t``,
        ``df`` (Satterthwaite), ``p``.
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

    Parameters
    ----------
    data : DataFrame
        One row per session.
    model : Model
        Its covariance is not used. One coefficient mixes the effects within and between subjects
        of a predictor that varies in both ways, see `split_predictor`.
    subject : str
        Column that names the subject.
    confidence : float
        Level of the intervals.

    Returns
    -------
    MixedFit

    Raises
    ------
    ModelError
        If the subject column is absent, no subject has two complete sessions, there are no more
        subjects than terms that differ between subjects only, or for a reason of `build_design`.

    References
    ----------
    Laird & Ware 1982, Biometrics 38:963-974; see `maximise_likelihood` and `satterthwaite_df`.
    """
    sessions, design = _complete_sessions(data, model, subject)
    groups, names = pd.factorize(sessions[subject])
    terms = np.column_stack([np.ones(len(groups)), design.terms.to_numpy()])
    between = _constant_within(terms, groups)
    if len(names) <= between:
        raise ModelError(
            f"{len(names)} subjects do not exceed the {between} terms that differ between them only"
        )
    outcome = design.outcome.to_numpy()
    best = maximise_likelihood(outcome, terms, groups)
    df = satterthwaite_df(outcome, terms, groups, best)
    term_names = ["const", *design.terms.columns]
    return MixedFit(
        n=len(groups),
        subjects=len(names),
        coefficients=student_table(best.beta, best.se, df, term_names, confidence),
        subject_sd=float(np.sqrt(best.ratio * best.variance)),
        residual_sd=float(np.sqrt(best.variance)),
        log_likelihood=-best.deviance / 2,
    )


def split_predictor(
    data: pd.DataFrame, model: Model, subject: str = "subject"
) -> tuple[pd.DataFrame, Model]:
    """Split the predictor into its mean by subject and the deviations from it.

    Parameters
    ----------
    data, model, subject
        As for `fit_mixed`.

    Returns
    -------
    data : DataFrame
        The complete cases of the model, with the columns ``…_within`` and ``…_between`` of the
        predictor; means are those over the complete cases.
    model : Model
        With the deviation as its predictor and the mean as its first covariate.

    Raises
    ------
    ModelError
        If the subject column is absent, or for a reason of `build_design`.

    References
    ----------
    Neuhaus & Kalbfleisch 1998, Biometrics 54:638-645; van de Pol & Wright 2009, Anim Behav
    77:753-758.
    """
    complete, _ = _complete_sessions(data, model, subject)
    values = pd.to_numeric(complete[model.predictor]).astype(np.float64)
    mean = values.groupby(complete[subject]).transform("mean")
    # Means of equal values differ from them by rounding.
    deviation = (values - mean).where(lambda d: d.abs() > ROUNDING * values.abs().max(), 0.0)
    within, between = (f"{model.predictor}_{part}" for part in PARTS)
    split = replace(model, predictor=within, numeric=(between, *model.numeric))
    return complete.assign(**{within: deviation, between: mean}), split


def mixed_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    subject: str = "subject",
    family: Family = "all",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Fit many random-intercept models and report the two coefficients of each predictor.

    The predictor enters as its mean by subject and the deviations from it, which may have
    different effects: patients with small thalami may be worse, whatever atrophy does to each.

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
        Two rows per model, one per ``term``, ``within`` and ``between``: ``outcome``,
        ``predictor``, ``term``, ``transform``, ``distribution``, ``n``, ``subjects``, ``beta``,
        ``se``, ``ci_low``, ``ci_high``, ``t``, ``df`` (Satterthwaite), ``p``, ``p_adj``,
        ``family``, ``subject_sd``, ``residual_sd``, ``log_likelihood``, ``standardised_over``,
        ``reason``. A model that cannot be fitted is one row with its reason.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"transform": model.transform, "distribution": "t", "reason": ""}
        row["standardised_over"] = "complete cases" if model.standardised else ""
        try:
            split, parts = split_predictor(data, model, subject)
            fit = fit_mixed(split, parts, subject, confidence)
        except ModelError as error:
            rows.append(row | {"reason": str(error)})
            continue
        row |= {"n": fit.n, "subjects": fit.subjects, "subject_sd": fit.subject_sd}
        row |= {"residual_sd": fit.residual_sd, "log_likelihood": fit.log_likelihood}
        for part in PARTS:
            coefficient = fit.coefficients.loc[f"{model.predictor}_{part}"]
            columns = {str(name): value for name, value in coefficient.items()}
            rows.append(row | {"term": part} | columns)
    return adjust_family(pd.DataFrame(rows, columns=_COLUMNS), family)


def _complete_sessions(
    data: pd.DataFrame, model: Model, subject: str
) -> tuple[pd.DataFrame, Design]:
    """Return the sessions that have all values and a subject, and their design."""
    if subject not in data.columns:
        raise ModelError(f"columns {[subject]} are absent")
    sessions = data[data[subject].notna()].reset_index(drop=True)
    design = build_design(sessions, model)
    complete = sessions.loc[design.terms.index]
    if complete[subject].value_counts().max() < MINIMUM_SESSIONS:
        raise ModelError(f"no subject has {MINIMUM_SESSIONS} complete sessions")
    return complete, design


def _constant_within(terms: FloatArray, groups: npt.NDArray[np.intp]) -> int:
    """Count the terms, shape (n, p), that do not vary within any subject."""
    table = pd.DataFrame(terms).groupby(groups)
    spread = (table.max() - table.min()).max().to_numpy()
    return int((spread <= ROUNDING * np.abs(terms).max(axis=0)).sum())
