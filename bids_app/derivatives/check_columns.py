"""The columns of the tables of the check stage."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

# One row per simulated pair of visits.
PAIR_COLUMNS = (
    *("participant_id", "session_id", "scan", "contrast", "noise", "true_change"),
    *("cross_sectional_change", "longitudinal_change", "longitudinal_low", "longitudinal_high"),
    *("drawn_scale", "found_scale"),
)
# One row per contrast and way to measure.
CHECK_COLUMNS = (
    *("contrast", "measurement", "checked_scans", "pairs"),
    *("loss_slope", "loss_slope_ci_low", "loss_slope_ci_high"),
    *("error_mean", "error_mean_ci_low", "error_mean_ci_high"),
    *("error_sd", "error_sd_ci_low", "error_sd_ci_high"),
    *("detectable_loss", "detectable_loss_ci_low", "detectable_loss_ci_high"),
    *("participants_per_arm", "participants_per_arm_ci_low", "participants_per_arm_ci_high"),
    *("participants_without_error", "interval_coverage", "reason"),
)

COLUMNS_OF_CHECK: Mapping[str, Column] = MappingProxyType(
    {
        "noise": Column(
            "Noise",
            "SD of the noise that was found in the scan and added to each visit, relative to the "
            "mean of the head",
            "%",
        ),
        "true_change": Column("True change", "Change of both thalami that was simulated", "%"),
        "cross_sectional_change": Column(
            "Cross-sectional", "Change between two visits that were segmented separately", "%"
        ),
        "longitudinal_change": Column(
            "Longitudinal", "Change that --longitudinal reports (total_change)", "%"
        ),
        "longitudinal_low": Column(
            "Lower 95 % limit", "Lower end of the 95 % interval that --longitudinal reports", "%"
        ),
        "longitudinal_high": Column(
            "Upper 95 % limit", "Upper end of the 95 % interval that --longitudinal reports", "%"
        ),
        "drawn_scale": Column(
            "Scale, simulated", "Change of all volumes by the simulated scale of the visits", "%"
        ),
        "found_scale": Column(
            "Scale, found", "Change of all volumes by the scale that was found between visits", "%"
        ),
        "measurement": Column(
            "Measurement",
            "cross-sectional: each visit by itself; longitudinal: both visits together, as by "
            "--longitudinal",
        ),
        "checked_scans": Column("Scans", "Scans that visits were simulated from"),
        "pairs": Column("Pairs", "Simulated pairs of visits"),
        "loss_slope": Column(
            "Slope", "Slope of the measured on the true change: 1 if losses are measured in full"
        ),
        "error_mean": Column("Bias", "Mean of measured minus true change", "%"),
        "error_sd": Column("SD of the error", "Standard deviation of measured minus true", "%"),
        "detectable_loss": Column(
            "Smallest detectable loss",
            "Change of one participant that is beyond the error of the measurement with 95 % "
            "confidence: 1.96 times error_sd",
            "%",
        ),
        "participants_per_arm": Column(
            "Participants per arm",
            "Per arm of a two-arm trial, by the assumptions in the JSON file; the interval follows "
            "from that of error_sd",
        ),
        "participants_without_error": Column(
            "Participants per arm without error", "The same if changes were measured without error"
        ),
        "interval_coverage": Column(
            "Coverage",
            "Share of pairs whose 95 % interval, as --longitudinal reports it, holds the true "
            "change",
            "%",
        ),
    }
)
