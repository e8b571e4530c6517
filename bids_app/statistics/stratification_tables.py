"""Tables of how well patients are stratified, in cross-validation and by stored classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bids_app.statistics.cross_validation import assess
from bids_app.statistics.design import Model
from bids_app.statistics.discrimination import METRICS, classify
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.risk import calibrate_risk
from bids_app.statistics.roc import compare_roc_areas, roc_area
from bids_app.statistics.samples import Interval
from bids_app.statistics.stratification import averaged, predict_all

_COLUMNS = [
    *("outcome", "predictor", "threshold", "folds", "n", "patients", "disabled"),
    *(
        f"{measure}{end}"
        for measure in (*METRICS, "auc_covariates", "auc_difference")
        for end in ("", "_ci_low", "_ci_high")
    ),
    *("p", "p_adj"),
    *(
        f"{measure}{end}"
        for measure in ("risk_intercept", "risk_slope")
        for end in ("", "_ci_low", "_ci_high")
    ),
    "reason",
]


def stratification_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Report how well each predictor stratifies patients, by cross-validation.

    Parameters
    ----------
    data, models, patient, threshold, folds, seed
        As for `cross_validate`, for several models.
    confidence : float

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``threshold``, ``folds``, ``n`` scans,
        ``patients``, ``disabled`` scans, ``balanced_accuracy``, ``sensitivity``,
        ``specificity``, ``auc``, ``auc_covariates`` (of the covariates alone, same scans and
        folds), ``auc_difference``, ``risk_intercept`` and ``risk_slope`` (`calibrate_risk`; each
        with ``_ci_low``, ``_ci_high``), ``p`` of `added_information`, adjusted over the table in
        ``p_adj``, and ``reason``. For intervals see `cross_validation.assess`. Where patients have
        several scans, which are not independent, p and calibration are NaN. So are values relative
        to covariates where there are none. A model that cannot be fitted is a row with its reason.
    """
    predictions = predict_all(
        data, models, patient=patient, threshold=threshold, folds=folds, seed=seed
    )
    return tabulate_predictions(
        predictions, threshold=threshold, folds=folds, confidence=confidence
    )


def tabulate_predictions(
    predictions: Sequence[tuple[Model, pd.DataFrame | str]],
    *,
    threshold: float,
    folds: int,
    confidence: float,
) -> pd.DataFrame:
    """Report the results of `predict_all` as `stratification_table` does."""
    rows: list[dict[str, Any]] = []
    for model, predicted in predictions:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"threshold": threshold, "folds": folds, "reason": ""}
        if isinstance(predicted, str):
            rows.append(row | {"reason": predicted})
            continue
        scans = averaged(predicted)
        row |= _counts(scans) | {"p": predicted["p"].iloc[0]}
        for name, interval in assess(predicted, confidence).items():
            row |= interval.columns(name)
        if scans["patient"].is_unique:
            row |= _calibration_columns(scans, confidence)
        rows.append(row)
    return _adjusted(rows)


def tabulate_external(
    predictions: Sequence[tuple[Model, pd.DataFrame | str]],
    *,
    threshold: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Report predictions in patients with whom no model was trained, one scan of each.

    Parameters
    ----------
    predictions : sequence of (Model, DataFrame or str)
        ``patient``, ``disabled``, ``probability``, ``covariates`` and ``risk``, or the reason why
        there are none.
    threshold : float
    confidence, resamples, seed
        As for `classify`.

    Returns
    -------
    DataFrame
        The columns of `stratification_table` without ``folds``. Intervals of areas and of their
        difference, and p of the latter, are those of DeLong.
    """
    rows: list[dict[str, Any]] = []
    for model, predicted in predictions:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"threshold": threshold, "reason": ""}
        if isinstance(predicted, str):
            rows.append(row | {"reason": predicted})
            continue
        result = classify(
            predicted["disabled"],
            predicted["probability"],
            predicted["patient"],
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        row |= _counts(predicted)
        for metric in METRICS:
            interval: Interval = getattr(result, metric)
            row |= interval.columns(metric)
        rows.append(
            row | _areas(predicted, confidence) | _calibration_columns(predicted, confidence)
        )
    return _adjusted(rows).drop(columns="folds")


def _adjusted(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table["p"] = table["p"].astype("float64")
    return table.assign(p_adj=adjust(table["p"]))


def _areas(predicted: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Report areas under the ROC curve by DeLong, and the test against the covariates alone."""
    truth, probability = predicted["disabled"].astype("float64"), predicted["probability"]
    columns = roc_area(truth, probability, confidence).auc.columns("auc")
    if predicted["covariates"].notna().all():
        alone = predicted["covariates"]
        columns |= roc_area(truth, alone, confidence).auc.columns("auc_covariates")
        compared = compare_roc_areas(truth, probability, alone, confidence)
        columns |= compared.difference.columns("auc_difference") | {"p": compared.p}
    return columns


def _calibration_columns(predicted: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Report the calibration of the risk of independent scans."""
    truth = predicted["disabled"].astype("float64")
    calibration = calibrate_risk(truth, predicted["risk"], confidence)
    columns = calibration.intercept.columns("risk_intercept")
    return columns | calibration.slope.columns("risk_slope")


def _counts(predicted: pd.DataFrame) -> dict[str, int]:
    return {
        "n": len(predicted),
        "patients": predicted["patient"].nunique(),
        "disabled": int(predicted["disabled"].sum()),
    }
