"""Stratification of patients by disability from thalamus volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_app.statistics.design import Model, ModelError, build_design
from bids_app.statistics.discrimination import METRICS, Classification, beyond_covariates, classify
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.risk import at_share, calibrate_risk
from bids_app.statistics.roc import compare_roc_areas, roc_area
from bids_app.statistics.samples import FloatArray, Interval

# Gives the predictor of all scans, prepared in the scans of a training set alone (by position).
Prepare = Callable[[pd.DataFrame, str, npt.NDArray[np.intp]], FloatArray]
# Patients of each class, fewer of whom are described neither by a model nor by an area.
FEWEST = 5
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


def cross_validate(
    data: pd.DataFrame,
    model: Model,
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    seed: int = 0,
    prepare: Prepare | None = None,
    inputs: Sequence[str] = (),
) -> pd.DataFrame:
    """Predict whether the outcome of each scan reaches a threshold, by cross-validation.

    A logistic regression with balanced class weights and a ridge penalty of half the squared
    coefficients (scikit-learn's default) on standardised terms is trained on all but one fold
    and applied to that fold; all scans of a patient are in the same fold, and the folds
    have about equal shares of disabled scans.

    Parameters
    ----------
    data : DataFrame
        One row per scan.
    model : Model
        Outcome (EDSS), predictor and covariates; transform, covariance and standardisation
        are not used.
    patient : str
        Column that names the patient.
    threshold : float
        Lowest outcome of a patient who counts as disabled.
    folds : int
    seed : int
        Seed of the division into folds.
    prepare : callable, optional
        Given `data`, the name of the predictor and the positions of a training set, returns the
        predictor of all scans. What it estimates, it estimates in the training set.
    inputs : sequence of str
        Numeric terms of the model that are inputs as its predictor is, and no covariates.

    Returns
    -------
    DataFrame
        One row per complete case, indexed by its position in `data`: ``patient``, ``fold``,
        ``disabled``, ``probability``; ``covariates``, the probability by a model of the
        covariates alone in the same folds, NaN without covariates; and ``risk``, the probability
        at the share of disabled scans in the training set.

    Raises
    ------
    ModelError
        If the patient column is absent, a class has fewer patients than there are folds or
        than `FEWEST`, or for a reason of `regression.build_design`.

    References
    ----------
    Coll et al. 2024, J Magn Reson Imaging 60:258-267: EDSS ≥ 3.0, 7-fold patient-wise
    cross-validation (there with a network on images).
    """
    if patient not in data.columns:
        raise ModelError(f"columns {[patient]} are absent")
    # The pipeline standardises within each training set instead.
    plain = replace(model, standardised=(), transform="identity", covariance="classical")
    scans = data.reset_index(drop=True)
    design = build_design(scans[scans[patient].notna()], plain)
    patients = scans.loc[design.terms.index, patient]
    disabled = (design.outcome >= threshold).to_numpy()
    fold = _divide(patients, disabled, folds, seed)
    places = design.terms.index.to_numpy()
    names = [model.predictor, *inputs]
    terms = design.terms[[*names, *design.terms.columns.difference(names, sort=False)]]
    refit = partial(_prepared, prepare, scans, names, places) if prepare else None
    probability = _predict(terms.to_numpy(), disabled, fold, refit)
    others = terms.drop(columns=names).to_numpy()
    alone = _predict(others, disabled, fold) if others.size else np.nan
    risk = at_share(probability, _shares(disabled, fold))
    columns = {"patient": patients, "fold": fold, "disabled": disabled, "probability": probability}
    return pd.DataFrame(columns | {"covariates": alone, "risk": risk})


def _divide(
    patients: pd.Series, disabled: npt.NDArray[np.bool_], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the fold of each scan; all scans of a patient are in one."""
    for name, members in (("disabled", disabled), ("other", ~disabled)):
        if patients[members].nunique() < folds:
            raise ModelError(f"{patients[members].nunique()} {name} patients for {folds} folds")
    require_classes(patients, disabled)
    codes = np.unique(patients.to_numpy(), return_inverse=True)[1]
    return np.array(_folds(tuple(codes.tolist()), tuple(disabled.tolist()), folds, seed))


def require_classes(patients: pd.Series, disabled: npt.NDArray[np.bool_]) -> None:
    """Raise `ModelError` if a class has fewer patients than `FEWEST`."""
    for name, members in (("disabled", disabled), ("other", ~disabled)):
        count = patients[members].nunique()
        if count < FEWEST:
            raise ModelError(f"{count} {name} patients, at least {FEWEST} of each class are needed")


@lru_cache(maxsize=8)
def _folds(
    patients: tuple[int, ...], disabled: tuple[bool, ...], folds: int, seed: int
) -> tuple[int, ...]:
    """Return the fold of each scan, which depends on classes and patients only.

    The models of all predictors thus share the division, which takes longer than their fit.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold = np.empty(len(patients), dtype=np.int64)
    for number, (_, test) in enumerate(splitter.split(patients, disabled, patients)):
        fold[test] = number
    return tuple(fold.tolist())


def _prepared(
    prepare: Prepare,
    scans: pd.DataFrame,
    names: Sequence[str],
    places: npt.NDArray[np.intp],
    train: npt.NDArray[np.bool_],
) -> FloatArray:
    """Prepare the inputs of the complete cases at some places in one training set of them."""
    return np.column_stack([prepare(scans, name, places[train])[places] for name in names])


def _shares(disabled: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64]) -> FloatArray:
    """Return for each scan the share of disabled scans outside its fold."""
    counts = np.bincount(fold)[fold]
    others = disabled.sum() - np.bincount(fold, disabled)[fold]
    return np.asarray(others / (len(fold) - counts), dtype=np.float64)


def unfitted_classifier() -> Pipeline:
    """Return the classifier of all models: standardisation and a logistic regression."""
    # Newton's method converges to rounding error, so that results are reproducible.
    regression = LogisticRegression(
        C=1.0, class_weight="balanced", solver="newton-cholesky", tol=1e-10
    )
    return make_pipeline(StandardScaler(), regression)


def _predict(
    terms: FloatArray,
    disabled: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    refit: Callable[[npt.NDArray[np.bool_]], FloatArray] | None = None,
) -> FloatArray:
    """Return the probability of each scan by the model trained on the other folds.

    ``refit`` gives the first terms of all scans, prepared in a training set alone.
    """
    probability = np.empty(len(terms))
    for number in np.unique(fold):
        test = fold == number
        classifier, used = unfitted_classifier(), terms
        if refit:
            prepared = refit(~test)
            used = np.column_stack([prepared, terms[:, prepared.shape[1] :]])
        classifier.fit(used[~test], disabled[~test])
        probability[test] = classifier.predict_proba(used[test])[:, 1]
    return probability


def predict_all(
    data: pd.DataFrame,
    models: Sequence[Model],
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    seed: int = 0,
    prepare: Prepare | None = None,
) -> list[tuple[Model, pd.DataFrame | str]]:
    """Cross-validate several models; one that cannot be fitted is paired with the reason.

    Parameters
    ----------
    data, models, patient, threshold, folds, seed, prepare
        As for `cross_validate`.
    """
    divide = partial(
        cross_validate,
        patient=patient,
        threshold=threshold,
        folds=folds,
        seed=seed,
        prepare=prepare,
    )
    predictions: list[tuple[Model, pd.DataFrame | str]] = []
    for model in models:
        try:
            predictions.append((model, divide(data, model)))
        except ModelError as error:
            predictions.append((model, str(error)))
    return predictions


def stratification_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Report how well each predictor stratifies patients, by cross-validation.

    Parameters
    ----------
    data, models, patient, threshold, folds, seed
        As for `cross_validate`, for several models.
    confidence, resamples
        As for `classify`.

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``threshold``, ``folds``, ``n`` scans,
        ``patients``, ``disabled`` scans, ``balanced_accuracy``, ``sensitivity``,
        ``specificity``, ``auc``, ``auc_covariates`` (of the covariates alone, same scans and
        folds), ``auc_difference``, ``risk_intercept`` and ``risk_slope`` (`calibrate_risk`; each
        with ``_ci_low``, ``_ci_high``), ``p``, the larger one of the tests of
        the difference vs. 0 and of the area vs. 0.5, adjusted over the table in ``p_adj``, and
        ``reason``. Intervals of areas and of their difference, and p, are those of
        DeLong; where patients have several scans, which are not independent, intervals are
        bootstrapped, and p and calibration are NaN. So are values relative to covariates
        where there are none. A model that cannot be fitted is a row with its reason.
    """
    divided: dict[str, Any] = {"threshold": threshold, "folds": folds, "seed": seed}
    predictions = predict_all(data, models, patient=patient, **divided)
    return tabulate_predictions(predictions, **divided, confidence=confidence, resamples=resamples)


def tabulate_predictions(
    predictions: Sequence[tuple[Model, pd.DataFrame | str]],
    *,
    threshold: float,
    folds: int,
    confidence: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Report the results of `predict_all` as `stratification_table` does."""
    settings: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    rows: list[dict[str, Any]] = []
    for model, predicted in predictions:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"threshold": threshold, "folds": folds, "reason": ""}
        if isinstance(predicted, str):
            rows.append(row | {"reason": predicted})
            continue
        columns = [predicted[name] for name in ("disabled", "probability", "patient")]
        result = classify(*columns, **settings)
        row |= _classification_columns(predicted, result)
        if predicted["covariates"].notna().all():
            alone, difference = beyond_covariates(predicted, **settings)
            row |= alone.columns("auc_covariates") | difference.columns("auc_difference")
        if predicted["patient"].is_unique:
            row |= independent_columns(predicted, confidence)
        rows.append(row)
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table["p"] = table["p"].astype("float64")
    return table.assign(p_adj=adjust(table["p"]))


def independent_columns(predicted: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Report areas under the ROC curve by DeLong, and calibration, of one scan per patient.

    Parameters
    ----------
    predicted : DataFrame
        As `cross_validate` returns it.
    confidence : float

    Returns
    -------
    dict
        Columns of `stratification_table`.
    """
    truth, probability = predicted["disabled"].astype("float64"), predicted["probability"]
    area = roc_area(truth, probability, confidence)
    columns = area.auc.columns("auc")
    if predicted["covariates"].notna().all():
        alone = predicted["covariates"]
        columns |= roc_area(truth, alone, confidence).auc.columns("auc_covariates")
        compared = compare_roc_areas(truth, probability, alone, confidence)
        columns |= compared.difference.columns("auc_difference")
        # Covariates without information may rank worse than chance in cross-validation, which
        # makes noise added to them look better: what adds to them is also better than chance.
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.divide(area.auc.estimate - 0.5, area.se)
        columns["p"] = float(np.maximum(compared.p, 2 * stats.norm.sf(abs(z))))
    calibration = calibrate_risk(truth, predicted["risk"], confidence)
    columns |= calibration.intercept.columns("risk_intercept")
    return columns | calibration.slope.columns("risk_slope")


def _classification_columns(predicted: pd.DataFrame, result: Classification) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "n": len(predicted),
        "patients": predicted["patient"].nunique(),
        "disabled": int(predicted["disabled"].sum()),
    }
    for metric in METRICS:
        interval: Interval = getattr(result, metric)
        columns |= interval.columns(metric)
    return columns
