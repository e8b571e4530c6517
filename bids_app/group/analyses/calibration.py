"""Calibration to the reference labels: what is fitted, and how well it serves other subjects."""

from __future__ import annotations

from bids_app.group.mapping import evaluation_table
from bids_app.group.result import Result, ResultTable
from bids_app.group.study import Study
from bids_app.segmentation import thalnet


def weights_label() -> str:
    """The network's weights in short: a calibration holds for no others."""
    return "-".join(checksum[:8] for checksum in thalnet.weights_checksums().values())


_SETTINGS = {
    "Mapping": "reference = intercept + slope · method for the volume of both thalami; least "
    "squares, every participant with the same weight, which its scans share; identity (nothing "
    "to correct), offset (slope 1), ratio (intercept 0) or, with five participants or more, "
    "line, whichever errs least on participants left out",
    "PredictionInterval": "t with subjects less fitted coefficients degrees of freedom; variance "
    "residual_sd² + intercept_variance + 2 volume coefficient_covariance + volume² slope_variance",
    "Threshold": "probability of both thalami from which on a voxel counts as inside; least "
    "volume error",
}


def analyse(study: Study) -> Result:
    """Fit the calibration, and judge it on participants that it has not seen."""
    table = study.calibration.assign(weights=weights_label())
    evaluation = evaluation_table(study.labelled)
    return Result(
        tables={
            "calibration": ResultTable(
                "Calibration to the reference",
                "Volume of both thalami: reference = intercept + slope · method. To apply it to "
                "other results: --calibration group/calibration.tsv.",
                table,
                _SETTINGS,
            ),
            "calibration_evaluation": ResultTable(
                "Calibration judged on participants left out",
                "Mapping (its kind included) and threshold of each participant come from all "
                "others; first scan with a reference of each participant, mL.",
                evaluation,
                {"Unseen": "all scans of the participant are left out together"},
            ),
        },
        methods="Volumes were calibrated to the reference by least squares; the form of the "
        "mapping was chosen, and its error estimated, by leaving out one participant at a time.",
        findings=" ".join(
            f"{row.segmentation}: leave-one-out CCC {row.ccc:.2f}, error {row.bias:+.2f} ± "
            f"{row.sd:.2f} mL ({row.n} scans)."
            for row in evaluation[evaluation["volumes"] == "mapped"].itertuples()
        ),
        problems=tuple(study.labelled.problems),
    )
