"""Distinction of disabled from other patients by volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.design import Model
from bids_app.statistics.samples import varies
from bids_app.statistics.stratification import stratification_table

_CLASSIFIER = (
    "logistic regression, ridge penalty of half the squared coefficients on standardised terms, "
    "balanced class weights; positive if the probability is at least 0.5"
)


def analyse(study: Study) -> Result:
    """Predict disability at the first session from volume, age, sex and ICV."""
    plan, target = study.plan, study.plan.stratification
    data = study.baseline
    if target.outcome not in data:
        raise NotApplicableError(f"no table has a column '{target.outcome}'")
    numeric = tuple(name for name in ("age", "icv_ml") if name in data and varies(data[name]))
    categorical = tuple(name for name in ("sex",) if name in data and varies(data[name]))
    models = [
        Model(outcome=target.outcome, predictor=name, numeric=numeric, categorical=categorical)
        for name in study.segmentations
    ]
    table = stratification_table(
        data,
        models,
        patient="participant_id",
        threshold=target.threshold,
        folds=target.folds,
        confidence=plan.confidence,
        resamples=plan.resamples,
        seed=plan.seed,
    ).rename(columns={"predictor": "segmentation"})
    estimated = table[table["auc"].notna()]
    covariates = ", ".join((*numeric, *categorical))
    disabled = f"{target.outcome} ≥ {target.threshold:g}"
    icv = {"ICV": study.icv.source} if "icv_ml" in numeric else {}
    return Result(
        tables={
            "stratification": ResultTable(
                f"Stratification: {disabled}",
                f"Logistic regression on volume, {covariates}; patient-wise {target.folds}-fold "
                "cross-validation; bootstrap intervals of patients. What the volume adds is the "
                "difference to the AUC of the covariates alone.",
                table,
                {"Classifier": _CLASSIFIER, **icv, **study.bootstrap},
            )
        },
        methods=f"Patients with {disabled} were distinguished from the others by logistic "
        f"regression on volume, {covariates} in {target.folds}-fold cross-validation.",
        findings="Area under the ROC curve: "
        + ", ".join(map(_finding, estimated.to_dict("records")))
        + ".",
        references=("coll2024",),
        reason="" if len(estimated) else str(table["reason"].iloc[0]),
    )


def _finding(row: Mapping[Hashable, Any]) -> str:
    """State the AUC of a segmentation, and by how much it exceeds that of the covariates."""
    text = "{segmentation} {auc:.2f} [{auc_ci_low:.2f}, {auc_ci_high:.2f}]"
    if pd.notna(row["auc_difference"]):
        text += (
            " ({auc_difference:+.2f} [{auc_difference_ci_low:+.2f}, "
            "{auc_difference_ci_high:+.2f}] relative to the covariates alone)"
        )
    return text.format_map({str(name): value for name, value in row.items()})


ANALYSIS = Analysis("stratification", "Stratification by disability", analyse)
