"""Classifiers of disability as a small JSON file without data, for patients of other studies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from bids_app import __version__
from bids_app.errors import BadDataError, MissingInputError
from bids_app.group.stored_calibration import weights_label
from bids_app.statistics.classifier import Classifier

FORMAT = "thalbids stratification 1"
# The classifier of the covariates alone.
COVARIATES = "covariates"
_EXPECTED = "Expected the group/classifiers.json of a group stage"
_VECTORS = {"mean": "Mean", "scale": "Scale", "coefficients": "Coefficients"}


@dataclass(frozen=True, kw_only=True)
class Classifiers:
    """Classifiers of a study.

    Attributes
    ----------
    outcome : str
    threshold : float
        Lowest outcome of a patient who counts as disabled.
    icv : str
        Method that measured the intracranial volume.
    regions : str
        Segmentation whose volumes of regions are used; empty if none are.
    classifiers : mapping of str to Classifier
        By segmentation or set of regions, and that of the covariates alone.
    weights : mapping of str to str
        Checksums of the network weights on which a classifier depends; empty if on none.
    source : str
        File that they were read from; empty if they were trained here.
    """

    outcome: str
    threshold: float
    icv: str
    regions: str
    classifiers: Mapping[str, Classifier]
    weights: Mapping[str, str]
    source: str = ""

    def of(self, name: str) -> Classifier:
        """Return the classifier of a segmentation or set of regions.

        Raises
        ------
        ValueError
            If there is none, or it holds for other weights than those installed.
        """
        if name not in self.classifiers:
            raise ValueError(f"{self.source} has no classifier for it")
        weights = self.weights[name]
        if weights and weights != weights_label():
            raise ValueError(
                f"{self.source} holds for other weights of thalnet ({weights}; installed: "
                f"{weights_label()})"
            )
        return self.classifiers[name]


def classifiers_document(stored: Classifiers) -> dict[str, object]:
    """Describe classifiers for a JSON file, without values of single patients.

    Parameters
    ----------
    stored : Classifiers

    Returns
    -------
    dict
    """
    return {
        "Format": FORMAT,
        "ThalbidsVersion": __version__,
        "Description": "Logistic regressions that predict disability with balanced class weights; "
        "log odds are Intercept plus the sum of Coefficients times (term - Mean) / Scale. Terms: "
        "Numeric, then an indicator of each level but the first. Volumes in mL, age in years",
        "Outcome": stored.outcome,
        "Threshold": stored.threshold,
        "ICV": stored.icv,
        "Regions": stored.regions,
        "Classifiers": {
            name: _entry(classifier, stored.weights[name])
            for name, classifier in stored.classifiers.items()
        },
    }


def _entry(classifier: Classifier, weights: str) -> dict[str, object]:
    return {
        "Weights": weights,
        "Numeric": list(classifier.numeric),
        "Levels": {name: list(levels) for name, levels in classifier.levels.items()},
        **{key: list(getattr(classifier, name)) for name, key in _VECTORS.items()},
        "Intercept": classifier.intercept,
        "N": classifier.n,
        "ShareDisabled": classifier.share,
    }


def read_classifiers(path: Path) -> Classifiers:
    """Read the ``group/classifiers.json`` of another study.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Classifiers

    Raises
    ------
    MissingInputError
        If it cannot be read.
    BadDataError
        If it holds no classifiers, or is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInputError(
            f"Cannot read the classifiers {path}: {error.strerror}. {_EXPECTED}."
        ) from error
    except ValueError as error:
        raise BadDataError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("Format") != FORMAT:
        raise BadDataError(f"{path} holds no classifiers. {_EXPECTED}.")
    try:
        entries = {str(name): entry for name, entry in content["Classifiers"].items()}
        return Classifiers(
            outcome=str(content["Outcome"]),
            threshold=float(content["Threshold"]),
            icv=str(content["ICV"]),
            regions=str(content["Regions"]),
            classifiers={name: _classifier(entry) for name, entry in entries.items()},
            weights={name: str(entry["Weights"]) for name, entry in entries.items()},
            source=path.name,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadDataError(
            f"{path} is damaged ({type(error).__name__}: {error}). {_EXPECTED}, unchanged."
        ) from error


def _classifier(entry: Mapping[str, Any]) -> Classifier:
    """Convert and check an entry."""
    levels = {str(name): tuple(map(str, each)) for name, each in entry["Levels"].items()}
    numeric = tuple(map(str, entry["Numeric"]))
    terms = len(numeric) + sum(len(each) - 1 for each in levels.values())
    vectors = {name: tuple(map(float, entry[key])) for name, key in _VECTORS.items()}
    intercept, share = float(entry["Intercept"]), float(entry["ShareDisabled"])
    if terms == 0 or any(len(each) != terms for each in vectors.values()):
        raise ValueError(f"expected numbers for {terms} terms")
    if not all(map(isfinite, (intercept, *(value for each in vectors.values() for value in each)))):
        raise ValueError("a number is not finite")
    if min(vectors["scale"]) <= 0 or not 0 < share < 1:
        raise ValueError("a scale is not positive, or the share of the disabled not within 0 to 1")
    return Classifier(
        numeric=numeric,
        levels=levels,
        mean=vectors["mean"],
        scale=vectors["scale"],
        coefficients=vectors["coefficients"],
        intercept=intercept,
        n=int(entry["N"]),
        share=share,
    )
