"""Normative models as a small JSON file without data, for other studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_app.group.parameter_file import ParameterFile, require_finite, require_weights
from bids_app.statistics.choices import Rule
from bids_app.statistics.normative import TERMS, NormativeModel

_FILE = ParameterFile("thalbids norm 1", "norm", "group/norm.json")
_RULES: tuple[Rule, ...] = ("opfer", "prediction")
# Limits are rounded outwards: the extreme values are those of single participants.
_AGE_STEP, _ICV_STEP = 1, 10


@dataclass(frozen=True)
class Norm:
    """Normative model of a segmentation.

    Attributes
    ----------
    model : NormativeModel
    scanner_sd : float
        Standard deviation between scanners of the segmentation, mL.
    weights : str
        Checksums of the network weights; empty for other methods than thalnet.
    """

    model: NormativeModel
    scanner_sd: float
    weights: str = ""


@dataclass(frozen=True)
class Norms:
    """Normative models of a study.

    Attributes
    ----------
    icv : str
        Method that measured the intracranial volume.
    norms : mapping of str to Norm
        By segmentation.
    source : str
        File that they were read from; empty if they were fitted here.
    """

    icv: str
    norms: Mapping[str, Norm]
    source: str = ""

    def of(self, segmentation: str) -> Norm:
        """Return the norm of a segmentation.

        Raises
        ------
        ValueError
            If there is none, or it holds for other weights than those installed.
        """
        if segmentation not in self.norms:
            present = ", ".join(self.norms)
            raise ValueError(f"{self.source} has no norm of this method, only of {present}")
        norm = self.norms[segmentation]
        require_weights(self.source, norm.weights)
        return norm


def norm_document(norms: Norms) -> dict[str, object]:
    """Describe norms for a JSON file, without values of single participants.

    Parameters
    ----------
    norms : Norms

    Returns
    -------
    dict
    """
    return _FILE.document(
        "Thalamus volume (mL) of healthy participants, given intracranial volume tiv (mL) and age "
        "(years); the covariance of the coefficients is divided by the residual variance",
        {
            "ICV": norms.icv,
            "Sex": "not a term of the model",
            "Norms": {name: _entry(norm) for name, norm in norms.norms.items()},
        },
    )


def _entry(norm: Norm) -> dict[str, object]:
    model = norm.model
    return {
        "Weights": norm.weights,
        "Rule": model.rule,
        "Coefficients": {str(name): float(value) for name, value in model.coefficients.items()},
        "Covariance": [[float(value) for value in row] for row in model.covariance],
        "ResidualSD": model.residual_sd,
        "DegreesOfFreedom": model.degrees_of_freedom,
        "N": model.n,
        "Outliers": model.outliers,
        "AgeRange": _outwards(model.age_range, _AGE_STEP),
        "ICVRange": _outwards(model.tiv_range, _ICV_STEP),
        "ScannerSD": norm.scanner_sd,
    }


def _outwards(limits: tuple[float, float], step: int) -> list[int]:
    low, high = limits
    return [step * floor(low / step), step * ceil(high / step)]


def read_norms(path: Path) -> Norms:
    """Read the ``group/norm.json`` of another study.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Norms

    Raises
    ------
    MissingInputError
        If it cannot be read.
    BadDataError
        If it is no norm, or damaged.
    """
    return _FILE.read(
        path,
        lambda content: Norms(
            str(content["ICV"]),
            {str(name): _norm(entry) for name, entry in content["Norms"].items()},
            path.name,
        ),
    )


def _norm(entry: Mapping[str, Any]) -> Norm:
    """Convert and check an entry."""
    numbers = [float(entry[name]) for name in ("ResidualSD", "ScannerSD")]
    coefficients = pd.Series({name: float(entry["Coefficients"][name]) for name in TERMS})
    covariance = np.array(entry["Covariance"], dtype=np.float64)
    ranges = [tuple(float(value) for value in entry[key]) for key in ("AgeRange", "ICVRange")]
    if covariance.shape != (len(TERMS), len(TERMS)) or any(len(each) != 2 for each in ranges):
        raise ValueError("a matrix or a range has another size")
    if entry["Rule"] not in _RULES or not entry["N"] > len(TERMS):
        raise ValueError(f"rule {entry['Rule']}, n {entry['N']}")
    require_finite(numbers, coefficients, covariance, ranges)
    if numbers[0] <= 0 or numbers[1] < 0:
        raise ValueError("a standard deviation is not positive")
    model = NormativeModel(
        coefficients=coefficients,
        residual_sd=numbers[0],
        n=int(entry["N"]),
        outliers=int(entry["Outliers"]),
        age_range=(ranges[0][0], ranges[0][1]),
        tiv_range=(ranges[1][0], ranges[1][1]),
        covariance=covariance,
        rule=entry["Rule"],
    )
    return Norm(model, numbers[1], str(entry["Weights"]))
