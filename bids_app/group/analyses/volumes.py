"""Volumes of the cohort, described by method and diagnosis."""

from __future__ import annotations

from bids_app.group.mapping import CALIBRATED
from bids_app.group.result import Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.report.plots import volume_stripplot

# Above this, single points can no longer be told apart, and the page would take minutes to load.
MOST_POINTS = 4000


def analyse(study: Study) -> Result:
    """Describe the volume of both thalami at the first session."""
    first = study.volumes[study.volumes["visit"] == 0].assign(method=lambda t: t["segmentation"])
    calibrated = CALIBRATED[0] in first
    measures = ["total_ml", CALIBRATED[0]] if calibrated else ["total_ml"]
    tables = {
        "volumes": ResultTable("Volumes", "", study.table, shown=False),
        "volumes_summary": ResultTable(
            "Volumes at the first session",
            "Volume of both thalami, mL; percentile bootstrap intervals.",
            study.summarise(first, measures),
            study.bootstrap,
        ),
    }
    by_diagnosis = study.by_diagnosis(first)
    if by_diagnosis is not None:
        tables["volumes_by_diagnosis"] = ResultTable(
            "Volumes by diagnosis",
            "Volume of both thalami at the first session, mL.",
            study.summarise(by_diagnosis, ["total_ml"], ["method", "diagnosis"]),
            study.bootstrap,
        )
    if len(study.scans) <= MOST_POINTS:
        strips = study.scans.assign(
            subject=study.scans["participant_id"], method=study.scans["segmentation"]
        )
        title = "Volumes of every scan"
        caption = "Volume of both thalami, every scan; lines join the scans of a participant."
        figure = volume_stripplot(strips, "total_ml")
    else:
        title = "Volumes at the first session"
        caption = "Volume of both thalami at the first session; Tukey box plots."
        figure = grouped_boxplot(first, "total_ml", "Thalamus volume (mL)")
    return Result(
        tables=tables,
        figures={"volumes": ResultFigure(title, caption, figure)},
        methods="Volumes are voxel counts times voxel volume, in mL."
        + (f" {CALIBRATED[0]} was calibrated to reference labels." if calibrated else ""),
    )
