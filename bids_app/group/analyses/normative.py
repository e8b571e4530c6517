"""Individual participants compared with a normative model of healthy ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_cases
from bids_app.group.result import Display, NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.group.travellers import inter_scanner_sd
from bids_app.statistics.normative import NormativeModel, Rule, assess_subjects, fit_normative
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
    """Fit the normative model of every method, and assess all other participants with it."""
    plan = study.plan.normative
    summary, individuals = _assess(study)
    assessed = summary[summary["assessed"].notna()]
    controls = " or ".join(plan.controls)
    settings = {**_SETTINGS, **_RULES[plan.rule], "ICV": study.icv.source}
    return Result(
        tables={
            "normative": ResultTable(
                "Individual participants", "", individuals, settings, display=Display.FILE
            ),
            "normative_summary": ResultTable(
                "Participants with a reduced volume",
                f"Volume vs. the normative model of participants with {plan.column} {controls}, "
                "given ICV and age (Opfer et al. 2022); Wilson intervals. n: healthy participants "
                "in the model. Participants outside their range of age or ICV are extrapolated.",
                summary,
                settings,
            ),
        },
        methods="Volumes of individual participants were compared with a normative model, "
        f"quadratic in ICV and age, of participants with {plan.column} {controls}, by "
        + ("prediction intervals." if plan.rule == "prediction" else "the rule of its authors."),
        findings="Reduced volume: "
        + ", ".join(
            f"{row.segmentation} {row.n_reduced:.0f} of {row.assessed:.0f}"
            for row in assessed.itertuples()
        )
        + ".",
        references=("opfer2022",),
    )


def _assess(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit the models, and assess the participants who are not among the controls.

    Returns
    -------
    summary : DataFrame
        One row per segmentation.
    individuals : DataFrame
        One row per segmentation and participant.

    Raises
    ------
    NotApplicableError
        If a column is missing or no model can be fitted.
    """
    plan, first = study.plan.normative, study.baseline
    for column in ("age", "icv_ml", plan.column):
        if column not in first or first[column].isna().all():
            raise NotApplicableError(f"no table has a column '{column}'")
    first = compared_cases(first, study.segmentations, study.plan.sample)
    healthy = study.select(first, {plan.column: plan.controls})
    # Who has no diagnosis may be healthy, and would change the share of patients.
    others = first.drop(index=healthy.index).dropna(subset=[plan.column])
    rows, tables = [], []
    declared = plan.scanner_sd
    deviations = inter_scanner_sd(study) if isinstance(declared, str) else declared
    for name in study.segmentations:
        row: dict[str, object] = {"segmentation": name, "reason": ""}
        row["scanner_sd"] = scanner_sd = study.value_of(deviations, name, 0.0)
        try:
            model = fit_normative(_columns(healthy, name), plan.rule)
            table = assess_subjects(_columns(others, name), model, scanner_sd)
        except ValueError as error:
            rows.append(row | {"n": int(healthy[name].notna().sum()), "reason": str(error)})
            continue
        complete = table[table["residual"].notna()]
        rows.append(row | _summary(model, complete, study.plan.confidence))
        identity = others.loc[complete.index, ["participant_id", "session_id", plan.column]]
        tables.append(identity.assign(segmentation=name, total_ml=others[name]).join(complete))
    summary = pd.DataFrame(rows, columns=_SUMMARY_COLUMNS)
    if not tables:
        raise NotApplicableError(f"no normative model: {summary['reason'].iloc[0]}")
    return summary, pd.concat(tables, ignore_index=True).rename(columns=_RENAMED)


def _columns(rows: pd.DataFrame, segmentation: str) -> pd.DataFrame:
    named = {"volume": rows[segmentation], "tiv": rows["icv_ml"], "age": rows["age"]}
    return pd.DataFrame(named)


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
