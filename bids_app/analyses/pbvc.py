"""Thalamus change against percentage brain volume change (PBVC)."""

from __future__ import annotations

import pandas as pd

from bids_app.analyses.result import (
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.analyses.study import Study
from bids_app.dataset.siena import read_siena
from bids_app.report.model_plots import interval_plot
from bids_app.statistics.correlation import correlation_difference_table, correlation_table
from bids_app.statistics.samples import numeric_column


def analyse(study: Study) -> Result:
    """Correlate the thalamus change of every method with PBVC, and compare the correlations."""
    percent = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    wide = percent.join(_pbvc(study))
    methods = [name for name in study.segmentations if name in percent]
    table = correlation_table(wide, "pbvc", methods, study.plan.confidence)
    estimates = table.assign(panel="Pearson r").rename(
        columns={"r": "estimate", "r_ci_low": "low", "r_ci_high": "high", "p_adj": "p", "p": "raw"}
    )
    caption = (
        "Pearson correlation of percentage change of thalamus volume with percentage brain volume "
        "change."
    )
    return Result(
        tables={
            "pbvc": ResultTable("Brain volume change", caption, table),
            "pbvc_tests": ResultTable(
                "Correlations with brain volume change compared",
                "Two correlations that share PBVC: Williams' t and Steiger's Z; p_adj: "
                "Benjamini-Hochberg over the pairs.",
                correlation_difference_table(wide, "pbvc", methods),
            ),
        },
        figures={
            "pbvc": ResultFigure("Brain volume change", caption, interval_plot(estimates, "r"))
        },
        methods="Thalamus change was correlated with percentage brain volume change (Pearson), and "
        "the correlations compared by Williams' t and Steiger's Z.",
        findings="Correlation with brain volume change: "
        + ", ".join(
            f"{row.method} r = {row.r:.2f} (n = {row.n})"
            for row in table[table["r"].notna()].itertuples()
        )
        + ".",
        references=("ibrahim2026", "smith2002", "williams1959", "steiger1980"),
    )


def _pbvc(study: Study) -> pd.Series:
    """PBVC of each participant's follow-up, %: by SIENA, else the clinical column of that name."""
    followup = study.followup
    if study.siena_dir is not None:
        reports = read_siena(study.siena_dir)
        # A report that names no session belongs to the only follow-up there is.
        sessions = followup.set_index("participant_id")["session_id"]
        later = reports["participant_id"].map(sessions)
        reports = reports[reports["session_id"].isna() | (reports["session_id"] == later)]
        if reports.empty:
            raise NotApplicableError(f"{study.siena_dir} has no report.siena of a follow-up")
        return reports.set_index("participant_id")["pbvc"]
    if "pbvc" not in followup:
        raise NotApplicableError(
            "brain volume change is unknown: no table has a column 'pbvc', and no SIENA results "
            "were given (-d siena=PATH)"
        )
    return numeric_column(followup, "pbvc").set_axis(followup["participant_id"]).rename("pbvc")
