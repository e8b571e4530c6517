"""Self-contained HTML page of a cohort."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from bids_app.report.chart_markup import PageIndex, draw_chart
from bids_app.report.charts import Chart
from bids_app.report.tables import ColumnTexts, Table, columns_with_values, format_table
from bids_app.report.template import session_title, template
from bids_app.statistics.samples import require_columns

Status = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class SessionStatus:
    """How a session ended.

    Attributes
    ----------
    subject, session : str
        Labels without prefix; `session` is empty in a dataset without sessions.
    status : {"done", "failed", "skipped"}
    reason : str
        Why the session failed or was skipped.
    page : str
        Path of the session page relative to the cohort page; empty if there is none.
    visits : bool
        Whether it is the comparison of a subject's sessions, and not a session itself.
    """

    subject: str
    session: str
    status: Status
    reason: str = ""
    page: str = ""
    visits: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """Section of the cohort page with a figure or a table.

    Attributes
    ----------
    title, caption : str
    table : DataFrame or None
    chart : Chart or None
    svg : str
        Figure where there is no chart: from `bids_app.report.plots.figure_svg`, which escapes its
        text; inserted unescaped.
    file : str
        Path of the figure as SVG and PNG for papers, relative to the page and without extension;
        empty if there are none.
    part : str
        Heading shared by consecutive sections of the same part.
    folded : bool
        Whether the figure is shown on request only, as all tables are.
    """

    title: str
    caption: str = ""
    table: pd.DataFrame | None = None
    chart: Chart | None = None
    svg: str = ""
    file: str = ""
    part: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Finding:
    """Sentence on what the cohort shows, and the part of the page with its numbers."""

    text: str
    part: str = ""


@dataclass(frozen=True)
class _Drawn:
    """Section prepared for the template, with the anchor of links to it."""

    anchor: str
    section: Section
    grid: Table | None
    figure: Markup | str

    @property
    def file(self) -> str:
        """Address of the files of the figure, without extension."""
        return "./" + quote(self.section.file)


@dataclass(frozen=True)
class _Part:
    """Consecutive sections under one heading."""

    anchor: str
    name: str
    reading: str
    sections: list[_Drawn]


@dataclass(frozen=True, kw_only=True)
class CohortReport:
    """Content of a cohort page.

    Attributes
    ----------
    dataset : str
        Name of the dataset.
    sessions : tuple of SessionStatus
    volumes : DataFrame
        One row per scan and method, with the columns ``subject`` and ``session`` (labels
        without prefix) and any others.
    software : mapping of str to str
        Versions by name.
    methods : str
        Paragraphs, separated by empty lines.
    citation : str
        Works to cite, separated by empty lines.
    sections : tuple of Section
        Figures and tables of the analyses.
    columns : ColumnTexts
        Headings and descriptions of the columns of all tables.
    note : str
        Shown below the table of volumes.
    findings : tuple of Finding
        What the cohort shows, on top of the page and of their parts.
    readings : mapping of str to str
        Paragraph on a part, for those that no finding is about.
    limits : tuple of str
        What limits the results.
    """

    dataset: str
    sessions: tuple[SessionStatus, ...]
    volumes: pd.DataFrame
    software: Mapping[str, str]
    methods: str
    citation: str
    sections: tuple[Section, ...] = ()
    columns: ColumnTexts = field(default_factory=ColumnTexts)
    note: str = ""
    findings: tuple[Finding, ...] = ()
    readings: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


def cohort_page(report: CohortReport) -> str:
    """Write the page of a cohort.

    Parameters
    ----------
    report : CohortReport

    Returns
    -------
    str
        HTML that loads no other resource; all text from `report` is escaped, except the SVG of
        sections.

    Raises
    ------
    KeyError
        If `report.volumes` lacks ``subject`` or ``session``.
    ValueError
        If the figure of a section is not SVG.
    """
    index = PageIndex()
    sections = [
        _Drawn(
            f"section-{number}",
            section,
            None if section.table is None else _section_table(section.table, report),
            _figure(section, f"figure{number}-", index),
        )
        for number, section in enumerate(report.sections, start=1)
    ]
    parts = [
        _Part(
            f"part-{number}",
            name,
            " ".join(finding.text for finding in report.findings if finding.part == name)
            or report.readings.get(name, ""),
            list(members),
        )
        for number, (name, members) in enumerate(
            groupby(sections, key=lambda drawn: drawn.section.part), start=1
        )
    ]
    return template("cohort.html.jinja").render(
        title=report.dataset,
        report=report,
        cards=_cards(report.sessions),
        incomplete=_incomplete(report.sessions),
        volumes=_linked_volumes(report),
        parts=parts,
        anchors={part.name: part.anchor for part in parts},
        methods=index.legend(),
        index={"methods": list(index.methods), "sessions": _index_of_sessions(index, report)},
        dictionary=list(_dictionary(report)),
    )


def _cards(sessions: tuple[SessionStatus, ...]) -> dict[str, int]:
    """Count subjects and sessions, the latter in all and by status."""
    measured = [session for session in sessions if not session.visits]
    counts = Counter(session.status for session in measured)
    return {
        "subjects": len({session.subject for session in measured}),
        "sessions": len(measured),
        **{status: counts[status] for status in ("done", "failed", "skipped")},
    }


def _incomplete(sessions: tuple[SessionStatus, ...]) -> list[tuple[str, SessionStatus]]:
    """Return the sessions without results, with their titles."""
    return [
        (session_title(session.subject, session.session), session)
        for session in sessions
        if session.status != "done"
    ]


def _linked_volumes(report: CohortReport) -> Table:
    """Format the table of volumes, each row linked to the page of its session."""
    require_columns(report.volumes, ["subject", "session"])
    labels = report.volumes[["subject", "session"]].fillna("").astype(str)
    subjects, sessions = labels["subject"].tolist(), labels["session"].tolist()
    labelled = report.volumes.assign(subject=subjects, session=sessions)
    hrefs = _pages(subjects, sessions, report)
    headings = {"subject": "Subject", "session": "Session", **report.columns.headings}
    texts = replace(report.columns, headings=headings)
    return format_table(labelled, texts, subjects, hrefs)


def _section_table(table: pd.DataFrame, report: CohortReport) -> Table:
    """Format a table of results, rows of single sessions linked to their pages."""
    # Tables about the cohort have no pages to link to.
    if "participant_id" not in table or "session_id" not in table:
        return format_table(table, report.columns)
    subjects = table["participant_id"].str.removeprefix("sub-").tolist()
    sessions = table["session_id"].fillna("").str.removeprefix("ses-").tolist()
    return format_table(table, report.columns, subjects, _pages(subjects, sessions, report))


def _pages(subjects: list[str], sessions: list[str], report: CohortReport) -> list[str]:
    """Return the addresses of the pages of sessions; empty where there is none."""
    # Without the leading dot, a path could be parsed as a host or a scheme.
    addresses = {
        (session.subject, session.session): "./" + quote(session.page)
        # Where images of a subject are in no session, a session precedes its visits.
        for session in sorted(report.sessions, key=lambda session: not session.visits)
        if session.page
    }
    return [addresses.get(key, "") for key in zip(subjects, sessions, strict=True)]


def _dictionary(report: CohortReport) -> Iterator[tuple[str, str, str]]:
    """Yield heading, name and description of each described column that the page shows."""
    tables = [report.volumes, *(each.table for each in report.sections if each.table is not None)]
    shown = [str(column) for table in tables for column in columns_with_values(table).columns]
    for name in dict.fromkeys(shown):
        if name in report.columns.descriptions:
            yield report.columns.heading(name), name, report.columns.descriptions[name]


def _index_of_sessions(index: PageIndex, report: CohortReport) -> list[tuple[str, str, str]]:
    """Return subject, session and address of the page of every session in the charts."""
    if not index.sessions:
        return []
    subjects, sessions = zip(*index.sessions, strict=True)
    pages = _pages(list(subjects), list(sessions), report)
    return list(zip(subjects, sessions, pages, strict=True))


def _figure(section: Section, prefix: str, index: PageIndex) -> Markup | str:
    """Draw the chart of a section, or insert its figure; empty without."""
    if section.chart is not None:
        return Markup('<figure class="chart" data-label="{}">{}</figure>').format(
            section.chart.label, draw_chart(section.chart, index)
        )
    if not section.svg:
        return ""
    return Markup('<figure class="plot">{}</figure>').format(_inline_svg(section, prefix))


def _inline_svg(section: Section, prefix: str) -> Markup:
    """Return the SVG without prologue, with unique ids and a name for screen readers."""
    # HTML has no XML declaration or document type inside.
    start = section.svg.find("<svg ")
    if start < 0:
        raise ValueError(f"section '{section.title}' holds no SVG")
    body = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}", section.svg[start + 5 :])
    name = Markup('<svg role="img" aria-label="{}" ').format(section.caption or section.title)
    return name + Markup(body)  # noqa: S704 - from our own plots, which escape their text
