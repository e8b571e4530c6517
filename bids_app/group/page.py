"""The page of the cohort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from bids_app import __version__
from bids_app.derivatives import names
from bids_app.derivatives.clinical_labels import LABELS, clinical_label
from bids_app.derivatives.columns import COLUMNS
from bids_app.group.analysis import Analysis
from bids_app.group.cohort_results import CohortResults
from bids_app.group.common_sample import sample_note
from bids_app.group.findings import findings, limits
from bids_app.group.mapping import CALIBRATED
from bids_app.group.methods import methods_section, references
from bids_app.group.result import Display
from bids_app.group.study import Study
from bids_app.report.cohort_page import CohortReport, Finding, Section, SessionStatus
from bids_app.report.tables import ColumnTexts
from bids_app.run.outcome import Outcome
from bids_app.wording import counted

_OF_VOLUMES = (
    *("visit", "interval", "scan", "method", "contrast", "contrast_agent"),
    *("left_ml", "right_ml", "total_ml", "total_low_ml", "total_high_ml", *CALIBRATED),
    *("icv_ml", "confidence", "qc", "qc_reason", "counted"),
)
# Browsers become slow with longer tables; the files hold all rows.
MOST_ROWS = 2000


def page_of(report: CohortResults, dataset: str, svgs: Mapping[str, str]) -> CohortReport:
    """Compose the page.

    Parameters
    ----------
    report : CohortResults
    dataset : str
        Name of the dataset.
    svgs : mapping of str to str
        SVG of every figure by its name.
    """
    table = report.study.table
    sections = [
        section for analysis in report.analyses for section in _sections(analysis, report, svgs)
    ]
    overview = Section(
        title="Analyses",
        caption="Completed analyses, and analyses that were not possible.",
        table=report.overview,
        part="Analyses",
    )
    headings = {analysis.name: analysis.heading for analysis in report.analyses}
    return CohortReport(
        dataset=dataset,
        sessions=tuple(session_status(record) for record in report.records),
        volumes=_labelled(table.head(MOST_ROWS)),
        software={"thalbids": __version__},
        methods=methods_section(report),
        citation=references(report),
        sections=(*sections, overview),
        columns=_column_texts(report.study),
        note=_note(table),
        findings=tuple(Finding(each.text, headings[each.analysis]) for each in findings(report)),
        readings={
            headings[name]: result.findings
            for name, result in report.results.items()
            if not result.reason
        },
        limits=tuple(limits(report)),
    )


def session_status(record: Outcome) -> SessionStatus:
    """Summarise how a session ended, with its page if it has one."""
    subject, session = (record.entities.get(key, "") for key in ("sub", "ses"))
    done = record.status in ("done", "unchanged")
    # A participant's record has no session, unless the dataset has none.
    pages = (f"{record.name}.html", str(names.visits_page(subject)))
    page = next((name for name in pages if name in record.outputs), "")
    return SessionStatus(
        subject=subject,
        session=session,
        status="done" if done else "failed" if record.status == "failed" else "skipped",
        reason=record.reason,
        page=page if done else "",
        visits=record.visits,
    )


def _sections(
    analysis: Analysis, report: CohortResults, svgs: Mapping[str, str]
) -> Iterator[Section]:
    """Yield the figures of an analysis, then its tables."""
    result, heading = report.results[analysis.name], analysis.heading
    agents = report.agent_note if result.of_change else ""
    for name, drawn in result.figures.items():
        if drawn.display is not Display.FILE and (drawn.chart or name in svgs):
            yield Section(
                title=drawn.title,
                caption=_joined(drawn.caption, agents),
                chart=drawn.chart,
                svg="" if drawn.chart else svgs[name],
                file=f"group/figures/{name}" if name in svgs else "",
                part=heading,
                folded=drawn.display is Display.FOLDED,
            )
    for name, table in result.tables.items():
        if table.display is not Display.FILE:
            yield Section(
                title=table.title,
                caption=_joined(
                    table.caption,
                    sample_note(table.data, report.study.plan.sample),
                    agents,
                    _more_rows(table.data, name),
                ),
                table=table.data.head(MOST_ROWS),
                part=heading,
            )


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _column_texts(study: Study) -> ColumnTexts:
    """Collect the headings and descriptions of all columns, clinical ones included."""
    texts = ColumnTexts()
    clinical = study.cohort.columns
    labels = {
        name: clinical_label(name) for name in [*LABELS, *(f"{name}_change" for name in LABELS)]
    }
    headings = {
        name: f"{labels.get(name) or texts.heading(name)} ({column.units})"
        for name, column in clinical.items()
        if column.units
    }
    descriptions = {name: column.description for name, column in clinical.items()}
    return ColumnTexts(
        headings=labels | headings | {name: column.heading for name, column in COLUMNS.items()},
        descriptions=descriptions | {name: column.description for name, column in COLUMNS.items()},
        confidence=study.plan.confidence,
    )


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Replace the identifiers by the labels of subject and session, in the first columns."""
    # The file has the clinical columns and those of the scanner as well.
    labelled = rows[[name for name in _OF_VOLUMES if name in rows]].copy()
    labelled.insert(0, "session", rows["session_id"].fillna("").str.removeprefix("ses-"))
    labelled.insert(0, "subject", rows["participant_id"].str.removeprefix("sub-"))
    return labelled


def _note(table: pd.DataFrame) -> str:
    calibrated = (
        "Calibrated volumes are predictions of the volumes of reference labels, with their "
        "prediction intervals; all other volumes, and all analyses of volumes, are as measured."
    )
    notes = [calibrated] if CALIBRATED[0] in table else []
    return _joined(*notes, _more_rows(table, "volumes"))


def _more_rows(table: pd.DataFrame, name: str) -> str:
    """State how many rows the page omits; empty if it shows all."""
    more = len(table) - MOST_ROWS
    return (
        f"{counted(more, 'more row')} {'is' if more == 1 else 'are'} in group/{name}.tsv."
        if more > 0
        else ""
    )
