"""Change of volume from the first session to the follow-up."""

from __future__ import annotations

import pandas as pd

from bids_app.group.conventions import SIGNED_RANK
from bids_app.group.result import Result, ResultFigure, ResultTable
from bids_app.group.study import CHANGE, Study
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.statistics.comparison import pairwise_signed_rank

_BOXES = "Boxes span the quartiles, whiskers 1.5 interquartile ranges; descriptive only."
_SETTINGS = {
    "Change": "follow-up minus first session; percent of the first session",
    "Annual": "divided by the interval in years; n/a where the interval is unknown",
}


def analyse(study: Study) -> Result:
    """Describe and compare the change of volume by method and by diagnosis."""
    plan = study.plan.change
    changes = study.changes.rename(columns={"segmentation": "method"})
    summary = study.summarise(changes, CHANGE)
    tables = {
        "change": ResultTable("Changes", "", changes, _SETTINGS, shown=False),
        "change_summary": ResultTable(
            "Volume change",
            "Change of both thalami, mL and % of the first session, also per year; percentile "
            "bootstrap intervals.",
            summary,
            _SETTINGS | study.bootstrap,
        ),
        "change_tests": ResultTable(
            "Volume change compared between methods",
            f"Wilcoxon signed-rank tests; p_adj: Benjamini-Hochberg, family: {plan.family}.",
            pairwise_signed_rank(
                changes, list(plan.measures), ["participant_id"], family=plan.family
            ),
            SIGNED_RANK,
        ),
    }
    label = "Change of thalamus volume (%)"
    figures = {
        "change": ResultFigure(
            "Volume change", _BOXES, grouped_boxplot(changes, "percent", label, zero=True)
        )
    }
    by_diagnosis = study.by_diagnosis(changes)
    if by_diagnosis is not None:
        tables["change_by_diagnosis"] = ResultTable(
            "Volume change by diagnosis",
            "Descriptive, without tests between groups.",
            study.summarise(by_diagnosis, CHANGE, ["method", "diagnosis"]),
            _SETTINGS | study.bootstrap,
        )
        figures["change_by_diagnosis"] = ResultFigure(
            "Volume change by diagnosis",
            _BOXES,
            grouped_boxplot(by_diagnosis, "percent", label, by="diagnosis", zero=True),
        )
    return Result(
        tables=tables,
        figures=figures,
        methods="Volume change was follow-up minus first session, in mL and in percent of the "
        "first session, and compared between methods by Wilcoxon signed-rank tests.",
        findings=_findings(summary),
        references=("ibrahim2026", "wilcoxon1945", "benjamini1995"),
    )


def _findings(summary: pd.DataFrame) -> str:
    texts = [
        f"{row.method} {row.mean:.2f} ± {row.sd:.2f} % (n = {row.n})"
        for row in summary[summary["measure"] == "percent"].itertuples()
    ]
    return f"Mean volume change: {', '.join(texts)}."
