"""Volumes of the cohort, described by method and diagnosis."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.charts import chart_values
from bids_app.group.common_sample import compared_rows
from bids_app.group.mapping import CALIBRATED
from bids_app.group.repeats import repeats_table
from bids_app.group.result import Display, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.charts import Strips
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.report.plots import volume_stripplot

# More points cannot be distinguished from one another, and the page would take minutes to load.
MOST_POINTS = 4000
_LABEL = "Thalamus volume (mL)"


def analyse(study: Study) -> Result:
    """Describe the volume of both thalami at the first session."""
    first = study.volumes[study.volumes["visit"] == 0]
    first = compared_rows(first, "total_ml", study.plan.sample)
    first = first.assign(method=first["segmentation"])
    calibrated = CALIBRATED[0] in first
    measures = ["total_ml", CALIBRATED[0]] if calibrated else ["total_ml"]
    tables = {
        "volumes": ResultTable("Volumes", "", _counted(study), display=Display.FILE),
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
    repeats = repeats_table(study.ranked, study.scans)
    if len(repeats):
        tables["repeat_scans"] = ResultTable(
            "Repeat scans", _caption(study, repeats), repeats, display=Display.FOLDED
        )
    return Result(
        tables=tables,
        figures={"volumes": _figure(study, first)},
        methods="Volumes are voxel counts times voxel volume, in mL."
        + (" They were also calibrated to reference labels." if calibrated else ""),
    )


def _counted(study: Study) -> pd.DataFrame:
    """Mark the rows that count for their session among those of repeat scans."""
    key = ["scan", "segmentation"]
    table = study.harmonisation.added_to(study.table)
    rows = pd.MultiIndex.from_frame(table[key])
    counted = rows.isin(pd.MultiIndex.from_frame(study.volumes[key]))
    return table.assign(counted=np.where(counted, "yes", "no"))


def _caption(study: Study, repeats: pd.DataFrame) -> str:
    """State in how many sessions one of several scans counts, and why."""
    counts = repeats["choice"].value_counts()
    reasons = ", ".join(f"{reason} ({count})" for reason, count in counts.items())
    return (
        f"In {len(repeats)} of {len(study.ranked)} sessions several scans were measured, of which "
        f"one counts: the one that {reasons}. It is marked in group/volumes.tsv (counted)."
    )


def _figure(study: Study, first: pd.DataFrame) -> ResultFigure:
    """Draw every scan; of large cohorts, box plots of the first session."""
    if len(study.scans) > MOST_POINTS:
        return ResultFigure(
            "Volumes at the first session",
            "Volume of both thalami at the first session; Tukey box plots.",
            partial(grouped_boxplot, first[["method", "total_ml"]], "total_ml", _LABEL),
            chart=Strips(values=chart_values(first, "total_ml"), label=_LABEL),
        )
    scans = study.scans.assign(
        subject=study.scans["participant_id"], method=study.scans["segmentation"]
    )
    return ResultFigure(
        "Volumes of every scan",
        "Volume of both thalami, every scan; lines connect the scans of a participant.",
        partial(volume_stripplot, scans[["subject", "method", "total_ml"]], "total_ml"),
        chart=Strips(values=chart_values(scans, "total_ml"), label=_LABEL),
    )


ANALYSIS = Analysis("volumes", "All volumes", analyse)
