"""Thalamus change against percentage brain volume change (PBVC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.derivatives.verdicts import entries
from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_cases
from bids_app.group.followed import ACCEPTED, count_verdicts
from bids_app.group.result import (
    NotApplicableError,
    Result,
    ResultFigure,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.programs.siena import read_siena
from bids_app.report.charts import Intervals, Line, Scatters
from bids_app.report.cohort_plots import correlation_plot
from bids_app.report.model_plots import interval_plot
from bids_app.statistics.agreement import fit_line
from bids_app.statistics.correlation import correlation_difference_table, correlation_table
from bids_app.statistics.samples import MINIMUM_PAIRS, numeric_column, varies


@dataclass(frozen=True)
class Source:
    """Where percentage brain volume change is taken from.

    Attributes
    ----------
    changes : DataFrame
        From the first session to the follow-up: ``participant_id``, ``pbvc``, and ``verdict`` and
        ``reason`` (missing without).
    text : str
        Its origin, as it follows "brain volume change" in a sentence.
    references : tuple of str
        Keys of the works to cite.
    """

    changes: pd.DataFrame
    text: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class BrainChange:
    """Percentage brain volume change that is analysed.

    Attributes
    ----------
    percent : Series
        From the first session to the follow-up, by participant; named ``pbvc``.
    source : Source
    excluded : int
        Participants whose verdict the plan does not accept.
    """

    percent: pd.Series
    source: Source
    excluded: int

    @property
    def caption(self) -> str:
        """Sentence on those that are excluded; empty if none is."""
        if not self.excluded:
            return ""
        return (
            f"{self.excluded} of {len(self.source.changes)} brain volume changes were excluded by "
            "the verdict on their images."
        )


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
        f"{brain.source.text}."
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
                "Two correlations that share PBVC: their difference with its interval, Williams' "
                "t, Steiger's Z and the Z of Meng, Rosenthal and Rubin; adjusted p: "
                "Benjamini-Hochberg over the pairs.",
                correlation_difference_table(wide, "pbvc", methods, study.plan.confidence),
                {
                    "Williams": "t with n - 3 degrees of freedom (Steiger 1980, equation 7)",
                    "Steiger": "Z of Fisher's z, covariance at the mean of the two correlations "
                    "(Steiger 1980, equation 14)",
                    "Meng": "Z of Fisher's z (Meng et al. 1992, equation 1)",
                    "Interval": "of the difference, from the intervals of both correlations (Zou "
                    "2007)",
                },
            ),
        },
        figures=_figures(wide, table, caption, "%/year" if annual else "%"),
        methods=f"Thalamus change was correlated with {rate} brain volume change "
        f"{brain.source.text} (Pearson), and the correlations compared by Williams' t and "
        f"Steiger's Z. {brain.caption}".rstrip(),
        findings="Correlation with brain volume change: "
        + ", ".join(f"{row.method} r = {row.r:.2f} (n = {row.n})" for row in estimated.itertuples())
        + ".",
        references=(
            "ibrahim2026",
            *brain.source.references,
            "williams1959",
            "steiger1980",
            "meng1992",
            "zou2007",
        ),
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
    scatter = partial(
        correlation_plot,
        changes,
        "pbvc",
        texts,
        x_label=f"Brain volume change ({unit})",
        y_label=f"Change of thalamus volume ({unit})",
    )
    return {
        "pbvc": ResultFigure(
            "Brain volume change",
            caption,
            partial(interval_plot, estimates, "r"),
            Intervals(estimates=estimates, label="r"),
        ),
        "pbvc_scatter": ResultFigure(
            "Change of thalamus and brain",
            f"{caption} With the least-squares line.",
            scatter,
            _chart(changes, texts, unit),
        ),
    }


def _chart(changes: pd.DataFrame, texts: Mapping[str, str], unit: str) -> Scatters:
    """Draw the change of the thalamus over that of the brain, by method, with its line."""
    long = changes.rename_axis("subject").reset_index()
    long["subject"] = long["subject"].str.removeprefix("sub-")
    points = long.melt(["subject", "pbvc"], list(texts), "method", "y").rename(
        columns={"pbvc": "x"}
    )
    complete = points.dropna(subset=["x", "y"])
    fits = {
        str(name): fit_line(rows["x"], rows["y"])
        for name, rows in complete.groupby("method")
        if len(rows) >= MINIMUM_PAIRS and varies(rows["x"])
    }
    return Scatters(
        points=points,
        x_label=f"brain volume change ({unit})",
        y_label=f"change of thalamus volume ({unit})",
        lines={
            name: (Line(fit.intercept.estimate, fit.slope.estimate),) for name, fit in fits.items()
        },
        notes=texts,
        zero=True,
    )


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
    """Take the changes that the plan accepts from the first source that there is.

    Raises
    ------
    NotApplicableError
        If no source gives a value from the first session to the follow-up, or none is accepted.
    """
    source = _source(study)
    table = source.changes
    accepted = ACCEPTED[study.plan.verdict]
    counted = table["verdict"].isna() | table["verdict"].isin(accepted)
    if not counted.any():
        raise NotApplicableError(
            f"no brain volume change of {len(table)} has a verdict that is analysed (verdict = "
            f"'{study.plan.verdict}' in the analysis file; 'check' and 'all' take more); the first "
            f"is {table['verdict'].iloc[0]}: {table['reason'].iloc[0]}"
        )
    judged = table.assign(counted=counted.map({True: "yes", False: "no"}))
    percent = judged[counted].set_index("participant_id")["pbvc"]
    return BrainChange(percent, replace(source, changes=judged), int((~counted).sum()))


def _source(study: Study) -> Source:
    """Take PBVC from SIENA, else from the clinical column, else from the built-in method.

    The verdict on two images holds for every program that compares them. SIENA's own is on the
    very images that it compared; where it has none, and of the column, it is that of
    ``--longitudinal``.
    """
    built_in = _built_in(study)
    verdicts = built_in.set_index("participant_id")[["verdict", "reason"]]
    if study.siena_dir is not None:
        reports = _by_siena(study, study.siena_dir)
        return Source(_with_verdicts(reports, verdicts), "by SIENA", ("smith2002",))
    if "pbvc" in study.followup:
        column = _with_verdicts(_from_column(study.followup), verdicts)
        return Source(column, "as given in the column 'pbvc'")
    if built_in.empty:
        raise NotApplicableError(
            "brain volume change is unknown: no table has a column 'pbvc', SIENA was neither run "
            "(--siena) nor are its results given (-d siena=PATH), and no follow-up was measured "
            "with --longitudinal"
        )
    text = "by the built-in Jacobian integration (not SIENA)"
    return Source(built_in, text, ("nakamura2014",))


def _with_verdicts(changes: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Add the verdicts, by participant, of changes that have none; without value there is none."""
    table = changes.dropna(subset="pbvc").set_index("participant_id")
    return table.reindex(columns=["pbvc", "verdict", "reason"]).fillna(verdicts).reset_index()


def _by_siena(study: Study, folder: Path) -> pd.DataFrame:
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
    return reports


def _from_column(followup: pd.DataFrame) -> pd.DataFrame:
    try:
        return followup[["participant_id"]].assign(pbvc=numeric_column(followup, "pbvc"))
    except ValueError as error:
        raise NotApplicableError(str(error)) from error


def _built_in(study: Study) -> pd.DataFrame:
    """Select the changes measured with ``--longitudinal``, as `Source` has them."""
    changes, _ = study.brain_changes
    ids = ["participant_id", "session_id"]
    pairs = study.baseline[ids].merge(study.followup[ids], on="participant_id")
    rows = [
        (subject, change.percent, change.verdict, entries(change.reasons)["reason"])
        for subject, first, later in pairs.fillna("n/a").astype("str").to_numpy().tolist()
        if (change := changes.get((subject, first, later)))
    ]
    table = pd.DataFrame(rows, columns=["participant_id", "pbvc", "verdict", "reason"])
    return table.assign(reason=table["reason"].where(table["reason"] != "n/a"))


def _verdicts(brain: BrainChange) -> dict[str, ResultTable]:
    """Count the brain volume changes by verdict and reason; nothing if none was excluded."""
    if not brain.excluded:
        return {}
    table = count_verdicts(brain.source.changes.dropna(subset="verdict"))
    return {"pbvc_verdicts": ResultTable("Brain volume change by verdict", brain.caption, table)}


ANALYSIS = Analysis("pbvc", "Brain volume change", analyse)
