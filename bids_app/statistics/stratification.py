"""Stratification of patients by disability from thalamus volume."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bids_app.statistics.design import Model, ModelError, build_design
from bids_app.statistics.ridge import fit_ridge_logistic
from bids_app.statistics.risk import at_share
from bids_app.statistics.samples import FloatArray

# Gives the predictor of all scans, prepared in the scans of a training set alone (by position).
Prepare = Callable[[pd.DataFrame, str, npt.NDArray[np.intp]], FloatArray]
# Divisions into folds, over which predictions are averaged.
REPEATS = 5
# Patients of each class, fewer of whom are described neither by a model nor by an area.
FEWEST = 5


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
    repeats: int = REPEATS,
) -> pd.DataFrame:
    """Predict whether the outcome of each scan reaches a threshold, by cross-validation.

    A logistic regression with balanced class weights and a ridge penalty on standardised terms (see
    `fit_ridge_logistic`) is trained on all but one fold
    and applied to that fold; all scans of a patient are in the same fold, and the folds
    have about equal shares of disabled scans. All of this is repeated with other folds.

    Parameters
    ----------
    data : DataFrame
        One row per scan.
    model : Model
        Outcome (EDSS), predictor and covariates; no more of it is used.
    patient : str
        Column that names the patient.
    threshold : float
        Lowest outcome of a patient who counts as disabled.
    folds : int
    seed : int
    prepare : callable, optional
        Given `data`, the name of the predictor and the positions of a training set, returns the
        predictor of all scans. What it estimates, it estimates in the training set.
    inputs : sequence of str
        Numeric terms of the model that are inputs as its predictor is, and no covariates.
    repeats : int
        Number of divisions into folds, each of another seed.

    Returns
    -------
    DataFrame
        One row per repetition and complete case, indexed by its position in `data`: ``repeat``,
        ``patient``, ``fold``, ``disabled``, ``probability``; ``covariates``, the probability by a
        model of the covariates alone in the same folds, NaN without covariates; ``risk``, the
        probability at the share of disabled scans in the training set; and ``p`` of
        `added_information` by the inputs, NaN where patients have several scans.

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
    places = design.terms.index.to_numpy()
    names = [model.predictor, *inputs]
    terms = design.terms[[*names, *design.terms.columns.difference(names, sort=False)]]
    refit = partial(_prepared, prepare, scans, names, places) if prepare else None
    others = terms.drop(columns=names).to_numpy()
    tables = []
    for repeat in range(repeats):
        fold = divide(patients, disabled, folds, seed + repeat)
        columns = _fold_columns(terms.to_numpy(), others, disabled, fold, refit)
        tables.append(pd.DataFrame({"repeat": repeat, "patient": patients} | columns))
    whole = refit(np.ones(len(terms), dtype=np.bool_)) if refit else terms[names].to_numpy()
    p = added_information(disabled, whole, others) if patients.is_unique else np.nan
    return pd.concat(tables).assign(p=p)


def _fold_columns(
    terms: FloatArray,
    others: FloatArray,
    disabled: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    refit: Callable[[npt.NDArray[np.bool_]], FloatArray] | None,
) -> dict[str, object]:
    """Predict by all terms and by the others than the inputs, in one division into folds."""
    probability = _predict(terms, disabled, fold, refit)
    return {
        "fold": fold,
        "disabled": disabled,
        "probability": probability,
        "covariates": covariate_probability(others, disabled, fold),
        "risk": at_share(probability, _shares(disabled, fold)),
    }


def added_information(
    disabled: npt.NDArray[np.bool_], inputs: FloatArray, covariates: FloatArray
) -> float:
    """Test whether inputs predict the class of independent cases better than covariates alone.

    A test of the models themselves: the difference of two cross-validated areas is no valid test
    (Vickers, Cronin & Begg 2011, BMC Med Res Methodol 11:13).

    Parameters
    ----------
    disabled : bool array, shape (n,)
    inputs : float64 array, shape (n, k)
    covariates : float64 array, shape (n, c)
        May have no column.

    Returns
    -------
    float
        p of the likelihood-ratio test of two logistic models without penalty. Where terms separate
        the classes, the deviance is that of the last step, which is next to none.
    """
    scaled = stats.zscore(np.column_stack([covariates, inputs]))
    both = np.column_stack([np.ones(len(scaled)), scaled])
    alone = both[:, : both.shape[1] - inputs.shape[1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deviance = [
            sm.GLM(disabled.astype(np.float64), terms, family=sm.families.Binomial()).fit().deviance
            for terms in (alone, both)
        ]
    return float(stats.chi2.sf(max(deviance[0] - deviance[1], 0.0), inputs.shape[1]))


def averaged(predicted: pd.DataFrame) -> pd.DataFrame:
    """Average the predictions of each scan over repetitions.

    Parameters
    ----------
    predicted : DataFrame
        As `cross_validate` returns it.

    Returns
    -------
    DataFrame
        One row per scan: ``patient``, ``disabled``, ``probability``, ``covariates``, ``risk``.
    """
    scans = predicted[predicted["repeat"] == 0]
    means = predicted.groupby(level=0, sort=False)[["probability", "covariates", "risk"]].mean()
    return scans[["patient", "disabled"]].join(means)


def divide(
    patients: pd.Series, disabled: npt.NDArray[np.bool_], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the fold of each scan; all scans of a patient are in one.

    Parameters
    ----------
    patients : Series of length n
    disabled : (n,) bool
    folds, seed : int

    Raises
    ------
    ModelError
        If a class has fewer patients than there are folds or than `FEWEST`.
    """
    for name, members in (("disabled", disabled), ("other", ~disabled)):
        if patients[members].nunique() < folds:
            raise ModelError(
                f"{patients[members].nunique()} {name} patients, at least {folds} are needed, one "
                "for each fold"
            )
    require_classes(patients, disabled)
    codes = np.unique(patients.to_numpy(), return_inverse=True)[1]
    return np.array(_folds(tuple(codes.tolist()), tuple(disabled.tolist()), folds, seed))


def require_classes(patients: pd.Series, disabled: npt.NDArray[np.bool_]) -> None:
    """Raise `ModelError` if a class has fewer patients than `FEWEST`."""
    for name, members in (("disabled", disabled), ("other", ~disabled)):
        count = patients[members].nunique()
        if count < FEWEST:
            raise ModelError(f"{count} {name} patients, at least {FEWEST} of each class are needed")


@lru_cache(maxsize=4 * REPEATS)
def _folds(
    patients: tuple[int, ...], disabled: tuple[bool, ...], folds: int, seed: int
) -> tuple[int, ...]:
    """Return the fold of each scan, which depends on classes and patients only.

    The models of all predictors thus share the division, which takes longer than their fit.
    """
    # With one scan of each patient, both divide alike, the one for groups much more slowly.
    single = len(set(patients)) == len(patients)
    kind, groups = (StratifiedKFold, None) if single else (StratifiedGroupKFold, patients)
    splitter = kind(folds, shuffle=True, random_state=seed)
    fold = np.empty(len(patients), dtype=np.int64)
    for number, (_, test) in enumerate(splitter.split(patients, disabled, groups)):
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


def covariate_probability(
    covariates: FloatArray, disabled: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64]
) -> FloatArray:
    """Predict each scan by the covariates alone, in the same folds; NaN if there are none."""
    if not covariates.size:
        return np.full(len(fold), np.nan)
    return _predict(covariates, disabled, fold)


def _predict(
    terms: FloatArray,
    disabled: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    refit: Callable[[npt.NDArray[np.bool_]], FloatArray] | None = None,
) -> FloatArray:
    """Return the probability of each scan by the model trained on the other folds.

    ``refit`` gives the first terms of all scans, prepared in a training set alone.
    """
    numbers, place = np.unique(fold, return_inverse=True)
    train = place != np.arange(len(numbers))[:, np.newaxis]
    used = terms[np.newaxis]
    if refit:
        prepared = np.stack([refit(members) for members in train])
        others = np.broadcast_to(
            terms[:, prepared.shape[2] :], (*prepared.shape[:2], terms.shape[1] - prepared.shape[2])
        )
        used = np.concatenate([prepared, others], axis=2)
    probability = fit_ridge_logistic(used, disabled, train).probability(used)
    return np.asarray(probability[place, np.arange(len(terms))])


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
