"""Thalamus change against percentage brain volume change (PBVC)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_cases
from bids_app.group.followed import ACCEPTED
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
from bids_app.statistics.samples import numeric_column, varies


@dataclass(frozen=True)
class BrainChange:
    """Percentage brain volume change.

    Attributes
    ----------
    percent : Series
        From the first session to the follow-up, by participant; named ``pbvc``.
    source : str
        Its origin, as it follows "brain volume change" in a sentence.
    references : tuple of str
        Keys of the works to cite.
    verdicts : DataFrame
        Participants by ``verdict`` and ``reason``, and whether they are ``counted``; empty where
        the source gives no verdicts.
    """

    percent: pd.Series
    source: str
    references: tuple[str, ...] = ()
    verdicts: pd.DataFrame = field(default_factory=pd.DataFrame)


def analyse(study: Study) -> Result:
    """Correlate the thalamus change of every method with PBVC, and compare the correlations."""
    percent = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    percent = compared_cases(percent, study.segmentations, study.plan.sample)
    brain = _brain_change(study)
    wide, annual = _per_year(percent.join(brain.percent), study.followup)
    rate = "annual percentage" if annual else "percentage"
    methods = [name for name in study.segmentations if name in percent]
    table = correlation_table(wide, "pbvc", methods, study.plan.confidence)
    caption = (
        f"Pearson correlation of {rate} change of thalamus volume with {rate} brain volume change "
        f"{brain.source}."
    )
    estimated = table[table["r"].notna()]
    return Result(
        tables={
            **_verdicts(brain),
            "pbvc": ResultTable(
                "Brain volume change",
                caption,
                table,
                {
                    "Change": "divided by the interval in years, since intervals differ"
                    if annual
                    else "from the first session to the follow-up",
                    "Interval": "Fisher's z, n - 3",
                    "Adjustment": "Benjamini-Hochberg over the methods",
                },
            ),
            "pbvc_tests": ResultTable(
                "Correlations with brain volume change compared",
                "Two correlations that share PBVC: Williams' t and Steiger's Z; adjusted p: "
                "Benjamini-Hochberg over the pairs.",
                correlation_difference_table(wide, "pbvc", methods),
                {
                    "Williams": "t with n - 3 degrees of freedom (Steiger 1980, equation 7)",
                    "Steiger": "Z of Fisher's z, covariance at the mean of the two correlations "
                    "(Steiger 1980, equation 14)",
                },
            ),
        },
        figures=_figures(wide, table, caption, "%/year" if annual else "%"),
        methods=f"Thalamus change was correlated with {rate} brain volume change {brain.source} "
        "(Pearson), and the correlations compared by Williams' t and Steiger's Z.",
        findings="Correlation with brain volume change: "
        + ", ".join(f"{row.method} r = {row.r:.2f} (n = {row.n})" for row in estimated.itertuples())
        + ".",
        references=("ibrahim2026", *brain.references, "williams1959", "steiger1980"),
        of_change=True,
        reason="" if len(estimated) else str(table["reason"].iloc[0]),
    )


def _figures(
    changes: pd.DataFrame, correlations: pd.DataFrame, caption: str, unit: str
) -> dict[str, ResultFigure]:
    """Draw the correlations with their intervals, and the changes over one another."""
    estimates = correlations.assign(panel="Pearson r").rename(
        columns={"r": "estimate", "r_ci_low": "low", "r_ci_high": "high", "p_adj": "p", "p": "raw"}
    )
    texts = {
        row["method"]: _describe(row["r"], row["n"]) for row in correlations.to_dict("records")
    }
    scatter = correlation_plot(
        changes,
        "pbvc",
        texts,
        x_label=f"Brain volume change ({unit})",
        y_label=f"Change of thalamus volume ({unit})",
    )
    return {
        "pbvc": ResultFigure("Brain volume change", caption, interval_plot(estimates, "r")),
        "pbvc_scatter": ResultFigure(
            "Change of thalamus and brain",
            f"{caption} With the least-squares line.",
            scatter,
        ),
    }


def _per_year(changes: pd.DataFrame, followup: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Divide changes by their time where it varies: both grow with it, and would go together.

    Parameters
    ----------
    changes : DataFrame
        Percentage changes, one row per participant.
    followup : DataFrame
        ``participant_id`` and ``interval``, years.

    Returns
    -------
    changes : DataFrame
        Per year, missing where the interval is unknown; as they are if all known intervals agree.
    annual : bool
        Whether they are per year.
    """
    interval = followup.set_index("participant_id")["interval"].reindex(changes.index)
    if not varies(interval):
        return changes, False
    return changes.div(interval, axis="index"), True


def _describe(r: float, n: int) -> str:
    return f"n = {n}" if np.isnan(r) else f"r = {r:.2f}, n = {n}"


def _brain_change(study: Study) -> BrainChange:
    """Take PBVC from SIENA, else from the clinical column, else from the built-in method.

    Raises
    ------
    NotApplicableError
        If none of them gives a value from the first session to the follow-up.
    """
    if study.siena_dir is not None:
        return BrainChange(_by_siena(study, study.siena_dir), "by SIENA", ("smith2002",))
    if "pbvc" in study.followup:
        return BrainChange(_from_column(study.followup), "as given in the column 'pbvc'")
    return _built_in(study)


def _by_siena(study: Study, folder: Path) -> pd.Series:
    reports = read_siena(folder)
    # A report that names no session belongs to the participant's only follow-up.
    matching = pd.Series(data=True, index=reports.index)
    sessions_of = {"session_id": study.followup, "baseline_session_id": study.baseline}
    for column, rows in sessions_of.items():
        sessions = rows.set_index("participant_id")["session_id"]
        expected = reports["participant_id"].map(sessions)
        matching &= reports[column].isna() | (reports[column] == expected)
    reports = reports[matching]
    if reports.empty:
        raise NotApplicableError(f"{folder} has no report.siena from the baseline to a follow-up")
    return reports.set_index("participant_id")["pbvc"]


def _from_column(followup: pd.DataFrame) -> pd.Series:
    try:
        values = numeric_column(followup, "pbvc").set_axis(followup["participant_id"])
    except ValueError as error:
        raise NotApplicableError(str(error)) from error
    return values.rename("pbvc")


def _built_in(study: Study) -> BrainChange:
    changes, _ = study.brain_changes
    ids = ["participant_id", "session_id"]
    pairs = study.baseline[ids].merge(study.followup[ids], on="participant_id")
    rows = [
        (subject, change.percent, change.verdict, change.reason)
        for subject, first, later in pairs.astype("str").to_numpy().tolist()
        if (change := changes.get((subject, first, later)))
    ]
    if not rows:
        raise NotApplicableError(
            "brain volume change is unknown: no table has a column 'pbvc', SIENA was neither run "
            "(--siena) nor are its results given (-d siena=PATH), and no follow-up was measured "
            "with --longitudinal"
        )
    table = pd.DataFrame(rows, columns=["participant_id", "pbvc", "verdict", "reason"])
    table["reason"] = table["reason"].where(table["reason"] != "n/a")
    counted = table["verdict"].isin(ACCEPTED[study.plan.verdict])
    table["counted"] = counted.map({True: "yes", False: "no"})
    keys = ["verdict", "reason", "counted"]
    verdicts = table.groupby(keys, sort=False, dropna=False).size().reset_index(name="participants")
    if not counted.any():
        raise NotApplicableError(
            f"no brain volume change of {len(table)} has a verdict that is analysed (verdict = "
            f"'{study.plan.verdict}'); the first is {table['verdict'][0]}: {table['reason'][0]}"
        )
    source = "by the built-in Jacobian integration (not SIENA)"
    percent = table[counted].set_index("participant_id")["pbvc"]
    return BrainChange(percent, source, ("nakamura2014",), verdicts)


def _verdicts(brain: BrainChange) -> dict[str, ResultTable]:
    """Count the brain volume changes by verdict and reason; nothing if none was excluded."""
    table = brain.verdicts
    if table.empty or (table["counted"] == "yes").all():
        return {}
    excluded = int(table.loc[table["counted"] == "no", "participants"].sum())
    caption = f"{excluded} of {int(table['participants'].sum())} were excluded by their verdict."
    return {"pbvc_verdicts": ResultTable("Brain volume change by verdict", caption, table)}


ANALYSIS = Analysis("pbvc", "Brain volume change", analyse)
