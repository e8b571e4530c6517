"""Classifiers of disability as a small JSON file without data, for patients of other studies."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_app.group.parameter_file import ParameterFile, require_finite, require_weights
from bids_app.statistics.classifier import Classifier
from bids_app.statistics.image_classifier import ImageClassifier

_FILE = ParameterFile("thalbids stratification 1", "classifiers", "group/classifiers.json")
# The classifier of the covariates alone.
COVARIATES = "covariates"
# Name of the network's checksum among those of weights.
NETWORK = "network"
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
        Checksums of thalnet's weights on which a classifier depends; empty if on none.
    network : ImageClassifier or None
        Network on images; its own checksum of thalnet is that of `NETWORK`.
    source : str
        File that they were read from; empty if they were trained here.
    """

    outcome: str
    threshold: float
    icv: str
    regions: str
    classifiers: Mapping[str, Classifier]
    weights: Mapping[str, str]
    network: ImageClassifier | None = None
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
        require_weights(self.source, self.weights[name])
        return self.classifiers[name]

    def network_on_images(self) -> ImageClassifier:
        """Return the network.

        Raises
        ------
        ValueError
            If there is none, or its probabilities are those of other weights than installed.
        """
        if self.network is None:
            raise ValueError(f"{self.source} has no network on images")
        require_weights(self.source, self.weights[NETWORK])
        return self.network


def classifiers_document(stored: Classifiers) -> dict[str, object]:
    """Describe classifiers for a JSON file, without values of single patients.

    Parameters
    ----------
    stored : Classifiers

    Returns
    -------
    dict
    """
    network = stored.network
    return _FILE.document(
        "Logistic regressions that predict disability with balanced class weights; log odds are "
        "Intercept plus the sum of Coefficients times (term - Mean) / Scale. Terms: Numeric, then "
        "an indicator of each level but the first. Volumes in mL, age in years. Network: weights "
        "of a network on images, float32 in little-endian order, base64",
        {
            "Outcome": stored.outcome,
            "Threshold": stored.threshold,
            "ICV": stored.icv,
            "Regions": stored.regions,
            "Classifiers": {
                name: _entry(classifier, stored.weights[name])
                for name, classifier in stored.classifiers.items()
            },
            **({"Network": _network_entry(network, stored.weights[NETWORK])} if network else {}),
        },
    )


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
    return _FILE.read(path, lambda content: _classifiers(content, path.name))


def _classifiers(content: Mapping[str, Any], source: str) -> Classifiers:
    """Convert and check the content of a file."""
    entries = {str(name): entry for name, entry in content["Classifiers"].items()}
    classifiers = {name: _classifier(entry) for name, entry in entries.items()}
    network = None
    if "Network" in content:
        network = _network(content["Network"])
        entries[NETWORK] = content["Network"]
    return Classifiers(
        outcome=str(content["Outcome"]),
        threshold=float(content["Threshold"]),
        icv=str(content["ICV"]),
        regions=str(content["Regions"]),
        classifiers=classifiers,
        weights={name: str(entry["Weights"]) for name, entry in entries.items()},
        network=network,
        source=source,
    )


def _classifier(entry: Mapping[str, Any]) -> Classifier:
    """Convert and check an entry."""
    levels = {str(name): tuple(map(str, each)) for name, each in entry["Levels"].items()}
    numeric = tuple(map(str, entry["Numeric"]))
    terms = len(numeric) + sum(len(each) - 1 for each in levels.values())
    vectors = {name: tuple(map(float, entry[key])) for name, key in _VECTORS.items()}
    intercept, share = float(entry["Intercept"]), float(entry["ShareDisabled"])
    if terms == 0 or any(len(each) != terms for each in vectors.values()):
        raise ValueError(f"expected numbers for {terms} terms")
    require_finite(intercept, *vectors.values())
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


def _network_entry(network: ImageClassifier, weights: str) -> dict[str, object]:
    """Describe a network; arrays are stored as bytes, which hold no code."""
    stored = b"".join(each.astype("<f4").tobytes() for each in network.weights.values())
    return {
        "Weights": weights,
        "Shapes": {name: list(each.shape) for name, each in network.weights.items()},
        "Mean": list(network.mean),
        "Scale": list(network.scale),
        "N": network.n,
        "ShareDisabled": network.share,
        "SHA256": hashlib.sha256(stored).hexdigest(),
        "Values": b64encode(stored).decode("ascii"),
    }


def _network(entry: Mapping[str, Any]) -> ImageClassifier:
    """Convert and check the entry of a network."""
    stored = b64decode(entry["Values"], validate=True)
    if hashlib.sha256(stored).hexdigest() != entry["SHA256"]:
        raise ValueError("the checksum of the network is another one")
    values = np.frombuffer(stored, dtype="<f4").astype(np.float32)
    shapes = {str(name): tuple(map(int, shape)) for name, shape in entry["Shapes"].items()}
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    if len(values) != ends[-1]:
        raise ValueError(f"expected {ends[-1]} weights of the network")
    parts = np.split(values, ends[:-1])
    mean, scale = (tuple(map(float, entry[key])) for key in ("Mean", "Scale"))
    share = float(entry["ShareDisabled"])
    require_finite(values, mean, scale, share)
    if not 0 < share < 1 or len(mean) != len(scale) or min(scale) <= 0:
        raise ValueError("the share or a scale of the network is out of range")
    return ImageClassifier(
        weights={
            name: part.reshape(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        },
        mean=mean,
        scale=scale,
        n=int(entry["N"]),
        share=share,
    )
