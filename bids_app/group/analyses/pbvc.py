"""Thalamus change against percentage brain volume change (PBVC)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_app.derivatives.readback import read_brain_changes
from bids_app.group.result import (
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.programs.siena import read_siena
from bids_app.report.cohort_plots import correlation_plot
from bids_app.report.model_plots import interval_plot
from bids_app.statistics.correlation import correlation_difference_table, correlation_table
from bids_app.statistics.samples import numeric_column


def analyse(study: Study) -> Result:
    """Correlate the thalamus change of every method with PBVC, and compare the correlations."""
    percent = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    pbvc, source, work = _pbvc(study)
    wide = percent.join(pbvc)
    methods = [name for name in study.segmentations if name in percent]
    table = correlation_table(wide, "pbvc", methods, study.plan.confidence)
    estimates = table.assign(panel="Pearson r").rename(
        columns={"r": "estimate", "r_ci_low": "low", "r_ci_high": "high", "p_adj": "p", "p": "raw"}
    )
    caption = (
        "Pearson correlation of percentage change of thalamus volume with percentage brain volume "
        f"change {source}."
    )
    return Result(
        tables={
            "pbvc": ResultTable(
                "Brain volume change",
                caption,
                table,
                {
                    "Interval": "Fisher's z, n - 3",
                    "Adjustment": "Benjamini-Hochberg over the methods",
                },
            ),
            "pbvc_tests": ResultTable(
                "Correlations with brain volume change compared",
                "Two correlations that share PBVC: Williams' t and Steiger's Z; p_adj: "
                "Benjamini-Hochberg over the pairs.",
                correlation_difference_table(wide, "pbvc", methods),
                {
                    "Williams": "t with n - 3 degrees of freedom (Steiger 1980, equation 7)",
                    "Steiger": "Z of Fisher's z, covariance at the mean of the two correlations "
                    "(Steiger 1980, equation 14)",
                },
            ),
        },
        figures={
            "pbvc": ResultFigure("Brain volume change", caption, interval_plot(estimates, "r")),
            "pbvc_scatter": ResultFigure(
                "Change of thalamus and brain",
                "Percentage change of thalamus volume over percentage brain volume change "
                f"{source}, with the least-squares line.",
                correlation_plot(
                    wide,
                    "pbvc",
                    {
                        row["method"]: _describe(row["r"], row["n"])
                        for row in table.to_dict("records")
                    },
                    x_label="Brain volume change (%)",
                    y_label="Change of thalamus volume (%)",
                ),
            ),
        },
        methods="Thalamus change was correlated with percentage brain volume change "
        f"{source} (Pearson), and the correlations compared by Williams' t and Steiger's Z.",
        findings="Correlation with brain volume change: "
        + ", ".join(
            f"{row.method} r = {row.r:.2f} (n = {row.n})"
            for row in table[table["r"].notna()].itertuples()
        )
        + ".",
        references=("ibrahim2026", *work, "williams1959", "steiger1980"),
    )


def _describe(r: float, n: int) -> str:
    return f"n = {n}" if np.isnan(r) else f"r = {r:.2f}, n = {n}"


def _pbvc(study: Study) -> tuple[pd.Series, str, tuple[str, ...]]:
    """PBVC of each participant's follow-up in %, where it comes from, and the work to cite.

    That of SIENA goes before the clinical column of that name, and both before the built-in one.
    """
    followup = study.followup
    if study.siena_dir is not None:
        reports = read_siena(study.siena_dir)
        # A report that names no session belongs to the only follow-up there is.
        right = pd.Series(data=True, index=reports.index)
        for column, own in (("session_id", followup), ("baseline_session_id", study.baseline)):
            sessions = own.set_index("participant_id")["session_id"]
            expected = reports["participant_id"].map(sessions)
            right &= reports[column].isna() | (reports[column] == expected)
        reports = reports[right]
        if reports.empty:
            raise NotApplicableError(
                f"{study.siena_dir} has no report.siena from the baseline to a follow-up"
            )
        return reports.set_index("participant_id")["pbvc"], "by SIENA", ("smith2002",)
    if "pbvc" in followup:
        try:
            given = numeric_column(followup, "pbvc").set_axis(followup["participant_id"])
        except ValueError as error:
            raise NotApplicableError(str(error)) from error
        return given.rename("pbvc"), "as given in the column 'pbvc'", ()
    changes = read_brain_changes(study.output_dir)
    first = study.baseline.set_index("participant_id")["session_id"]
    built_in = {
        row.participant_id: changes[key]
        for row in followup.itertuples()
        if (key := (row.participant_id, first.get(row.participant_id), row.session_id)) in changes
    }
    if not built_in:
        raise NotApplicableError(
            "brain volume change is unknown: no table has a column 'pbvc', SIENA was neither run "
            "(--siena) nor are its results given (-d siena=PATH), and no follow-up was measured "
            "with --longitudinal"
        )
    source = "by the built-in Jacobian integration (not SIENA)"
    return pd.Series(built_in, name="pbvc", dtype="float64"), source, ("nakamura2014",)
