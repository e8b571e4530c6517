"""Calibration stored by an earlier group stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.dataset.tables import read_rows
from bids_app.errors import BadDataError, MissingInputError
from bids_app.segmentation import thalnet
from bids_app.statistics.calibration import COEFFICIENTS

# Needed to apply a calibration, in addition to segmentation, form of the mapping, and weights.
PARAMETERS = (
    "subjects",
    "calibration_intercept",
    "calibration_slope",
    "intercept_variance",
    "slope_variance",
    "coefficient_covariance",
    "residual_sd",
)


def weights_label() -> str:
    """Abbreviate the checksums of the installed network weights.

    A calibration of thalnet is valid only for the weights with which it was fitted.
    """
    return "-".join(checksum[:8] for checksum in thalnet.weights_checksums().values())


def read_calibration(path: Path, weights: str) -> pd.DataFrame:
    """Read a ``calibration.tsv`` of an earlier group stage.

    Parameters
    ----------
    path : Path
    weights : str
        See `weights_label`.

    Returns
    -------
    DataFrame
        One row per calibrated segmentation: ``segmentation``, ``mapping`` and the `PARAMETERS`.

    Raises
    ------
    MissingInputError
        If the file does not exist.
    BadDataError
        If it is not a calibration, is damaged, or was fitted with other weights.
    """
    if not path.is_file():
        raise MissingInputError(
            f"The calibration file {path} does not exist. Expected the group/calibration.tsv of a "
            "group stage with manual labels (-d manual=PATH)."
        )
    rows = []
    for row in read_rows(path):
        needed = ("segmentation", "mapping", "weights", *PARAMETERS)
        absent = [name for name in needed if name not in row]
        if absent:
            raise BadDataError(
                f"{path} lacks the column '{absent[0]}'. Expected the group/calibration.tsv of a "
                "group stage."
            )
        if row["mapping"] == "n/a":
            continue
        if row["segmentation"].startswith("thalnet") and row["weights"] != weights:
            raise BadDataError(
                f"{path} was fitted with other weights of thalnet ({row['weights']}; installed: "
                f"{weights}). Fit it again with -d manual=PATH."
            )
        rows.append(_parameters(row, path))
    if not rows:
        raise BadDataError(f"{path} holds no mapping.")
    return pd.DataFrame(rows)


def _parameters(row: dict[str, str], path: Path) -> dict[str, object]:
    """Check and convert the numbers of one row."""
    where = f"{path}, '{row['segmentation']}'"
    if row["mapping"] not in COEFFICIENTS:
        raise BadDataError(
            f"{where}: '{row['mapping']}' is not a mapping. Expected one of {list(COEFFICIENTS)}."
        )
    values: dict[str, float] = {}
    for name in PARAMETERS:
        try:
            value = float(row[name])
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise BadDataError(f"{where}: '{name}' is '{row[name]}'. Expected a number.")
        values[name] = value
    if values["subjects"] <= COEFFICIENTS[row["mapping"]]:
        raise BadDataError(f"{where}: it was fitted to too few subjects ({row['subjects']}).")
    return {"segmentation": row["segmentation"], "mapping": row["mapping"], **values}
