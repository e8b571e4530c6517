"""Distinction of disabled from other patients by volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_cases
from bids_app.group.differences import differences, differences_result
from bids_app.group.harmonisation_plan import MEASURED
from bids_app.group.harmonised import preserved, within_training
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.design import Model
from bids_app.statistics.samples import varies
from bids_app.statistics.stratification import (
    Discrimination,
    Prepare,
    predict_all,
    tabulate_predictions,
)

_CLASSIFIER = (
    "logistic regression, ridge penalty of half the squared coefficients on standardised terms, "
    "balanced class weights; positive if the probability is at least 0.5"
)

_WITHIN = "ComBat, its effects estimated in each training set"


def analyse(study: Study) -> Result:
    """Predict disability at the first session from volume, age, sex and ICV."""
    plan, target = study.plan, study.plan.stratification
    data, prepare = _data(study)
    numeric = tuple(name for name in ("age", "icv_ml") if name in data and varies(data[name]))
    categorical = tuple(name for name in ("sex",) if name in data and varies(data[name]))
    models = [
        Model(outcome=target.outcome, predictor=name, numeric=numeric, categorical=categorical)
        for name in study.segmentations
    ]
    divided: dict[str, Any] = {"threshold": target.threshold, "folds": target.folds}
    divided["seed"] = plan.seed
    predictions = predict_all(data, models, patient="participant_id", **divided, prepare=prepare)
    table = tabulate_predictions(
        predictions, **divided, confidence=plan.confidence, resamples=plan.resamples
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
                {
                    "Classifier": _CLASSIFIER,
                    **icv,
                    **study.bootstrap,
                    **({"Harmonisation": _WITHIN} if prepare else {}),
                },
            ),
            "stratification_differences": _differences(study, predictions),
        },
        methods=f"Patients with {disabled} were distinguished from the others by logistic "
        f"regression on volume, {covariates} in {target.folds}-fold cross-validation. Areas under "
        "the ROC curve were compared between methods by paired bootstrap of participants.",
        findings="Area under the ROC curve: "
        + ", ".join(map(_finding, estimated.to_dict("records")))
        + ".",
        references=("coll2024", "efron1993", "benjamini1995"),
        reason="" if len(estimated) else str(table["reason"].iloc[0]),
    )


def _differences(
    study: Study, predictions: Sequence[tuple[Model, pd.DataFrame | str]]
) -> ResultTable:
    """Compare the AUC of the models between methods."""
    predicted = {
        model.predictor: rows.set_index("patient")
        for model, rows in predictions
        if not isinstance(rows, str)
    }
    probabilities = pd.DataFrame({name: rows["probability"] for name, rows in predicted.items()})
    disabled = pd.concat([rows["disabled"] for rows in predicted.values()] or [pd.Series()])
    measures = Discrimination(disabled[~disabled.index.duplicated()])
    return differences_result(
        study,
        "Stratification compared between methods",
        "Difference of the AUC of volume and covariates",
        differences(study, probabilities, measures),
    )


def _data(study: Study) -> tuple[pd.DataFrame, Prepare | None]:
    """Collect the first sessions, and how their volumes are harmonised in each training set.

    Volumes that were harmonised in all participants would contain information on the
    participants of a test set.
    """
    plan, outcome = study.plan.harmonisation, study.plan.stratification.outcome
    sessions = study.sessions_by(MEASURED)
    first = sessions[sessions["visit"] == 0].reset_index(drop=True)
    if outcome not in first:
        raise NotApplicableError(f"no table has a column '{outcome}'")
    data = compared_cases(first, study.segmentations, study.plan.sample)
    if not plan.changes_volumes:
        return data, None
    columns = preserved(plan, data)
    covariates = (*columns.numeric, *columns.categorical)
    if outcome in covariates:
        raise NotApplicableError(f"harmonisation preserves '{outcome}', which is to be predicted")
    complete = data.dropna(subset=[plan.batch, *covariates]).reset_index(drop=True)
    return complete, partial(within_training, plan)


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
