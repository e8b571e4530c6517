"""Calibration to the reference labels, and its evaluation in participants held out."""

from __future__ import annotations

from dataclasses import replace

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_rows
from bids_app.group.mapping import evaluation_table
from bids_app.group.result import Result, ResultTable
from bids_app.group.stored_calibration import weights_label
from bids_app.group.study import Study

_SETTINGS = {
    "Mapping": "reference = intercept + slope · method for the volume of both thalami; least "
    "squares, every participant with the same weight, shared by its scans; identity (no "
    "correction), offset (slope 1), ratio (intercept 0) or, with at least five participants, "
    "line, whichever has the smallest error in participants held out",
    "PredictionInterval": "t with subjects less fitted coefficients degrees of freedom; variance "
    "residual_sd² + intercept_variance + 2 volume coefficient_covariance + volume² slope_variance",
    "Threshold": "probability threshold (left + right) for labelling a voxel as thalamus; smallest "
    "volume error",
}


def analyse(study: Study) -> Result:
    """Fit the calibration, and evaluate it in participants held out."""
    table = study.calibration.assign(weights=weights_label())
    pairs = compared_rows(study.labelled.pairs, "total_ml", study.plan.sample, ["scan"])
    evaluation = evaluation_table(replace(study.labelled, pairs=pairs))
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
                "Evaluation of the calibration by leave-one-participant-out",
                "Mapping (including its form) and threshold of each participant are fitted to all "
                "others; first scan with a reference of each participant, mL.",
                evaluation,
                {"HeldOut": "all scans of a participant together"},
            ),
        },
        methods="Volumes were calibrated to the reference by least squares; the form of the "
        "mapping was chosen, and its error estimated, by leave-one-participant-out "
        "cross-validation.",
        findings=" ".join(
            f"{row.segmentation}: leave-one-out CCC {row.ccc:.2f}, error {row.bias:+.2f} ± "
            f"{row.sd:.2f} mL ({row.n} scans)."
            for row in evaluation[evaluation["volumes"] == "mapped"].itertuples()
        ),
        problems=tuple(study.labelled.problems),
    )


ANALYSIS = Analysis("calibration", "Calibration to the reference", analyse)
