"""What a cohort shows, in sentences with their numbers, each by a declared rule.

A rule states what a table of results holds, for any cohort, and nothing where the table holds
nothing to state. No rule interprets: words such as "highest" and "associated" follow from numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_app.derivatives.clinical_labels import clinical_label
from bids_app.group.cohort_results import CohortResults
from bids_app.group.models import file_name
from bids_app.group.tissue_values import FIELD
from bids_app.qmri.transmit_field import EXCESS_OF_ESTIMATED
from bids_app.wording import counted

SIGNIFICANT = 0.05
MOST = 10


@dataclass(frozen=True)
class Finding:
    """A sentence, and the name of the analysis on which it is based."""

    analysis: str
    text: str


@dataclass(frozen=True)
class Rule:
    """How one sentence follows from a table.

    Attributes
    ----------
    analysis, table : str
        Where the numbers are; without a table, the rule finds them itself.
    state : callable
        Takes the table and the report; returns the sentence, empty if there is nothing to state.
    """

    analysis: str
    table: str
    state: Callable[[pd.DataFrame, CohortResults], str]


def findings(report: CohortResults) -> list[Finding]:
    """State what the completed analyses show, in the order of the page.

    Parameters
    ----------
    report : CohortResults

    Returns
    -------
    list of Finding
        At most `MOST`; none for an analysis that was not possible.
    """
    stated = []
    for rule in _RULES:
        result = report.results.get(rule.analysis)
        if result is None or result.reason:
            continue
        table = result.tables[rule.table].data if rule.table in result.tables else pd.DataFrame()
        if rule.table and table.empty:
            continue
        text = rule.state(table, report)
        if text:
            stated.append(Finding(rule.analysis, text))
    return stated[:MOST]


def _ends(rows: pd.DataFrame, column: str, name: str, write: Callable[[float], str]) -> str:
    """Write the range of a quantity over methods: one value, or the lowest and the highest."""
    if len(rows) == 1:
        return f"is {write(rows[column].iloc[0])} ({rows[name].iloc[0]})"
    ordered = rows.sort_values(column, kind="stable")
    low, high = (
        f"{write(row[column])} ({row[name]})" for row in (ordered.iloc[0], ordered.iloc[-1])
    )
    return f"ranges from {low} to {high}"


def _best(rows: pd.DataFrame, column: str) -> pd.Series:
    return _first(rows, column, highest=True)


def _first(rows: pd.DataFrame, column: str, *, highest: bool = False) -> pd.Series:
    """Return the row with the lowest or the highest value, the first of equal ones."""
    return rows.sort_values(column, ascending=not highest, kind="stable").iloc[0]


def _interval(row: pd.Series, column: str, digits: int) -> str:
    low, high = row[f"{column}_ci_low"], row[f"{column}_ci_high"]
    if not np.isfinite([low, high]).all():
        return ""
    return f" [{low:.{digits}f}, {high:.{digits}f}]"


def _signed(unit: str, digits: int = 2) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f} {unit}"


def _participants(_: pd.DataFrame, report: CohortResults) -> str:
    study = report.study
    measured = study.volumes["participant_id"].nunique()
    sessions = len(study.sessions)
    kinds = len(study.segmentations)
    text = (
        f"{measured} of {study.cohort.participants} participants have thalamus volumes "
        f"({sessions} session{'s' * (sessions != 1)}, {kinds} segmentation{'s' * (kinds != 1)})"
    )
    followed = len(study.followup)
    if not followed:
        return f"{text}; none has a follow-up."
    years = study.followup["interval"].median()
    after = f" after a median of {years:.1f} years" if np.isfinite(years) else ""
    return f"{text}; {followed} have a follow-up{after}."


def _volumes(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[(table["measure"] == "total_ml") & table["median"].notna()]
    if rows.empty:
        return ""
    between = " between segmentations" if len(rows) > 1 else ""
    return (
        "The median volume of both thalami at the first session "
        f"{_ends(rows, 'median', 'method', _signed('mL'))}{between} (n = {_counts(rows)})."
    )


def _counts(rows: pd.DataFrame) -> str:
    low, high = int(rows["n"].min()), int(rows["n"].max())
    return f"{low}" if low == high else f"{low} to {high}"


def _overlap(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[
        (table["side"] == "bilateral") & (table["measure"] == "dice") & table["median"].notna()
    ]
    if rows.empty:
        return ""
    best = _best(rows, "median")
    text = (
        f"Overlap with the reference: the median Dice coefficient of {best['method']} is "
        f"{best['median']:.3f} (quartiles {best['q1']:.3f} to {best['q3']:.3f}, "
        f"n = {int(best['n'])})"
    )
    if len(rows) > 1:
        last = _first(rows, "median")
        text += f", the highest; the lowest is {last['median']:.3f} ({last['method']})"
    return f"{text}."


def _agreement(table: pd.DataFrame, report: CohortResults) -> str:
    rows = table[table["ccc"].notna()]
    if rows.empty:
        return ""
    best = _best(rows, "ccc")
    highest = "highest " if len(rows) > 1 else ""
    text = (
        f"Agreement of volumes with the reference: the {highest}concordance is {best['ccc']:.2f}"
        f"{_interval(best, 'ccc', 2)} ({best['method']}, n = {int(best['n'])}); the bias "
        f"{_ends(rows, 'bias', 'method', _signed('mL'))}"
    )
    overlap = report.results["overlap"].tables.get("overlap_summary") if len(rows) > 1 else None
    if overlap is not None:
        dice = overlap.data[
            (overlap.data["side"] == "bilateral") & (overlap.data["measure"] == "dice")
        ]
        name = _best(dice, "median")["method"] if dice["median"].notna().any() else best["method"]
        if name != best["method"]:
            text += f"; the highest Dice coefficient is that of another one ({name})"
    return f"{text}."


def _models(kind: str) -> Callable[[pd.DataFrame, CohortResults], str]:
    """Return the rule for the first set of models of a type that is of all participants."""

    def state(_: pd.DataFrame, report: CohortResults) -> str:
        sets = (each for each in report.study.plan.model if each.type == kind and each.main)
        name = next((file_name(each.name) for each in sets), "")
        table = report.results["clinical"].tables.get(name)
        if table is None:
            return ""
        fitted = table.data[table.data["p_adj"].notna()]
        if fitted.empty:
            return ""
        heading = _HEADINGS[kind]
        significant = fitted[fitted["p_adj"] < SIGNIFICANT]
        if significant.empty:
            outcomes = fitted["outcome"].nunique()
            return (
                f"{heading} was associated with none of {outcomes} outcomes in "
                f"{len(fitted)} models (adjusted p ≥ {SIGNIFICANT:g})."
            )
        totals = fitted.groupby("outcome", sort=False).size()
        counts = significant.groupby("outcome", sort=False).size()
        listed = ", ".join(
            f"{clinical_label(outcome)} ({counts[outcome]} of {totals[outcome]} segmentations)"
            for outcome in totals.index
            if outcome in counts
        )
        first = _first(significant, "p")
        return (
            f"{heading} was associated with {listed} at an adjusted p below {SIGNIFICANT:g}; "
            f"the smallest p is that of {clinical_label(first['outcome'])} and "
            f"{first['segmentation']} "
            f"(β = {first['beta']:.2g} per mL [{first['ci_low']:.2g}, "
            f"{first['ci_high']:.2g}], n = {int(first['n'])})."
        )

    return state


_HEADINGS = {
    "cross-sectional": "Thalamus volume at the first session",
    "longitudinal": "Change of thalamus volume",
}


def _change(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[(table["measure"] == "percent") & table["mean"].notna()]
    if rows.empty:
        return ""
    apart = (rows["mean_ci_low"] > 0) | (rows["mean_ci_high"] < 0)
    return (
        "The mean change of volume to the follow-up "
        f"{_ends(rows, 'mean', 'method', _signed('%'))}; its interval excludes 0 for "
        f"{int(apart.sum())} of {len(rows)} segmentations (n = {_counts(rows)})."
    )


def _brain(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[table["r"].notna() & table["p_adj"].notna()]
    if rows.empty:
        return ""
    best = _best(rows.assign(size=rows["r"].abs()), "size")
    count = int((rows["p_adj"] < SIGNIFICANT).sum())
    return (
        f"Changes of thalamus and brain were correlated for {count or 'none'} of {len(rows)} "
        f"segmentation{'s' * (len(rows) != 1)} (adjusted p below {SIGNIFICANT:g}); the largest "
        f"correlation is r = {best['r']:.2f}"
        f"{_interval(best, 'r', 2)} ({best['method']}, n = {int(best['n'])})."
    )


def _sample_size(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[(table["diagnosis"] == "all") & np.isfinite(table["sample_size"])]
    if rows.empty:
        return ""
    best = _first(rows, "sample_size")
    return (
        f"A trial to detect a {100 * best['slowing']:g} % slowing of atrophy with "
        f"{100 * best['power']:g} % power would need {best['sample_size']:.0f} participants per "
        f"arm{_interval(best, 'sample_size', 0)} with {best['method']}"
        + (f", the lowest number of {len(rows)} segmentations." if len(rows) > 1 else ".")
    )


def _reliability(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[table["within_sd"].notna()]
    if rows.empty:
        return ""
    name = "method" if "method" in rows else "segmentation"
    return (
        "The standard deviation of repeat scans of a participant "
        f"{_ends(rows, 'within_sd', name, _signed('mL', 3))}."
    )


def _stratification(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[table["auc"].notna()]
    if rows.empty:
        return ""
    best = _best(rows, "auc")
    return (
        f"{clinical_label(best['outcome'])} ≥ {best['threshold']:g} is recognised with an AUC of "
        f"{best['auc']:.2f}"
        f"{_interval(best, 'auc', 2)} ({best['segmentation']}), and of "
        f"{best['auc_covariates']:.2f} by the covariates alone (n = {int(best['n'])})."
    )


def _normative(table: pd.DataFrame, _: CohortResults) -> str:
    rows = table[table["share_reduced"].notna()].assign(
        percent=lambda each: 100 * each["share_reduced"]
    )
    if rows.empty:
        return ""
    return (
        "The share of participants with a volume below the normative range "
        f"{_ends(rows, 'percent', 'segmentation', _signed('%', 1))} (n = "
        f"{int(rows['assessed'].max())})."
    )


_RULES = (
    Rule("flow", "flow", _participants),
    Rule("volumes", "volumes_summary", _volumes),
    Rule("overlap", "overlap_summary", _overlap),
    Rule("agreement", "agreement", _agreement),
    Rule("clinical", "", _models("cross-sectional")),
    Rule("change", "change_summary", _change),
    Rule("clinical", "", _models("longitudinal")),
    Rule("pbvc", "pbvc", _brain),
    Rule("sample_size", "sample_size", _sample_size),
    Rule("reliability", "measurement_error", _reliability),
    Rule("stratification", "stratification", _stratification),
    Rule("normative", "normative_summary", _normative),
)


def limits(report: CohortResults) -> list[str]:
    """State what limits the results, from the data.

    Parameters
    ----------
    report : CohortResults

    Returns
    -------
    list of str
        Sentences, none for what does not limit.
    """
    return [text for rule in _LIMITS for text in rule(report) if text]


def _of_sessions(report: CohortResults) -> Iterator[str]:
    ended = [each.status for each in report.records if not each.visits]
    lost = sum(status in ("failed", "skipped") for status in ended)
    if lost:
        yield f"{lost} of {len(ended)} sessions were not measured; the reasons are below."
    rows = report.study.volumes
    flagged = int((rows["qc"] == "check").sum())
    if flagged:
        yield (
            f"{flagged} of {len(rows)} segmentations ({100 * flagged / len(rows):.0f} %) are "
            "flagged for review and are part of the analyses."
        )


def _of_samples(report: CohortResults) -> Iterator[str]:
    study = report.study
    measured = study.volumes["participant_id"].nunique()
    if measured < _FEW:
        were = "was" if measured == 1 else "were"
        yield f"Only {counted(measured, 'participant')} {were} measured: intervals are wide."
    followed = len(study.followup)
    if followed and followed < measured:
        yield f"{measured - followed} of {measured} participants have no follow-up."
    counts = study.volumes[study.volumes["visit"] == 0].groupby("segmentation")["total_ml"].count()
    if study.plan.sample != "common" and counts.nunique() > 1:
        yield (
            f"Segmentations were measured in different numbers of participants ({counts.min()} to "
            f'{counts.max()}); sample = "common" in the analysis file compares the same ones.'
        )


def _of_reference(report: CohortResults) -> Iterator[str]:
    overlap = report.results.get("overlap")
    if overlap is None:
        return
    if overlap.reason:
        yield "There are no reference labels: the accuracy of the segmentations is unknown."
        return
    table = overlap.tables["overlap_summary"].data
    count = int(table["n"].max())
    yield f"Overlap and agreement with the reference are based on {counted(count, 'participant')}."


def _of_scanners(report: CohortResults) -> Iterator[str]:
    volumes = report.study.volumes
    devices = volumes["scanner_device"].replace("n/a", None).dropna().nunique()
    if devices == 0:
        yield "The scanner is unknown: differences between scanners cannot be assessed."
    elif devices > 1 and report.study.plan.harmonisation.method == "none":
        yield f"The scans are from {devices} scanners, and volumes were not harmonised."


def _of_contrast_agent(report: CohortResults) -> Iterator[str]:
    yield report.agent_note


def _of_transmit_field(report: CohortResults) -> Iterator[str]:
    table = report.study.table
    if FIELD not in table:
        return
    kinds = table.drop_duplicates("scan")[FIELD].value_counts()
    estimated = int(kinds.get("estimated", 0))
    others = int(kinds.sum()) - estimated
    if estimated and others:
        yield (
            f"R1 was corrected with a measured transmit field in {others} scans and with one "
            f"estimated from R1 itself in {estimated}, by which R1 of the thalamus was "
            f"{EXCESS_OF_ESTIMATED} % higher in six adults: the two kinds must not be compared."
        )
    elif estimated:
        yield (
            "R1 was corrected with a transmit field estimated from R1 itself, by which R1 of the "
            f"thalamus was {EXCESS_OF_ESTIMATED} % higher than by a measured one in six adults: "
            "compare it with R1 by estimated fields only."
        )


_FEW = 30
_LIMITS = (
    _of_sessions,
    _of_samples,
    _of_reference,
    _of_scanners,
    _of_contrast_agent,
    _of_transmit_field,
)
