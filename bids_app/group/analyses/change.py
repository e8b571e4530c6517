"""Change of volume from the first session to the follow-up."""

from __future__ import annotations

from functools import partial

import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.charts import chart_values
from bids_app.group.common_sample import compared_rows
from bids_app.group.conventions import SIGNED_RANK
from bids_app.group.followed import ACCEPTED, count_verdicts
from bids_app.group.result import Display, Result, ResultFigure, ResultTable
from bids_app.group.study import CHANGES, Study
from bids_app.report.charts import Strips
from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.statistics.comparison import pairwise_signed_rank

_BOXES = "Boxes span the quartiles, whiskers 1.5 interquartile ranges; descriptive only."
_LABEL = "Change of thalamus volume (%)"
_SETTINGS = {
    "Change": "follow-up minus first session; of longitudinal methods as in their table of changes "
    "with its 95 % interval (change_low, change_high); percent of the first session",
    "Verdict": "of --longitudinal on the images; n/a where it has not compared them",
    "Annual": "divided by the interval in years; n/a where the interval is unknown",
}


def analyse(study: Study) -> Result:
    """Describe and compare the change of volume by method and by diagnosis."""
    changes = compared_rows(study.changes, "percent", study.plan.sample)
    changes = changes.rename(columns={"segmentation": "method"})
    by_diagnosis = study.by_diagnosis(changes)
    summary = study.summarise(changes, CHANGES)
    tables = _tables(study, changes, summary) | _verdicts(study)
    draw = partial(grouped_boxplot, column="percent", label=_LABEL, zero=True)
    figures = {
        "change": ResultFigure(
            "Volume change",
            _BOXES,
            partial(draw, changes[["method", "percent"]]),
            Strips(values=chart_values(changes, "percent"), label=_LABEL, zero=True),
        )
    }
    if by_diagnosis is not None:
        tables["change_by_diagnosis"] = ResultTable(
            "Volume change by diagnosis",
            "Descriptive, without tests between groups.",
            study.summarise(by_diagnosis, CHANGES, ["method", "diagnosis"]),
            _SETTINGS | study.bootstrap,
        )
        figures["change_by_diagnosis"] = ResultFigure(
            "Volume change by diagnosis",
            _BOXES,
            partial(draw, by_diagnosis[["method", "diagnosis", "percent"]], by="diagnosis"),
            Strips(
                values=chart_values(by_diagnosis, "percent", "diagnosis"), label=_LABEL, zero=True
            ),
        )
    return Result(
        tables=tables,
        figures=figures,
        methods="Volume change was follow-up minus first session, in mL and in percent of the "
        "first session, and compared between methods by Wilcoxon signed-rank tests."
        + (f" {tables['change_verdicts'].caption}" if "change_verdicts" in tables else ""),
        findings=_findings(summary),
        references=("ibrahim2026", "wilcoxon1945", "benjamini1995"),
        of_change=True,
    )


def _tables(study: Study, changes: pd.DataFrame, summary: pd.DataFrame) -> dict[str, ResultTable]:
    """Tabulate changes, their summary, and the tests between methods."""
    plan = study.plan.change
    return {
        "change": ResultTable("Changes", "", study.followed, _SETTINGS, display=Display.FILE),
        "change_summary": ResultTable(
            "Volume change",
            "Change of both thalami, mL and % of the first session, also per year; percentile "
            "bootstrap intervals.",
            summary,
            _SETTINGS | study.bootstrap,
        ),
        "change_tests": ResultTable(
            "Volume change compared between methods",
            f"Wilcoxon signed-rank tests; adjusted p: Benjamini-Hochberg, family: {plan.family}.",
            pairwise_signed_rank(
                changes, list(plan.measures), ["participant_id"], family=plan.family
            ),
            SIGNED_RANK,
        ),
    }


def _verdicts(study: Study) -> dict[str, ResultTable]:
    """Count the changes by verdict and reason; nothing where --longitudinal gave none."""
    judged = study.followed[study.followed["verdict"].notna()]
    if judged.empty:
        return {}
    table = count_verdicts(judged, ["segmentation"])
    excluded = int((judged["counted"] == "no").sum())
    accepted = " or ".join(f"'{verdict}'" for verdict in ACCEPTED[study.plan.verdict])
    caption = (
        f"Changes were analysed if the verdict on their images was {accepted}; {excluded} of "
        f"{len(judged)} were excluded. A change with several reasons is counted with each."
    )
    return {"change_verdicts": ResultTable("Changes by verdict", caption, table)}


def _findings(summary: pd.DataFrame) -> str:
    texts = [
        f"{row.method} {row.mean:.2f} ± {row.sd:.2f} % (n = {row.n})"
        for row in summary[summary["measure"] == "percent"].itertuples()
    ]
    return f"Mean volume change: {', '.join(texts)}."


ANALYSIS = Analysis("change", "Change between sessions", analyse)
