"""Distinction of disabled patients by a network on images, as in Coll et al. 2024."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.group.patient_images import CONTRAST, METHOD, of_patients, patient_images
from bids_app.group.stored_classifier import Classifiers
from bids_app.group.study import Study
from bids_app.statistics.design import Model, ModelError, build_design
from bids_app.statistics.image_classifier import (
    ImageClassifier,
    Images,
    cross_validate_images,
    fit_image_classifier,
    require_torch,
)
from bids_app.statistics.risk import at_share
from bids_app.statistics.samples import FloatArray, numeric_column
from bids_app.statistics.stratification import require_classes

INPUT = "T1w and probabilities of the thalami"


@dataclass(frozen=True, eq=False)
class NetworkOfStudy:
    """A network on the images of a study.

    Attributes
    ----------
    predictions : DataFrame or str
        Those of the cross-validation, or why there are none.
    trained : ImageClassifier or None
        With all patients, to be applied to those of other studies.
    problems : tuple of str
        Images that could not be used, and why.
    """

    predictions: pd.DataFrame | str
    trained: ImageClassifier | None = None
    problems: tuple[str, ...] = ()


def train_network(study: Study, data: pd.DataFrame, base: Model) -> NetworkOfStudy:
    """Cross-validate a network on images in folds by patient, and train one with all patients.

    Parameters
    ----------
    study : Study
    data : DataFrame
        One row per patient.
    base : Model
        Outcome and covariates; a model of these alone is cross-validated in the same folds.

    Returns
    -------
    NetworkOfStudy
    """
    target, seed = study.plan.stratification, study.plan.seed
    problems: tuple[str, ...] = ()
    try:
        # Images of a cohort are not read in vain.
        require_torch()
        needed = [base.outcome, *base.numeric, *base.categorical]
        rows, images, problems = _cases(study, data.dropna(subset=needed))
        disabled = (numeric_column(rows, base.outcome) >= target.threshold).to_numpy()
        predictions = cross_validate_images(
            images,
            disabled,
            rows["participant_id"],
            _covariates(rows, base),
            folds=target.folds,
            seed=seed,
        )
        trained = fit_image_classifier(images, disabled, seed)
    except (ModelError, ValueError) as error:
        return NetworkOfStudy(str(error), problems=problems)
    return NetworkOfStudy(predictions, trained, problems)


def apply_network(study: Study, stored: Classifiers, data: pd.DataFrame) -> pd.DataFrame:
    """Predict with the network of another study.

    Returns
    -------
    DataFrame
        One row per patient with an image: ``patient``, ``disabled``, ``probability``,
        ``covariates`` (NaN), ``risk``.

    Raises
    ------
    ValueError
        If the file has no network, or one for other weights or of another architecture; no patient
        has an image, a class has too few patients, or PyTorch is not installed.
    """
    network = stored.network_on_images()
    require_torch()
    rows, images, _ = _cases(study, data.dropna(subset=[stored.outcome]))
    disabled = numeric_column(rows, stored.outcome) >= stored.threshold
    require_classes(rows["participant_id"], disabled.to_numpy())
    probability = network.probability(images)
    return pd.DataFrame(
        {
            "patient": rows["participant_id"],
            "disabled": disabled,
            "probability": probability,
            "covariates": np.nan,
            "risk": at_share(probability, network.share),
        }
    )


def _cases(study: Study, data: pd.DataFrame) -> tuple[pd.DataFrame, Images, tuple[str, ...]]:
    """Select the patients with an image."""
    read = patient_images(study)
    rows, images = of_patients(read, data)
    if rows.empty:
        raise ModelError(
            f"no patient has a preprocessed {CONTRAST} and probabilities of {METHOD} among the "
            "results"
        )
    return rows, images, read.problems


def _covariates(rows: pd.DataFrame, base: Model) -> FloatArray:
    """Return the terms of the covariates; none without a numeric one."""
    if not base.numeric:
        return np.empty((len(rows), 0))
    first, *others = base.numeric
    terms: npt.NDArray[np.float64] = build_design(
        rows, replace(base, predictor=first, numeric=tuple(others))
    ).terms.to_numpy()
    return terms
