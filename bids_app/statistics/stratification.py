"""Stratification of patients by disability from thalamus volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_app.statistics.bootstrap import BATCH_VALUES
from bids_app.statistics.design import Model, ModelError, build_design
from bids_app.statistics.paired import OfMethods
from bids_app.statistics.samples import FloatArray, Interval

# Gives the predictor of all scans, prepared in the scans of a training set alone (by position).
Prepare = Callable[[pd.DataFrame, str, npt.NDArray[np.intp]], FloatArray]
DECISION = 0.5
METRICS = ("balanced_accuracy", "sensitivity", "specificity", "auc")
_COLUMNS = [
    *("outcome", "predictor", "threshold", "folds", "n", "patients", "disabled"),
    *(
        f"{measure}{end}"
        for measure in (*METRICS, "auc_covariates", "auc_difference")
        for end in ("", "_ci_low", "_ci_high")
    ),
    "reason",
]


@dataclass(frozen=True)
class Classification:
    """Quality of a two-class prediction, each with its bootstrap interval.

    Attributes
    ----------
    balanced_accuracy, sensitivity, specificity, auc : Interval
        Fractions; the disabled are the positive class and a probability of at least 0.5 is
        a positive call.
    """

    balanced_accuracy: Interval
    sensitivity: Interval
    specificity: Interval
    auc: Interval


def classify(
    disabled: npt.ArrayLike,
    probability: npt.ArrayLike,
    patients: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Classification:
    """Measure how well predicted probabilities discriminate disabled from other scans.

    Parameters
    ----------
    disabled : array_like of bool, shape (n,)
    probability : array_like, shape (n,)
        Predicted probability of being disabled.
    patients : array_like, shape (n,)
        The patient of each scan; patients, not scans, are resampled.
    confidence : float
    resamples, seed : int
        Number of bootstrap samples and the seed of their drawing. Samples with one class
        only do not count.

    Returns
    -------
    Classification
        Percentile intervals.

    Raises
    ------
    ValueError
        If only one class occurs.

    References
    ----------
    Coll et al. 2024, J Magn Reson Imaging 60:258-267 (measures).
    """
    truth = np.asarray(disabled, dtype=np.bool_)
    predicted = np.asarray(probability, dtype=np.float64)
    if truth.all() or not truth.any():
        raise ValueError("only one class occurs")
    weights = _bootstrap_weights(np.asarray(patients), resamples, seed)
    parts = np.array_split(weights, _parts(weights))
    metrics = np.vstack([_metrics(truth, predicted, rows) for rows in parts])
    return Classification(*_percentile_intervals(metrics, confidence))


def cross_validate(
    data: pd.DataFrame,
    model: Model,
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    seed: int = 0,
    prepare: Prepare | None = None,
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

    Returns
    -------
    DataFrame
        One row per complete case, indexed by its position in `data`: ``patient``, ``fold``,
        ``disabled``, ``probability``; and ``covariates``, the probability by a model of the
        covariates alone in the same folds, NaN without covariates.

    Raises
    ------
    ModelError
        If the patient column is absent, a class has fewer patients than there are folds, or
        for a reason of `regression.build_design`.

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
    for name, members in (("disabled", disabled), ("other", ~disabled)):
        if patients[members].nunique() < folds:
            raise ModelError(f"{patients[members].nunique()} {name} patients for {folds} folds")
    codes = np.unique(patients.to_numpy(), return_inverse=True)[1]
    fold = np.array(_folds(tuple(codes.tolist()), tuple(disabled.tolist()), folds, seed))
    places = design.terms.index.to_numpy()
    refit = partial(_prepared, prepare, scans, model.predictor, places) if prepare else None
    probability = _predict(design.terms.to_numpy(), disabled, fold, refit)
    others = design.terms.drop(columns=model.predictor).to_numpy()
    alone = _predict(others, disabled, fold) if others.size else np.nan
    return pd.DataFrame(
        {
            "patient": patients,
            "fold": fold,
            "disabled": disabled,
            "probability": probability,
            "covariates": alone,
        }
    )


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
    predictor: str,
    places: npt.NDArray[np.intp],
    train: npt.NDArray[np.bool_],
) -> FloatArray:
    """Prepare the predictor of the complete cases at some places in one training set of them."""
    return prepare(scans, predictor, places[train])[places]


def _predict(
    terms: FloatArray,
    disabled: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    refit: Callable[[npt.NDArray[np.bool_]], FloatArray] | None = None,
) -> FloatArray:
    """Return the probability of each scan by the model trained on the other folds.

    ``refit`` gives the first term of all scans, prepared in a training set alone.
    """
    probability = np.empty(len(terms))
    for number in np.unique(fold):
        test = fold == number
        # Newton's method converges to rounding error, so that results are reproducible.
        regression = LogisticRegression(
            C=1.0, class_weight="balanced", solver="newton-cholesky", tol=1e-10
        )
        classifier = make_pipeline(StandardScaler(), regression)
        used = np.column_stack([refit(~test), terms[:, 1:]]) if refit else terms
        classifier.fit(used[~test], disabled[~test])
        probability[test] = classifier.predict_proba(used[test])[:, 1]
    return probability


@dataclass(frozen=True)
class Discrimination:
    """Area under the ROC curve of predicted probabilities, to be compared between methods.

    Attributes
    ----------
    disabled : Series of bool
        By participant.
    """

    disabled: pd.Series

    @property
    def names(self) -> tuple[str, ...]:
        """Area under the ROC curve."""
        return ("auc",)

    def prepare(self, weights: FloatArray, participants: pd.Index) -> OfMethods:
        """Select the classes of the participants."""
        truth = self.disabled.loc[participants].to_numpy(dtype=np.bool_)

        def of_methods(probabilities: FloatArray) -> FloatArray:
            return np.stack([[_metrics(truth, each, weights)[:, -1] for each in probabilities.T]])

        return of_methods


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
        folds), ``auc_difference`` (paired bootstrap; each with ``_ci_low``, ``_ci_high``) and
        ``reason``. Without covariates the last two are NaN. A model that cannot be fitted is a
        row with its reason.
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
            alone, difference = _beyond_covariates(predicted, **settings)
            row |= alone.columns("auc_covariates") | difference.columns("auc_difference")
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _beyond_covariates(
    predicted: pd.DataFrame, *, confidence: float, resamples: int, seed: int
) -> tuple[Interval, Interval]:
    """Return the AUC of the covariates alone, and by how much the predictor raises it.

    Both models are assessed in the same bootstrap samples of patients.
    """
    truth = predicted["disabled"].to_numpy()
    both = [predicted[name].to_numpy() for name in ("probability", "covariates")]
    weights = _bootstrap_weights(predicted["patient"].to_numpy(), resamples, seed)
    parts = np.array_split(weights, _parts(weights))
    full, alone = (
        np.concatenate([_metrics(truth, values, rows)[:, -1] for rows in parts]) for values in both
    )
    first, second = _percentile_intervals(np.column_stack([alone, full - alone]), confidence)
    return first, second


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


def _bootstrap_weights(patients: npt.NDArray[Any], resamples: int, seed: int) -> FloatArray:
    """Return the weights of the scans, shape (1 + resamples, n), first those of the sample.

    The weight of a scan is how often its patient was drawn.
    """
    codes, names = pd.factorize(patients)
    rng = np.random.default_rng(seed)
    samples: list[FloatArray] = []
    for _ in range(resamples):
        drawn = rng.integers(len(names), size=len(names))
        samples.append(np.bincount(drawn, minlength=len(names))[codes].astype(np.float64))
    return np.vstack([np.ones(len(codes)), *samples])


def _percentile_intervals(metrics: FloatArray, confidence: float) -> list[Interval]:
    """Return one interval per column; the first row is the estimate, the others are resampled."""
    resampled = metrics[1:][~np.isnan(metrics[1:]).any(axis=1)]
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends = (
        np.quantile(resampled, levels, axis=0)
        if len(resampled)
        else np.full((2, metrics.shape[1]), np.nan)
    )
    return [Interval(*values) for values in np.vstack([metrics[:1], ends]).T.tolist()]


def _parts(weights: FloatArray) -> int:
    """Return the number of parts that bound the memory of the resampled weights."""
    return -(-weights.size // BATCH_VALUES)


def _metrics(
    truth: npt.NDArray[np.bool_], probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the values of `METRICS`, shape (samples, 4), for weights of shape (samples, n).

    The AUC is the Mann-Whitney statistic (Hanley & McNeil 1982, Radiology 143:29-36). Samples
    with one class only have NaN.
    """
    _, level = np.unique(probability, return_inverse=True)
    # In order of probability, sums over its levels are sums over runs.
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    weights, truth, called = weights[:, order], truth[order], (probability >= DECISION)[order]
    positive, negative = weights * truth, weights * ~truth
    positives, negatives = positive.sum(axis=1), negative.sum(axis=1)
    # Per level of probability, disabled scans win against all others below and half of the ties.
    ill, well = (np.add.reduceat(part, starts, axis=1) for part in (positive, negative))
    wins = (ill * (well.cumsum(axis=1) - well / 2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = (positive * called).sum(axis=1) / positives
        specificity = (negative * ~called).sum(axis=1) / negatives
        auc = wins / (positives * negatives)
    return np.column_stack([(sensitivity + specificity) / 2, sensitivity, specificity, auc])
