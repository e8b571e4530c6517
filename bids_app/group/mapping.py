"""Tables of a calibration: fitted to labelled scans, judged on subjects left out, applied."""

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
        One row per segmentation: ``mapping`` (its kind, missing with the ``reason`` if there is
        none), the `PARAMETERS`, ``n`` scans, confidence intervals of intercept and slope, and the
        ``boundary_threshold``, NaN without probabilities.
    """
    rows = []
    for name, own in labelled.pairs.groupby("segmentation", sort=False):
        subjects = own["participant_id"].tolist()
        row: dict[str, object] = {"segmentation": name, "n": len(own), "reason": ""}
        row["subjects"] = len(set(subjects))
        try:
            mapping = choose_mapping(own["total_ml"], own["reference_ml"], subjects)
        except ValueError as error:
            rows.append(row | {"reason": str(error)})
            continue
        intercept, slope = mapping.coefficients(confidence)
        row |= {"mapping": mapping.kind, "residual_sd": mapping.residual_sd}
        row |= intercept.columns("calibration_intercept") | slope.columns("calibration_slope")
        (own_variance, covariance), (_, slope_variance) = mapping.covariance.tolist()
        row |= {"intercept_variance": own_variance, "slope_variance": slope_variance}
        row["coefficient_covariance"] = covariance
        curves = labelled.volumes.loc[own.index].dropna()
        if curves.index.equals(own.index):
            boundary = choose_threshold(curves, own["reference_ml"], subjects, THRESHOLDS)
            row["boundary_threshold"] = boundary.threshold
        rows.append(row)
    columns = ["segmentation", "mapping", "subjects", "n"]
    for coefficient in PARAMETERS[1:3]:
        columns += [coefficient, f"{coefficient}_ci_low", f"{coefficient}_ci_high"]
    columns += [*PARAMETERS[3:], "boundary_threshold", "reason"]
    return pd.DataFrame(rows, columns=columns)


def evaluation_table(labelled: LabelledScans, *, first_only: bool = True) -> pd.DataFrame:
    """Compare volumes with the reference before and after calibration by all other subjects.

    Parameters
    ----------
    labelled : LabelledScans
    first_only : bool
        Compare the first scan of each participant only, so that what is compared is independent.
        All scans take part in the calibration.

    Returns
    -------
    DataFrame
        For every segmentation that can be calibrated one row for each way of getting ``volumes``:
        ``as measured``, ``mapped``, and ``threshold`` where there are probabilities; with
        ``n`` scans, ``ccc``, ``bias``, ``sd`` and ``slope`` against the reference's volumes, and
        the mean ``dice`` of the two that are masks.
    """
    rows = []
    for name, own in labelled.pairs.groupby("segmentation", sort=False):
        reference, subjects = own["reference_ml"], own["participant_id"].tolist()
        try:
            mapped = cross_validate(own["total_ml"], reference, subjects)
        except ValueError:
            continue
        ways = {"as measured": own["total_ml"].to_numpy(), "mapped": mapped}
        overlap = {}
        curves = labelled.volumes.loc[own.index].dropna()
        if curves.index.equals(own.index):
            dice = labelled.dice.loc[own.index]
            places = choose_threshold(curves, reference, subjects, THRESHOLDS).cross_validated
            scans = np.arange(len(own))
            ways["threshold"] = curves.to_numpy()[scans, places]
            overlap = {
                "as measured": dice[_USUAL_THRESHOLD].to_numpy(),
                "threshold": dice.to_numpy()[scans, places],
            }
        compared = ~own["participant_id"].duplicated().to_numpy() | (not first_only)
        reference = reference[compared]
        for way, every in ways.items():
            volumes = every[compared]
            differences = bland_altman(reference, volumes)
            rows.append(
                {
                    "segmentation": name,
                    "volumes": way,
                    "n": len(reference),
                    "ccc": concordance(reference, volumes).estimate,
                    "bias": differences.bias.estimate,
                    "sd": differences.sd.estimate,
                    "slope": fit_line(reference, volumes).slope.estimate,
                    "dice": overlap[way][compared].mean() if way in overlap else np.nan,
                }
            )
    columns = ["segmentation", "volumes", "n", "ccc", "bias", "sd", "slope", "dice"]
    return pd.DataFrame(rows, columns=columns)


def calibrated(volumes: pd.DataFrame, calibration: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Map volumes to those that the reference would have.

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
        The columns of `CALIBRATED`, rows as those of `volumes`; NaN for segmentations that the
        calibration does not know.
    """
    result = pd.DataFrame(np.nan, index=volumes.index, columns=list(CALIBRATED))
    for row in calibration[calibration["mapping"].notna()].to_dict("records"):
        own = volumes["segmentation"] == row["segmentation"]
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
        result.loc[own] = mapping.predict(volumes.loc[own, "total_ml"], confidence).T.round(4)
    return result
