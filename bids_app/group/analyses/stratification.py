"""Distinction of disabled from other patients by volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_cases
from bids_app.group.differences import differences, differences_result
from bids_app.group.harmonisation_plan import MEASURED
from bids_app.group.harmonised import preserved, within_training
from bids_app.group.image_stratification import INPUT, NetworkOfStudy, apply_network, train_network
from bids_app.group.input_sets import REGIONS, InputSet, region_volumes
from bids_app.group.parameter_file import weights_of
from bids_app.group.patient_images import CONTRAST
from bids_app.group.result import NotApplicableError, Result, ResultFigure, ResultTable
from bids_app.group.stored_calibration import weights_label
from bids_app.group.stored_classifier import (
    COVARIATES,
    NETWORK,
    Classifiers,
    classifiers_document,
)
from bids_app.group.study import Study
from bids_app.report.risk_plots import risk_calibration_plot
from bids_app.statistics.classifier import Classifier, fit_classifier
from bids_app.statistics.design import Model, ModelError
from bids_app.statistics.discrimination import Discrimination
from bids_app.statistics.risk import at_share
from bids_app.statistics.samples import numeric_column, varies
from bids_app.statistics.stratification import (
    REPEATS,
    Prepare,
    averaged,
    cross_validate,
    predict_all,
    require_classes,
)
from bids_app.statistics.stratification_tables import tabulate_external, tabulate_predictions

_CLASSIFIER = (
    "logistic regression, ridge penalty of half the squared coefficients on standardised terms, "
    "balanced class weights; positive if the probability is at least 0.5"
)

_WITHIN = "ComBat, its effects estimated in each training set"


_INTERVALS = (
    "DeLong; sensitivity, specificity and balanced accuracy by percentile bootstrap of patients"
)
_OF_FOLDS = (
    "variance of the test patients by influence curves (LeDell et al. 2015), times 1 + K / (K - 1) "
    "for the overlap of the training sets of K folds (Nadeau and Bengio 2003)"
)

_METHODS_IMAGES = (
    " A three-dimensional convolutional network was trained on the T1w images and probabilities of "
    "the thalami in the first of these divisions into folds, and evaluated likewise."
)

# Of a model: its probabilities, or why there are none.
Predictions = Sequence[tuple[Model, pd.DataFrame | str]]


def analyse(study: Study) -> Result:
    """Predict disability at the first session from volumes, age, sex and ICV."""
    target = study.plan.stratification
    data, prepare = _data(study)
    numeric = tuple(name for name in ("age", "icv_ml") if name in data and varies(data[name]))
    categorical = tuple(name for name in ("sex",) if name in data and varies(data[name]))
    base = Model(outcome=target.outcome, predictor="", numeric=numeric, categorical=categorical)
    models = [replace(base, predictor=name) for name in study.segmentations]
    divided: dict[str, Any] = {"threshold": target.threshold, "folds": target.folds}
    divided |= {"seed": study.plan.seed, "patient": "participant_id", "prepare": prepare}
    predictions = predict_all(data, models, **divided)
    table = _tabulated(study, predictions).rename(columns={"predictor": "segmentation"})
    impossible: dict[str, str] = {}
    tables = {
        "stratification": _described(study, table, base, prepare),
        "stratification_differences": _differences(study, predictions),
    }
    regions = ""
    try:
        volumes, regions = region_volumes(study)
        data = data.merge(volumes, on="participant_id", how="left")
        regional = _predict_regions(data, base, divided)
        tables["stratification_regions"] = _regional_table(study, regional, base, regions)
    except NotApplicableError as error:
        impossible["regional inputs"] = str(error)
    network = train_network(study, data, base) if target.images == CONTRAST else None
    if network:
        tables["stratification_images"] = _image_table(study, network, base)
    external, refused = _applied(study, data, regions)
    if refused:
        impossible["classifiers of another study"] = refused
    if external:
        tables["stratification_external"] = external
    document = None if prepare else _trained(study, data, base, regions, network)
    estimated = table[table["auc"].notna()]
    covariates = _listed(base)
    disabled = f"{target.outcome} ≥ {target.threshold:g}"
    return Result(
        tables=tables,
        figures=_figures(predictions),
        documents={"classifiers": document} if document else {},
        methods=f"Patients with {disabled} were distinguished from the others by logistic "
        f"regression on volume, {covariates} in {target.folds}-fold cross-validation, repeated "
        f"{REPEATS} times. Intervals of areas under the ROC curve account for the overlap of the "
        "training sets; what volume adds to the covariates was tested by likelihood ratio, and "
        "methods were compared by paired bootstrap of participants."
        + (_METHODS_IMAGES if network and network.trained else ""),
        findings="Area under the ROC curve: "
        + ", ".join(map(_finding, estimated.to_dict("records")))
        + ".",
        references=(
            *("coll2024", "delong1988", "ledell2015", "nadeau2003", "vickers2011"),
            *("efron1993", "benjamini1995"),
        ),
        problems=network.problems if network else (),
        reason="" if len(estimated) or external else str(table["reason"].iloc[0]),
        impossible=impossible,
    )


def _listed(base: Model) -> str:
    return ", ".join((*base.numeric, *base.categorical))


def _tabulated(study: Study, predictions: Predictions) -> pd.DataFrame:
    plan = study.plan
    return tabulate_predictions(
        predictions,
        threshold=plan.stratification.threshold,
        folds=plan.stratification.folds,
        confidence=plan.confidence,
    )


def _settings(study: Study, base: Model) -> dict[str, object]:
    icv = {"ICV": study.icv.source} if "icv_ml" in base.numeric else {}
    moved = _patients_on_several_scanners(study)
    sessions = "first session of each patient; all scans of a patient are in one fold"
    if moved:
        sessions += f"; {moved} scanned on several scanners count once, with the first"
    return {
        "Classifier": _CLASSIFIER,
        "Sessions": sessions,
        "Repetitions": REPEATS,
        "Areas": "within each fold, averaged over folds and repetitions",
        "Intervals": _OF_FOLDS,
        "P": "likelihood-ratio test of what the volume adds to the covariates, logistic models "
        "without penalty",
        "Calibration": "of probabilities at the share of the disabled in the training set",
        **icv,
    }


def _patients_on_several_scanners(study: Study) -> int:
    scanners = study.measured.groupby("participant_id")["scanner_device"].nunique()
    return int((scanners > 1).sum())


def _described(
    study: Study, table: pd.DataFrame, base: Model, prepare: Prepare | None
) -> ResultTable:
    """Describe the table of the volumes of the thalami."""
    target = study.plan.stratification
    return ResultTable(
        f"Stratification: {target.outcome} ≥ {target.threshold:g}",
        f"Logistic regression on volume, {_listed(base)}; patient-wise {target.folds}-fold "
        f"cross-validation, {REPEATS} times. What the volume adds is the difference to the AUC of "
        "the covariates alone; p: likelihood-ratio test of it.",
        table,
        {**_settings(study, base), **({"Harmonisation": _WITHIN} if prepare else {})},
    )


def _predict_regions(
    data: pd.DataFrame, base: Model, divided: Mapping[str, Any]
) -> list[tuple[Model, pd.DataFrame | str]]:
    """Cross-validate the models of all sets of regions in the folds of the other models."""
    predictions: list[tuple[Model, pd.DataFrame | str]] = []
    for each in REGIONS:
        named = replace(base, predictor=each.name)
        if not each.columns:
            predictions.append((named, each.reason))
            continue
        try:
            model = _of_set(base, each)
            rows = cross_validate(data, model, **divided, inputs=each.columns[1:])
            predictions.append((named, rows))
        except ModelError as error:
            predictions.append((named, str(error)))
    return predictions


def _of_set(base: Model, inputs: InputSet) -> Model:
    """Return the model of a set of regions and the covariates."""
    first, *others = inputs.columns
    return replace(base, predictor=first, numeric=(*others, *base.numeric))


def _regional_table(
    study: Study, predictions: Predictions, base: Model, regions: str
) -> ResultTable:
    """Describe the table of the sets of regions."""
    return ResultTable(
        "Stratification by regions",
        f"Logistic regression on the volumes of regions, {_listed(base)}, as above; Coll et al. "
        "2024 used images of these regions.",
        _tabulated(study, predictions).rename(columns={"predictor": "input"}),
        {**_settings(study, base), "Regions": f"measured by {regions}"},
    )


def _image_table(study: Study, network: NetworkOfStudy, base: Model) -> ResultTable:
    """Describe the table of the network on images."""
    model = replace(base, predictor=INPUT)
    return ResultTable(
        "Stratification by images",
        "Three-dimensional convolutional network on the preprocessed T1w and the probabilities of "
        "the thalami in a box around them, 3 mm voxels; no covariates. Patient-wise "
        f"{study.plan.stratification.folds}-fold cross-validation, once; each network is trained "
        "for a fixed number of epochs with the images of the other folds and nothing else.",
        _tabulated(study, [(model, network.predictions)]).rename(columns={"predictor": "input"}),
        {
            **{
                key: value
                for key, value in _settings(study, base).items()
                if key in ("Sessions", "Areas", "Intervals", "Calibration")
            },
            "Classifier": "convolutions with 8, 16 and 32 channels and stride 2, mean over the "
            "image, dropout, one linear unit; balanced class weights",
        },
    )


def _trained(
    study: Study,
    data: pd.DataFrame,
    base: Model,
    regions: str,
    network: NetworkOfStudy | None,
) -> Mapping[str, object] | None:
    """Train the classifiers with all patients, to be applied to those of other studies."""
    threshold = study.plan.stratification.threshold
    models = {name: replace(base, predictor=name) for name in study.segmentations}
    if regions:
        models |= {each.name: _of_set(base, each) for each in REGIONS if each.columns}
    if base.numeric:
        first, *others = base.numeric
        models[COVARIATES] = replace(base, predictor=first, numeric=tuple(others))
    classifiers: dict[str, Classifier] = {}
    for name, model in models.items():
        with suppress(ModelError):  # Its table has the reason.
            classifiers[name] = fit_classifier(data, model, threshold)
    if not classifiers:
        return None
    measured = {each.name: regions for each in REGIONS}
    # Regions are those of thalnet's network by whatever method they are reported.
    weights = {
        name: weights_label() if name in measured else weights_of(name) for name in classifiers
    }
    return classifiers_document(
        Classifiers(
            outcome=base.outcome,
            threshold=threshold,
            icv=study.icv.method if "icv_ml" in base.numeric else "",
            regions=regions,
            classifiers=classifiers,
            weights={**weights, NETWORK: weights_label()},
            network=network.trained if network else None,
        )
    )


def _applied(study: Study, data: pd.DataFrame, regions: str) -> tuple[ResultTable | None, str]:
    """Apply the classifiers of another study; return their table, or why there is none."""
    stored = study.classifiers
    if not stored:
        return None, ""
    refused = _refusal(study, stored, data)
    if refused:
        return None, refused
    names = [name for name in stored.classifiers if name != COVARIATES]
    rows = [name for name in study.segmentations if name not in names]
    predictions = [
        (
            Model(outcome=stored.outcome, predictor=name),
            _apply(stored, name, data, regions),
        )
        for name in (*names, *rows)
    ]
    if stored.network:
        predictions.append(
            (Model(outcome=stored.outcome, predictor=INPUT), _apply_to_images(study, stored, data))
        )
    table = tabulate_external(
        predictions,
        threshold=stored.threshold,
        confidence=study.plan.confidence,
        resamples=study.plan.resamples,
        seed=study.plan.seed,
    )
    return ResultTable(
        f"Stratification by classifiers of another study ({stored.source})",
        f"{stored.outcome} ≥ {stored.threshold:g}, predicted without training on this dataset. "
        "None of its patients may be among those of the other study, which the file cannot show.",
        table.rename(columns={"predictor": "input"}),
        {"Classifiers": stored.source, "Intervals": _INTERVALS, **study.bootstrap},
    ), ""


def _refusal(study: Study, stored: Classifiers, data: pd.DataFrame) -> str:
    """Explain why stored classifiers cannot be applied to any patient; empty if they can."""
    if study.plan.harmonisation.changes_volumes:
        return f"{stored.source} holds for volumes as measured, not harmonised"
    if stored.icv and stored.icv != study.icv.method:
        return (
            f"{stored.source} is based on intracranial volumes by {stored.icv}, those of this "
            f"study are by {study.icv.method or 'no method'} (icv)"
        )
    if stored.outcome not in data:
        return f"no table has a column '{stored.outcome}', which {stored.source} predicts"
    return ""


def _apply(stored: Classifiers, name: str, data: pd.DataFrame, regions: str) -> pd.DataFrame | str:
    """Predict with one classifier of another study; return the reason if it is not possible."""
    try:
        classifier = stored.of(name)
        if name in {each.name for each in REGIONS} and regions != stored.regions:
            return (
                f"{stored.source} is based on regions measured by {stored.regions}, those of this "
                f"study are by {regions or 'no method'}"
            )
        probability = classifier.probability(data)
        others = stored.classifiers.get(COVARIATES)
        alone = others.probability(data) if others else pd.Series(float("nan"), data.index)
        outcome = numeric_column(data, stored.outcome)
        complete = probability.notna() & outcome.notna()
        patients = data.loc[complete, "participant_id"]
        disabled = (outcome >= stored.threshold)[complete]
        require_classes(patients, disabled.to_numpy())
    except (ValueError, KeyError) as error:
        return str(error.args[0])
    return pd.DataFrame(
        {
            "patient": patients,
            "disabled": disabled,
            "probability": probability[complete],
            "covariates": alone[complete],
            "risk": at_share(probability[complete], classifier.share),
        }
    )


def _apply_to_images(study: Study, stored: Classifiers, data: pd.DataFrame) -> pd.DataFrame | str:
    """Predict with the network of another study; return the reason if it is not possible."""
    try:
        return apply_network(study, stored, data)
    except (ValueError, KeyError) as error:
        return str(error.args[0])


def _figures(predictions: Predictions) -> dict[str, ResultFigure]:
    """Draw the calibration of the models that could be fitted."""
    rows = {
        model.predictor: averaged(each) for model, each in predictions if not isinstance(each, str)
    }
    if not rows:
        return {}
    caption = (
        "Share of the disabled among patients of similar predicted risk, in cross-validation; "
        "an intercept of 0 and a slope of 1 are ideal."
    )
    return {
        "stratification_calibration": ResultFigure(
            "Calibration of the predicted risk", caption, partial(risk_calibration_plot, rows)
        )
    }


def _differences(study: Study, predictions: Predictions) -> ResultTable:
    """Compare the AUC of the models between methods."""
    predicted = {
        model.predictor: averaged(rows).set_index("patient")
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
