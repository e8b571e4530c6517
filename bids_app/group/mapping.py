"""Calibration of volumes to reference labels: fit, evaluation by cross-validation, application."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_app.group.masks import THRESHOLDS, LabelledScans
from bids_app.group.stored_calibration import PARAMETERS
from bids_app.statistics.agreement import bland_altman, concordance, fit_line
from bids_app.statistics.calibration import (
    VolumeMapping,
    choose_mapping,
    choose_threshold,
    cross_validate,
)
from bids_app.statistics.samples import FloatArray

CALIBRATED = ("total_calibrated_ml", "total_calibrated_low_ml", "total_calibrated_high_ml")
_USUAL_THRESHOLD = 0.5


def calibration_table(labelled: LabelledScans, confidence: float) -> pd.DataFrame:
    """Fit the calibration of every segmentation.

    Parameters
    ----------
    labelled : LabelledScans
    confidence : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per segmentation: ``mapping`` (its form; missing, with the ``reason``, if there is
        none), the `PARAMETERS`, ``n`` scans, confidence intervals of intercept and slope, and the
        ``boundary_threshold``, NaN without probabilities.
    """
    rows = []
    for name, pairs in labelled.pairs.groupby("segmentation", sort=False):
        subjects = pairs["participant_id"].tolist()
        row: dict[str, object] = {"segmentation": name, "n": len(pairs), "reason": ""}
        row["subjects"] = len(set(subjects))
        try:
            mapping = choose_mapping(pairs["total_ml"], pairs["reference_ml"], subjects)
        except ValueError as error:
            rows.append(row | {"reason": str(error)})
            continue
        intercept, slope = mapping.coefficients(confidence)
        row |= {"mapping": mapping.kind, "residual_sd": mapping.residual_sd}
        row |= intercept.columns("calibration_intercept") | slope.columns("calibration_slope")
        (intercept_variance, covariance), (_, slope_variance) = mapping.covariance.tolist()
        row |= {"intercept_variance": intercept_variance, "slope_variance": slope_variance}
        row["coefficient_covariance"] = covariance
        curves = labelled.volumes.loc[pairs.index].dropna()
        if curves.index.equals(pairs.index):
            boundary = choose_threshold(curves, pairs["reference_ml"], subjects, THRESHOLDS)
            row["boundary_threshold"] = boundary.threshold
        rows.append(row)
    columns = ["segmentation", "mapping", "subjects", "n"]
    for coefficient in PARAMETERS[1:3]:
        columns += [coefficient, f"{coefficient}_ci_low", f"{coefficient}_ci_high"]
    columns += [*PARAMETERS[3:], "boundary_threshold", "reason"]
    return pd.DataFrame(rows, columns=columns)


def evaluation_table(labelled: LabelledScans, *, first_only: bool = True) -> pd.DataFrame:
    """Compare volumes with the reference before and after calibration to all other subjects.

    Parameters
    ----------
    labelled : LabelledScans
    first_only : bool
        Compare the first scan of each participant only, so that comparisons are independent. All
        scans are used for calibration.

    Returns
    -------
    DataFrame
        For every segmentation that can be calibrated, one row per kind of ``volumes``: ``as
        measured``, ``mapped``, and ``threshold`` where there are probabilities; with ``n`` scans,
        ``ccc``, ``bias``, ``sd`` and ``slope`` relative to the reference, and the mean ``dice`` of
        the two kinds that are masks.
    """
    rows = []
    for name, pairs in labelled.pairs.groupby("segmentation", sort=False):
        try:
            kinds = _held_out(labelled, pairs)
        except ValueError:
            continue
        compared = ~pairs["participant_id"].duplicated().to_numpy() | (not first_only)
        reference = pairs["reference_ml"][compared]
        for kind, (every, dice) in kinds.items():
            volumes = every[compared]
            differences = bland_altman(reference, volumes)
            rows.append(
                {
                    "segmentation": name,
                    "volumes": kind,
                    "n": len(reference),
                    "ccc": concordance(reference, volumes).estimate,
                    "bias": differences.bias.estimate,
                    "sd": differences.sd.estimate,
                    "slope": fit_line(reference, volumes).slope.estimate,
                    "dice": np.nan if dice is None else dice[compared].mean(),
                }
            )
    columns = ["segmentation", "volumes", "n", "ccc", "bias", "sd", "slope", "dice"]
    return pd.DataFrame(rows, columns=columns)


def _held_out(
    labelled: LabelledScans, pairs: pd.DataFrame
) -> dict[str, tuple[FloatArray, FloatArray | None]]:
    """Calibrate the volumes of each participant with all others.

    Returns
    -------
    dict of str to (ndarray, ndarray or None)
        Volume (mL) and Dice coefficient of each scan in `pairs`, by kind of volume; no Dice
        coefficient where the volume is not that of a mask.

    Raises
    ------
    ValueError
        If there are too few participants.
    """
    reference, subjects = pairs["reference_ml"], pairs["participant_id"].tolist()
    mapped = cross_validate(pairs["total_ml"], reference, subjects)
    measured = pairs["total_ml"].to_numpy()
    curves = labelled.volumes.loc[pairs.index].dropna()
    if not curves.index.equals(pairs.index):
        return {"as measured": (measured, None), "mapped": (mapped, None)}
    dice = labelled.dice.loc[pairs.index]
    columns = choose_threshold(curves, reference, subjects, THRESHOLDS).cross_validated
    scans = np.arange(len(pairs))
    return {
        "as measured": (measured, dice[_USUAL_THRESHOLD].to_numpy()),
        "mapped": (mapped, None),
        "threshold": (curves.to_numpy()[scans, columns], dice.to_numpy()[scans, columns]),
    }


def calibrated(volumes: pd.DataFrame, calibration: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Predict the volumes of the reference labels from measured volumes.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan and ``segmentation``, with ``total_ml``.
    calibration : DataFrame
        See `calibration_table`.
    confidence : float
        Level of the prediction intervals.

    Returns
    -------
    DataFrame
        The columns of `CALIBRATED`, rows as those of `volumes`; NaN for segmentations without
        calibration.
    """
    result = pd.DataFrame(np.nan, index=volumes.index, columns=list(CALIBRATED))
    for row in calibration[calibration["mapping"].notna()].to_dict("records"):
        of_segmentation = volumes["segmentation"] == row["segmentation"]
        shared = row["coefficient_covariance"]
        covariance = [[row["intercept_variance"], shared], [shared, row["slope_variance"]]]
        mapping = VolumeMapping(
            kind=row["mapping"],
            intercept=row["calibration_intercept"],
            slope=row["calibration_slope"],
            covariance=np.array(covariance),
            residual_sd=row["residual_sd"],
            subjects=int(row["subjects"]),
        )
        measured = volumes.loc[of_segmentation, "total_ml"]
        result.loc[of_segmentation] = mapping.predict(measured, confidence).T.round(4)
    return result
