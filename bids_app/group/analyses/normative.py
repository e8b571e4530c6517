"""Single participants against a norm of healthy ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.normative import NormativeModel, assess_subjects, fit_normative
from bids_app.statistics.samples import Interval

_SETTINGS = {
    "Model": "volume ~ ICV² + age² + ICV·age + ICV + age + 1, fitted to the healthy participants, "
    "and once more without residuals beyond the quartiles by 1.5 interquartile ranges",
    "Reduced": "residual + 1.96 scanner_sd < -1.96 residual_sd (residual_sd with n - 1)",
    "Session": "first session of each participant",
}


def analyse(study: Study) -> Result:
    """Fit the norm of every method, and test all other participants against it."""
    plan, first = study.plan.normative, study.baseline
    for column in ("age", "icv_ml", plan.column):
        if column not in first or first[column].isna().all():
            raise NotApplicableError(f"no table has a column '{column}'")
    healthy = study.select(first, {plan.column: plan.controls})
    others = first.drop(index=healthy.index)
    rows, tables = [], []
    for name in study.segmentations:
        row: dict[str, object] = {"segmentation": name, "reason": ""}
        row["scanner_sd"] = scanner_sd = study.of_segmentation(plan.scanner_sd, name, 0.0)
        try:
            model = fit_normative(_columns(healthy, name))
            table = assess_subjects(_columns(others, name), model, scanner_sd)
        except ValueError as error:
            rows.append(row | {"n": int(healthy[name].notna().sum()), "reason": str(error)})
            continue
        known = table[table["residual"].notna()]
        rows.append(row | _summary(model, known, study.plan.confidence))
        identity = others.loc[known.index, ["participant_id", "session_id", plan.column]]
        tables.append(identity.assign(segmentation=name, total_ml=others[name]).join(known))
    columns = ["segmentation", "n", "outliers", "residual_sd", "scanner_sd", "assessed"]
    columns += ["n_reduced", "share_reduced", "share_reduced_ci_low", "share_reduced_ci_high"]
    summary = pd.DataFrame(rows, columns=[*columns, "n_extrapolated", "reason"])
    if not tables:
        raise NotApplicableError(f"no norm: {summary['reason'].iloc[0]}")
    singles = pd.concat(tables, ignore_index=True).rename(
        columns={
            "expected": "expected_ml",
            "residual": "residual_ml",
            "residual_ci_low": "residual_ml_ci_low",
            "residual_ci_high": "residual_ml_ci_high",
            "z": "z_score",
        }
    )
    known = summary[summary["assessed"].notna()]
    controls = " or ".join(plan.controls)
    return Result(
        tables={
            "normative": ResultTable("Single participants", "", singles, _SETTINGS, shown=False),
            "normative_summary": ResultTable(
                "Participants with a reduced volume",
                f"Volume against the norm of the participants with {plan.column} {controls}, given "
                "ICV and age, after Opfer et al. 2022; Wilson intervals. n: healthy participants "
                "in the norm. Those outside its range of age or ICV are extrapolated.",
                summary,
                _SETTINGS,
            ),
        },
        methods="Volumes of single participants were tested against a quadratic norm of ICV and "
        f"age from participants with {plan.column} {controls}.",
        findings="Reduced volume: "
        + ", ".join(
            f"{row.segmentation} {row.n_reduced:.0f} of {row.assessed:.0f}"
            for row in known.itertuples()
        )
        + ".",
        references=("opfer2022",),
    )


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
