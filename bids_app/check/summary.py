"""Summary of the measured pairs of visits: what a protocol can detect."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan

import numpy as np
import pandas as pd

from bids_app.derivatives.check_columns import CHECK_COLUMNS
from bids_app.statistics.agreement import LIMIT_FACTOR, bland_altman, fit_line
from bids_app.statistics.change import sample_size
from bids_app.statistics.samples import MINIMUM_PAIRS, Interval

# Annual loss of thalamic volume in multiple sclerosis (%), Azevedo et al. 2018, and its SD between
# patients, which is assumed to be as large.
ANNUAL_LOSS, ANNUAL_SD = 0.7, 0.7
# Of the trial: years between its scans, and the share of the loss that the treatment prevents.
YEARS, SLOWING, POWER, ALPHA = 2.0, 0.3, 0.8, 0.05

CROSS_SECTIONAL, LONGITUDINAL = "cross-sectional", "longitudinal"
COLUMNS_OF_MEASUREMENTS = {
    LONGITUDINAL: "longitudinal_change",
    CROSS_SECTIONAL: "cross_sectional_change",
}


def summarise(pairs: pd.DataFrame) -> pd.DataFrame:
    """Summarise slope, error and what they mean, for each contrast and way to measure.

    Parameters
    ----------
    pairs : DataFrame
        One row per pair of visits, with the columns ``PAIR_COLUMNS``.

    Returns
    -------
    DataFrame
        With the columns ``CHECK_COLUMNS``.
    """
    rows = [
        _row(contrast, measurement, of_contrast)
        for contrast, of_contrast in pairs.groupby("contrast", sort=False)
        for measurement in COLUMNS_OF_MEASUREMENTS
    ]
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


def _row(contrast: object, measurement: str, pairs: pd.DataFrame) -> dict[str, object]:
    row: dict[str, object] = {
        "contrast": contrast,
        "measurement": measurement,
        "checked_scans": pairs["scan"].nunique(),
        "pairs": len(pairs),
        "reason": "",
    }
    if len(pairs) < MINIMUM_PAIRS:
        return row | {"reason": f"fewer than {MINIMUM_PAIRS} pairs of visits could be measured"}
    true, measured = pairs["true_change"], pairs[COLUMNS_OF_MEASUREMENTS[measurement]]
    slope = fit_line(true, measured).slope
    error = bland_altman(true, measured)
    sd = error.sd
    detectable = Interval(*(LIMIT_FACTOR * each for each in (sd.estimate, sd.low, sd.high)))
    row |= slope.columns("loss_slope")
    row |= error.bias.columns("error_mean")
    row |= sd.columns("error_sd")
    row |= detectable.columns("detectable_loss")
    sizes = (participants_per_arm(each, slope.estimate) for each in (sd.estimate, sd.low, sd.high))
    row |= Interval(*sizes).columns("participants_per_arm")
    row["participants_without_error"] = participants_per_arm(0.0, 1.0)
    row["interval_coverage"] = nan
    if measurement == LONGITUDINAL:
        covered = true.between(pairs["longitudinal_low"], pairs["longitudinal_high"])
        row["interval_coverage"] = 100 * covered.mean()
    return row


def participants_per_arm(error_sd: float, slope: float) -> float:
    """Compute the participants per arm of a trial in which change is measured with an error.

    The variance of the annual change is that between patients and that of the measurement, which
    is divided by the square of the years between the scans; a slope below 1 shrinks what is
    measured, not its error.

    Parameters
    ----------
    error_sd : float
        SD of a measured change in percent.
    slope : float
        Slope of the measured on the true change.

    Returns
    -------
    float
        Rounded up; infinite if losses are not measured at all.

    Examples
    --------
    >>> participants_per_arm(0.0, 1.0), participants_per_arm(1.4, 1.0)
    (175.0, 349.0)
    """
    if slope <= 0:
        return float("inf")
    spread = np.hypot(ANNUAL_SD, error_sd / slope / YEARS)
    return float(np.ceil(sample_size(-ANNUAL_LOSS / spread, SLOWING, POWER, ALPHA)))


def answers(summary: pd.DataFrame) -> Iterator[str]:
    """State in plain words what each contrast can detect, with longitudinal measurement."""
    for row in summary[summary["reason"] == ""].to_dict("records"):
        if row["measurement"] != LONGITUDINAL:
            continue
        yield (
            f"{row['contrast']}: in one participant, a thalamic loss of "
            f"{row['detectable_loss']:.1f} % or more between two visits can be distinguished "
            "from the error of the measurement (95 % confidence; interval of this estimate "
            f"{row['detectable_loss_ci_low']:.1f} to {row['detectable_loss_ci_high']:.1f} %). "
            f"Of known losses, {100 * row['loss_slope']:.0f} % is measured (95 % interval "
            f"{100 * row['loss_slope_ci_low']:.0f} to {100 * row['loss_slope_ci_high']:.0f} %). "
            f"A trial of {YEARS:g} years needs about {row['participants_per_arm']:.0f} "
            f"participants per arm to show that a treatment prevents {100 * SLOWING:g} % of the "
            f"loss; {row['participants_without_error']:.0f} if changes were measured without "
            "error."
        )
