"""Differences between scanners or sites, before and after harmonisation."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.charts import chart_values
from bids_app.group.harmonisation_plan import HARMONISED, MEASURED
from bids_app.group.harmonised import preserved
from bids_app.group.result import NotApplicableError, Result, ResultFigure, ResultTable
from bids_app.group.study import Study
from bids_app.report.charts import Strips
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.statistics.harmonisation import HarmonisationError, batch_effect
from bids_app.statistics.multiplicity import adjust

_STATES = {MEASURED: "measured", HARMONISED: "harmonised"}
_COLUMNS = ["segmentation", "state", "f", "df", "df_error", "p", "p_adj", "cv_between", "reason"]
# Boxes of more segmentations cannot be read.
_MOST_SEGMENTATIONS = 3
_METHODS = {
    "combat": "harmonised by ComBat",
    "longitudinal combat": "harmonised by longitudinal ComBat",
    "covariate": "not harmonised, but models adjusted for it",
}


def analyse(study: Study) -> Result:
    """Test for differences between batches, and compare them with those of harmonised volumes."""
    plan = study.plan.harmonisation
    first = study.volumes[study.volumes["visit"] == 0]
    if plan.batch not in first or first[plan.batch].nunique() < 2:
        raise NotApplicableError(f"the first sessions do not have several values of '{plan.batch}'")
    columns = preserved(plan, first)
    states = [name for name in _STATES if name in first]
    effects = _effects(study, first, states)
    covariates = ", ".join((*columns.numeric, *columns.categorical)) or "none"
    settings = {
        "Method": plan.method,
        "Batch": plan.batch,
        "Preserved": covariates,
        "Test": "F of equal batches given the covariates, first sessions",
        "Adjustment": "Benjamini-Hochberg over the segmentations",
    }
    return Result(
        tables={
            "harmonisation": ResultTable(
                f"Differences between batches ({plan.batch})",
                "F test of equal volumes of all batches given the covariates, and coefficient of "
                "variation of the adjusted means of the batches. Of harmonised volumes, the test "
                "describes what remains; its p-value is not valid.",
                effects,
                settings,
            ),
            "harmonisation_batches": ResultTable(
                f"Volumes by {plan.batch}",
                "Volume of both thalami at the first session, and the effects that were removed.",
                _batches(study, first, states),
                settings,
            ),
        },
        figures={"harmonisation": _figure(first, states, plan.batch)},
        methods=f"Volumes of different {plan.batch} were {_METHODS[plan.method]}, preserving the "
        f"effects of {covariates}."
        if plan.method in _METHODS
        else "",
        findings=_findings(effects),
        references=("johnson2007", "fortin2018", "beer2020") if plan.changes_volumes else (),
    )


def _effects(study: Study, first: pd.DataFrame, states: list[str]) -> pd.DataFrame:
    """Test every segmentation as measured and harmonised."""
    rows: list[dict[str, Any]] = []
    for name, of_segmentation in first.groupby("segmentation", sort=False):
        columns = preserved(study.plan.harmonisation, of_segmentation)
        for state in states:
            row: dict[str, Any] = {"segmentation": name, "state": _STATES[state], "reason": ""}
            try:
                row |= batch_effect(of_segmentation, state, columns)
            except HarmonisationError as error:
                row["reason"] = study.harmonisation.reasons.get(str(name), str(error))
            rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=_COLUMNS)
    return table.assign(p_adj=adjust(table["p"], table["state"].tolist()))


def _batches(study: Study, first: pd.DataFrame, states: list[str]) -> pd.DataFrame:
    """Describe the volumes of every batch, and the effects that were removed."""
    rows: list[dict[str, Any]] = []
    keys = ["segmentation", study.plan.harmonisation.batch]
    for (name, batch), volumes in first.groupby(keys, sort=False):
        row: dict[str, Any] = {"segmentation": name, "batch": batch}
        row["n"] = volumes[MEASURED].notna().sum()
        for state in states:
            row[f"mean_{_STATES[state]}"] = volumes[state].mean()
            row[f"sd_{_STATES[state]}"] = volumes[state].std()
        if fit := study.harmonisation.fits.get(str(name)):
            row["batch_shift"], row["batch_scale"] = (
                effects.get(str(batch)) for effects in (fit.shift, fit.scale)
            )
        rows.append(row)
    return pd.DataFrame(rows)


_LABEL = "Thalamus volume (mL)"


def _figure(first: pd.DataFrame, states: list[str], batch: str) -> ResultFigure:
    """Draw the volumes of the batches side by side, as measured and harmonised."""
    names = list(dict.fromkeys(first["segmentation"]))[:_MOST_SEGMENTATIONS]
    shown = first[first["segmentation"].isin(names)]
    parts = [
        shown.assign(method=shown["segmentation"] + f" {_STATES[state]}", volume=shown[state])
        for state in states
    ]
    every = pd.concat(parts, ignore_index=True)
    figure = partial(grouped_boxplot, every, "volume", _LABEL, by=batch)
    return ResultFigure(
        f"Volumes by {batch}",
        "Volume of both thalami at the first session by batch"
        + (", as measured and harmonised" if len(states) > 1 else "")
        + f"; Tukey box plots of the first {len(names)} segmentations.",
        figure,
        Strips(values=chart_values(every, "volume", batch), label=_LABEL),
    )


def _findings(effects: pd.DataFrame) -> str:
    """State the coefficient of variation between batches, before and after."""
    texts = []
    for name, rows in effects.dropna(subset=["cv_between"]).groupby("segmentation", sort=False):
        values = [f"{value:.1f} %" for value in rows["cv_between"]]
        texts.append(f"{name} {' before and '.join(values)}" + " after" * (len(values) > 1))
    if not texts:
        return ""
    return f"Coefficient of variation between batches: {', '.join(texts)}."


ANALYSIS = Analysis("harmonisation", "Differences between scanners or sites", analyse)
