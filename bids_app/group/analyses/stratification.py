"""How well volume tells disabled from other patients."""

from __future__ import annotations

from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.design import Model
from bids_app.statistics.samples import varies
from bids_app.statistics.stratification import stratification_table


def analyse(study: Study) -> Result:
    """Predict disability at the first session from volume, age, sex and ICV."""
    plan, wanted = study.plan, study.plan.stratification
    data = study.baseline
    if wanted.outcome not in data:
        raise NotApplicableError(f"no table has a column '{wanted.outcome}'")
    numeric = tuple(name for name in ("age", "icv_ml") if name in data and varies(data[name]))
    categorical = tuple(name for name in ("sex",) if name in data and varies(data[name]))
    models = [
        Model(outcome=wanted.outcome, predictor=name, numeric=numeric, categorical=categorical)
        for name in study.segmentations
    ]
    table = stratification_table(
        data,
        models,
        patient="participant_id",
        threshold=wanted.threshold,
        folds=wanted.folds,
        confidence=plan.confidence,
        resamples=plan.resamples,
        seed=plan.seed,
    ).rename(columns={"predictor": "segmentation"})
    known = table[table["auc"].notna()]
    covariates = ", ".join((*numeric, *categorical))
    rule = f"{wanted.outcome} ≥ {wanted.threshold:g}"
    return Result(
        tables={
            "stratification": ResultTable(
                f"Stratification: {rule}",
                f"Logistic regression on volume, {covariates}; patient-wise {wanted.folds}-fold "
                "cross-validation; bootstrap intervals of patients.",
                table,
                {
                    "Classifier": "logistic regression, ridge penalty of half the squared "
                    "coefficients on standardised terms, balanced class weights; positive from a "
                    "probability of 0.5",
                    **study.bootstrap,
                },
            )
        },
        methods=f"Patients with {rule} were told from the others by logistic regression on volume, "
        f"{covariates} in {wanted.folds}-fold cross-validation.",
        findings="Area under the ROC curve: "
        + ", ".join(
            f"{row.segmentation} {row.auc:.2f} [{row.auc_ci_low:.2f}, {row.auc_ci_high:.2f}]"
            for row in known.itertuples()
        )
        + "."
        if len(known)
        else f"Stratification: {table['reason'].iloc[0]}.",
        references=("coll2024",),
    )
