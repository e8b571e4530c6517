"""Stratification of patients by disability from thalamus volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_app.statistics.regression import Model, ModelError, build_design
from bids_app.statistics.samples import FloatArray, Interval

DECISION = 0.5
METRICS = ("balanced_accuracy", "sensitivity", "specificity", "auc")


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
    """Measure how well predicted probabilities tell disabled from other scans.

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
    codes = pd.factorize(np.asarray(patients))[0]
    scans = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(resamples):
        drawn = np.concatenate([scans[i] for i in rng.integers(len(scans), size=len(scans))])
        if 0 < truth[drawn].sum() < drawn.size:
            samples.append(_metrics(truth[drawn], predicted[drawn]))
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(samples, levels, axis=0) if samples else np.full((2, 4), np.nan)
    estimates = zip(_metrics(truth, predicted), low, high, strict=True)
    return Classification(*(Interval(*(float(v) for v in values)) for values in estimates))


def cross_validate(
    data: pd.DataFrame,
    model: Model,
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict for each scan whether its outcome reaches a threshold, from other patients.

    A logistic regression with balanced class weights on standardised terms is trained on all
    but one fold and applied to that fold; the scans of a patient are never divided, and the
    folds have about equal shares of the disabled.

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
        Outcome from which on a patient counts as disabled.
    folds : int
    seed : int
        Seed of the division into folds.

    Returns
    -------
    DataFrame
        One row per complete case, indexed by its position in `data`: ``patient``, ``fold``,
        ``disabled``, ``probability``.

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
    plain = Model(model.outcome, model.predictor, model.numeric, model.categorical)
    scans = data.reset_index(drop=True)
    design = build_design(scans[scans[patient].notna()], plain)
    terms, patients = design.terms.to_numpy(), scans.loc[design.terms.index, patient]
    disabled = (design.outcome >= threshold).to_numpy()
    for name, members in (("disabled", disabled), ("other", ~disabled)):
        if patients[members].nunique() < folds:
            raise ModelError(f"{patients[members].nunique()} {name} patients for {folds} folds")
    probability, fold = np.empty(len(terms)), np.empty(len(terms), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (train, test) in enumerate(splitter.split(terms, disabled, patients)):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        classifier.fit(terms[train], disabled[train])
        probability[test] = classifier.predict_proba(terms[test])[:, 1]
        fold[test] = number
    return pd.DataFrame(
        {"patient": patients, "fold": fold, "disabled": disabled, "probability": probability}
    )


def stratification_table(
    data: pd.DataFrame,
    models: Sequence[Model],
    *,
    patient: str = "subject",
    threshold: float = 3.0,
    folds: int = 7,
    seed: int = 0,
) -> pd.DataFrame:
    """Report how well each predictor stratifies patients, by cross-validation.

    Parameters
    ----------
    data, models, patient, threshold, folds, seed
        As for `cross_validate`, for several models.

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``threshold``, ``folds``, ``n`` scans,
        ``patients``, ``disabled`` scans, ``balanced_accuracy``, ``sensitivity``,
        ``specificity``, ``auc`` (each with ``_ci_low``, ``_ci_high``) and ``reason``. A model
        that cannot be fitted is a row with its reason.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        row |= {"threshold": threshold, "folds": folds, "reason": ""}
        try:
            predicted = cross_validate(
                data, model, patient=patient, threshold=threshold, folds=folds, seed=seed
            )
        except ModelError as error:
            rows.append(row | {"reason": str(error)})
            continue
        result = classify(
            predicted["disabled"], predicted["probability"], predicted["patient"], seed=seed
        )
        row |= {"n": len(predicted), "patients": predicted["patient"].nunique()}
        row["disabled"] = int(predicted["disabled"].sum())
        for metric in METRICS:
            interval: Interval = getattr(result, metric)
            row |= interval.columns(metric)
        rows.append(row)
    columns = ["outcome", "predictor", "threshold", "folds", "n", "patients", "disabled"]
    columns += [f"{metric}{end}" for metric in METRICS for end in ("", "_ci_low", "_ci_high")]
    return pd.DataFrame(rows, columns=[*columns, "reason"])


def _metrics(truth: npt.NDArray[np.bool_], probability: FloatArray) -> list[float]:
    """Return the values of `METRICS`, in order.

    The AUC is the Mann-Whitney statistic (Hanley & McNeil 1982, Radiology 143:29-36);
    scikit-learn's takes milliseconds, too long for thousands of bootstrap samples.
    """
    called = probability >= DECISION
    sensitivity, specificity = float(called[truth].mean()), float((~called[~truth]).mean())
    positive, negative = int(truth.sum()), int((~truth).sum())
    rank_sum = float(stats.rankdata(probability)[truth].sum())
    auc = (rank_sum - positive * (positive + 1) / 2) / (positive * negative)
    return [(sensitivity + specificity) / 2, sensitivity, specificity, auc]
