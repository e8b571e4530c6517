"""The columns on scanners: of tables of volumes, and of what the group stage does with them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bids_app.derivatives.column import Column

# Of the scanner of an image, in this order.
SCANNER_COLUMNS = (
    *("scanner_device", "scanner_site", "scanner_field_strength", "scanner_software"),
)

COLUMNS_OF_SCANNERS: Mapping[str, Column] = MappingProxyType(
    {
        "scanner_device": Column(
            "Scanner",
            "Manufacturer and model of the scanner, and a checksum that distinguishes scanners of "
            "one model, from the JSON files of the scan",
        ),
        "scanner_site": Column("Institution", "InstitutionName in the JSON files of the scan"),
        "scanner_field_strength": Column(
            "Field strength", "MagneticFieldStrength in the JSON files of the scan", "T"
        ),
        "scanner_software": Column(
            "Scanner software", "SoftwareVersions in the JSON files of the scan"
        ),
        "kind": Column("Kind", "Whether scans on one scanner are compared, or several scanners"),
        "sessions": Column("Sessions", "Sessions with measured scans"),
        "scanners": Column("Scanners", "Scanners that contribute"),
        "deviation_sd": Column(
            "SD", "Standard deviation of scans on one scanner, or of the means of scanners", "mL"
        ),
        "absolute_median": Column("Median residual", "Median of the absolute residuals", "mL"),
        "absolute_p95": Column(
            "95th percentile", "95th percentile of the absolute residuals", "mL"
        ),
        "detectable_change": Column(
            "Smallest detectable change",
            "Difference that two measurements stay below in 95 % of pairs, 1.96 √2 deviation_sd",
            "mL",
        ),
        "detectable_percent": Column(
            "Smallest detectable change", "The same in percent of the mean volume", "%"
        ),
        "test": Column("Test", "Statistical test"),
        "total_harmonised_ml": Column(
            "Both thalami, harmonised",
            "total_ml harmonised between scanners or sites as the analysis file requests",
            "mL",
        ),
        "state": Column("State", "Volumes as measured, or harmonised"),
        "batch": Column("Batch", "Scanner or site between which volumes are compared"),
        "cv_between": Column(
            "CV between batches",
            "Coefficient of variation of the means of the batches, adjusted for the covariates",
            "%",
        ),
        "mean_measured": Column("Mean", "Mean volume as measured", "mL"),
        "sd_measured": Column("SD", "Standard deviation of the volumes as measured", "mL"),
        "mean_harmonised": Column("Mean, harmonised", "Mean of the harmonised volumes", "mL"),
        "sd_harmonised": Column(
            "SD, harmonised", "Standard deviation of the harmonised volumes", "mL"
        ),
        "batch_shift": Column("Shift", "Additive effect of the batch that was removed", "mL"),
        "batch_scale": Column(
            "Scale", "Residual SD of the batch relative to that of all, which was removed"
        ),
    }
)
