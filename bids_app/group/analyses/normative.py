"""Individual participants compared with a normative model of healthy ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_cases
from bids_app.group.levels import select
from bids_app.group.parameter_file import weights_of
from bids_app.group.result import Display, NotApplicableError, Result, ResultTable
from bids_app.group.stored_norm import Norm, Norms, norm_document
from bids_app.group.study import Study
from bids_app.group.travellers import inter_scanner_sd
from bids_app.statistics.choices import Rule
from bids_app.statistics.normative import NormativeModel, assess_subjects, fit_normative
from bids_app.statistics.samples import Interval

_SETTINGS = {
    "Model": "volume ~ ICV² + age² + ICV·age + ICV + age + 1, fitted to the healthy participants, "
    "and again without outliers",
    "Session": "first session of each participant",
}
_RULES: Mapping[Rule, Mapping[str, str]] = {
    "opfer": {
        "Outliers": "residuals more than 1.5 interquartile ranges beyond the quartiles",
        "Reduced": "residual + 1.96 scanner_sd < -1.96 residual_sd (residual_sd with n - 1)",
    },
    "prediction": {
        "Outliers": "studentised residuals more than 3 interquartile ranges beyond the quartiles",
        "Reduced": "residual + 1.96 scanner_sd < t(0.025, n - 6) residual_sd √(1 + h) (residual_sd "
        "with n - 6; h: leverage of the participant)",
    },
}
_SUMMARY_COLUMNS = [
    "segmentation",
    "n",
    "outliers",
    "residual_sd",
    "scanner_sd",
    "assessed",
    "n_reduced",
    "share_reduced",
    "share_reduced_ci_low",
    "share_reduced_ci_high",
    "n_extrapolated",
    "reason",
]
# Columns of `assess_subjects`, renamed with their unit.
_RENAMED = {
    "expected": "expected_ml",
    "residual": "residual_ml",
    "residual_ci_low": "residual_ml_ci_low",
    "residual_ci_high": "residual_ml_ci_high",
    "z": "z_score",
}


def analyse(study: Study) -> Result:
    """Assess participants by the normative model of every method, fitted here or stored."""
    plan, stored = study.plan.normative, study.norms
    norms, reasons = _stored(study, stored) if stored else _fitted(study)
    summary, individuals = _assess(study, norms, reasons)
    assessed = summary[summary["assessed"].notna()]
    source = stored.source if stored else f"{plan.column} {' or '.join(plan.controls)}"
    origin = f"of {source}" if stored else f"of participants with {source}"
    rule = next(iter(norms.norms.values())).model.rule
    settings = {**_SETTINGS, **_RULES[rule], "ICV": study.icv.source, "Norm": source}
    return Result(
        tables={
            "normative": ResultTable(
                "Individual participants", "", individuals, settings, display=Display.FILE
            ),
            "normative_summary": ResultTable(
                "Participants with a reduced volume",
                f"Volume vs. the normative model {origin}, "
                "given ICV and age (Opfer et al. 2022); Wilson intervals. n: healthy participants "
                "in the model. Participants outside their range of age or ICV are extrapolated"
                + (", those outside their range of age not assessed." if stored else "."),
                summary,
                settings,
            ),
        },
        # Harmonised volumes are those of no other study.
        documents={}
        if stored or study.plan.harmonisation.changes_volumes
        else {"norm": norm_document(norms)},
        methods="Volumes of individual participants were compared with a normative model, "
        f"quadratic in ICV and age, {origin}, by "
        + ("prediction intervals." if rule == "prediction" else "the rule of its authors."),
        findings="Reduced volume: "
        + ", ".join(
            f"{row.segmentation} {row.n_reduced:.0f} of {row.assessed:.0f}"
            for row in assessed.itertuples()
        )
        + ".",
        references=("opfer2022",),
    )


def _fitted(study: Study) -> tuple[Norms, dict[str, str]]:
    """Fit a norm for every segmentation to the healthy participants.

    Returns
    -------
    norms : Norms
    reasons : dict of str to str
        By segmentation without a norm.

    Raises
    ------
    NotApplicableError
        If a column is missing or no model can be fitted.
    """
    plan, first = study.plan.normative, _first_sessions(study, study.plan.normative.column)
    healthy = _columns_of(
        select(first, {plan.column: plan.controls}, study.cohort.columns), study.segmentations
    )
    deviations = _scanner_sd(study, {})
    norms: dict[str, Norm] = {}
    reasons: dict[str, str] = {}
    for name, rows in healthy.items():
        try:
            model = fit_normative(rows, plan.rule)
        except ValueError as error:
            reasons[name] = str(error)
        else:
            norms[name] = Norm(model, deviations[name], weights_of(name))
    if not norms:
        raise NotApplicableError(f"no normative model: {next(iter(reasons.values()))}")
    return Norms(study.icv.method, norms), reasons


def _stored(study: Study, stored: Norms) -> tuple[Norms, dict[str, str]]:
    """Look up the stored norm of every segmentation; see `_fitted`."""
    if study.plan.harmonisation.changes_volumes:
        raise NotApplicableError(f"{stored.source} holds for volumes as measured, not harmonised")
    if stored.icv != study.icv.method:
        raise NotApplicableError(
            f"{stored.source} is based on intracranial volumes by {stored.icv or 'no method'}, "
            f"those of this study are by {study.icv.method or 'no method'} (icv)"
        )
    norms: dict[str, Norm] = {}
    reasons: dict[str, str] = {}
    for name in study.segmentations:
        try:
            norms[name] = stored.of(name)
        except ValueError as error:
            reasons[name] = str(error)
    if not norms:
        raise NotApplicableError(next(iter(reasons.values())))
    deviations = _scanner_sd(study, {name: norm.scanner_sd for name, norm in norms.items()})
    used = {name: replace(norm, scanner_sd=deviations[name]) for name, norm in norms.items()}
    return replace(stored, norms=used), reasons


def _scanner_sd(study: Study, stored: Mapping[str, float]) -> dict[str, float]:
    """Determine the inter-scanner SD by segmentation: declared, estimated here, stored, or 0."""
    declared = study.plan.normative.scanner_sd
    values = {**stored, **inter_scanner_sd(study)} if isinstance(declared, str) else declared
    return {name: study.value_of(values, name, 0.0) for name in study.segmentations}


def _first_sessions(study: Study, *needed: str) -> pd.DataFrame:
    """Select the first sessions to be compared, with the columns that are needed."""
    first = study.baseline
    for column in ("age", "icv_ml", *needed):
        if column not in first or first[column].isna().all():
            raise NotApplicableError(f"no table has a column '{column}'")
    if not pd.api.types.is_numeric_dtype(first["age"]):
        raise NotApplicableError("the column 'age' holds text")
    return compared_cases(first, study.segmentations, study.plan.sample)


def _others(study: Study, stored: bool) -> pd.DataFrame:
    """Select who is compared with the norm: everyone with a stored one, else the patients."""
    plan = study.plan.normative
    if stored:
        return _first_sessions(study)
    first = _first_sessions(study, plan.column)
    healthy = select(first, {plan.column: plan.controls}, study.cohort.columns)
    # Who has no diagnosis may be healthy, and would change the share of patients.
    return first.drop(index=healthy.index).dropna(subset=[plan.column])


def _assess(
    study: Study, norms: Norms, reasons: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assess the participants by the norm of each segmentation.

    Returns
    -------
    summary : DataFrame
        One row per segmentation.
    individuals : DataFrame
        One row per segmentation and participant.

    Raises
    ------
    NotApplicableError
        If nobody is within the ages of the norms.
    """
    others, column = _others(study, bool(norms.source)), study.plan.normative.column
    identity = [*("participant_id", "session_id"), *([column] if column in others else [])]
    rows, tables = [], []
    for name, subjects in _columns_of(others, study.segmentations).items():
        row: dict[str, object] = {"segmentation": name, "reason": reasons.get(name, "")}
        if name in norms.norms:
            norm = norms.norms[name]
            table = assess_subjects(subjects, norm.model, norm.scanner_sd)
            complete = table[table["residual"].notna()]
            if norms.source:
                # The quadratic of another study is not extrapolated.
                row["reason"] = _outside(subjects, norm, norms.source)
                aged = subjects["age"].between(*norm.model.age_range)
                complete = complete[aged[complete.index]]
            row |= {"scanner_sd": norm.scanner_sd}
            row |= _summary(norm.model, complete, study.plan.confidence)
            named = others.loc[complete.index, [*identity, name]].rename(columns={name: "total_ml"})
            named.insert(len(identity), "segmentation", name)
            tables.append(named.join(complete))
        rows.append(row)
    individuals = pd.concat(tables, ignore_index=True).rename(columns=_RENAMED)
    summary = pd.DataFrame(rows, columns=_SUMMARY_COLUMNS)
    if norms.source and individuals.empty:
        raise NotApplicableError(next(filter(None, summary["reason"]), "no complete case"))
    return summary, individuals


def _outside(subjects: pd.DataFrame, norm: Norm, source: str) -> str:
    """State who is not assessed because of the age; empty if everyone is."""
    low, high = norm.model.age_range
    count = int((~subjects["age"].between(low, high)).sum())
    if not count:
        return ""
    return f"{count} of {len(subjects)} are not aged {low:g} to {high:g} years as {source} is"


def _columns_of(rows: pd.DataFrame, segmentations: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Name volume, ICV and age as the model does, by segmentation."""
    return {
        name: pd.DataFrame({"volume": rows[name], "tiv": rows["icv_ml"], "age": rows["age"]})
        for name in segmentations
    }


def _summary(model: NormativeModel, subjects: pd.DataFrame, confidence: float) -> dict[str, object]:
    n, reduced = len(subjects), int(subjects["reduced"].sum())
    share = Interval(np.nan, np.nan, np.nan)
    if n:
        low, high = proportion_confint(reduced, n, 1 - confidence, method="wilson")
        share = Interval(reduced / n, float(low), float(high))
    return {
        "n": model.n,
        "outliers": model.outliers,
        "residual_sd": model.residual_sd,
        "assessed": n,
        "n_reduced": reduced,
        **share.columns("share_reduced"),
        "n_extrapolated": int(subjects["extrapolated"].sum()),
    }


ANALYSIS = Analysis("normative", "Individual participants vs. the normative model", analyse)
