"""Self-contained HTML pages of a session and of a cohort."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from math import isfinite
from typing import Literal
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup

from bids_app.report.tables import Table, format_table
from bids_app.statistics.samples import require_columns

Status = Literal["done", "failed", "skipped"]

# A figure wider than this (points) is legible only across both columns of the page.
_COLUMN_WIDTH = 600.0
# Columns of volumes without decimals.
_WHOLE = ("ICV (mL)", "Brain (mL)")


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """Volumes by one method on one contrast.

    Attributes
    ----------
    method, contrast : str
        How and on what was measured.
    left_ml, right_ml : float
        Thalamus, mL.
    icv_ml, brain_ml : float
        Intracranial and brain volume, mL; NaN if not measured.
    low_ml, high_ml : float
        Interval of the volume of both thalami, mL; NaN if unknown.
    confidence : float
        Overlap with the truth that the method expects of itself; NaN if unknown.
    qc : str
        ``ok``, ``check``, or empty.
    """

    method: str
    contrast: str
    left_ml: float
    right_ml: float
    icv_ml: float = float("nan")
    brain_ml: float = float("nan")
    low_ml: float = float("nan")
    high_ml: float = float("nan")
    confidence: float = float("nan")
    qc: str = ""

    @property
    def total_ml(self) -> float:
        """Volume of both thalami, mL."""
        return self.left_ml + self.right_ml

    @property
    def icv_share(self) -> float:
        """Share of both thalami in the intracranial volume, %; NaN if that is unknown."""
        return 100 * self.total_ml / self.icv_ml if self.icv_ml > 0 else float("nan")


@dataclass(frozen=True)
class Overlay:
    """A figure for a session page: PNG bytes and the sentence that describes them."""

    caption: str
    png: bytes

    @property
    def uri(self) -> str:
        """The image as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class AlignmentReport:
    """How another contrast was aligned.

    Attributes
    ----------
    contrast, strategy : str
        What was aligned, and the strategy that was taken.
    attempts : tuple of mapping
        Columns of the table of attempts.
    figures : tuple of Overlay
    """

    contrast: str
    strategy: str
    attempts: tuple[Mapping[str, object], ...]
    figures: tuple[Overlay, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The image that was measured, and what was found in it.

    Attributes
    ----------
    name : str
        Heading, such as ``T1w`` or ``acq-mprage run-1 T1w``.
    file : str
        Path within the dataset.
    shape : tuple of int
        Voxels.
    voxel_size : tuple of float
        mm.
    orientation : str
        Axis codes of the file as it was found, such as ``LAS``.
    volumes : tuple of Volumes
    thalamus : tuple of Overlay
        One per method and contrast.
    brain : Overlay or None
    warnings : tuple of str
    alignments : tuple of AlignmentReport
    """

    name: str
    file: str
    shape: tuple[int, ...]
    voxel_size: tuple[float, ...]
    orientation: str
    volumes: tuple[Volumes, ...] = ()
    thalamus: tuple[Overlay, ...] = ()
    brain: Overlay | None = None
    warnings: tuple[str, ...] = ()
    alignments: tuple[AlignmentReport, ...] = ()


@dataclass(frozen=True)
class InputFile:
    """A file that went into the results: its path and the SHA-256 of its content."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SessionReport:
    """All that a session page tells.

    Attributes
    ----------
    subject, session : str
        Labels without prefix; `session` is empty in a dataset without sessions.
    anchors : tuple of Anchor
    inputs : tuple of InputFile
    software : mapping of str to str
        Name to version.
    methods : str
        Paragraphs, separated by empty lines.
    citation : str
        Works to cite, separated by empty lines.
    warnings : tuple of str
        What concerns the session rather than one image.
    """

    subject: str
    session: str
    anchors: tuple[Anchor, ...]
    inputs: tuple[InputFile, ...]
    software: Mapping[str, str]
    methods: str
    citation: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionStatus:
    """How a session ended.

    Attributes
    ----------
    subject, session : str
        Labels without prefix; `session` is empty in a dataset without sessions.
    status : {"done", "failed", "skipped"}
    reason : str
        Why it failed or was skipped.
    page : str
        Path of the session page relative to the cohort page; empty if there is none.
    """

    subject: str
    session: str
    status: Status
    reason: str = ""
    page: str = ""


@dataclass(frozen=True)
class Section:
    """A figure or table of the cohort page.

    Attributes
    ----------
    title, caption : str
    table : DataFrame or None
    svg : str
        From `bids_app.report.plots.figure_svg`. It is trusted and set into the page as it is.
    part : str
        Heading that it shares with the neighbours of the same part; empty for none.
    """

    title: str
    caption: str = ""
    table: pd.DataFrame | None = None
    svg: str = ""
    part: str = ""


@dataclass(frozen=True)
class _Drawn:
    """A section as it stands on the page, and the name that links lead to."""

    anchor: str
    section: Section
    grid: Table | None
    svg: Markup | str

    @property
    def wide(self) -> bool:
        """Whether it needs both columns of the page."""
        view = re.search(r'viewBox="\S+ \S+ (\S+) ', self.svg)
        return self.grid is not None or (view is not None and float(view[1]) > _COLUMN_WIDTH)


@dataclass(frozen=True, kw_only=True)
class CohortReport:
    """All that a cohort page tells.

    Attributes
    ----------
    dataset : str
        Name of the dataset.
    sessions : tuple of SessionStatus
    volumes : DataFrame
        One row per scan and method, with the columns ``subject`` and ``session`` (labels
        without prefix) and any others.
    software : mapping of str to str
        Name to version.
    methods : str
        Paragraphs, separated by empty lines.
    citation : str
        Works to cite, separated by empty lines.
    sections : tuple of Section
        Plots, agreement with a reference, overlap.
    dictionary : mapping of str to str
        Description of columns by name.
    note : str
        Shown below the table of volumes.
    """

    dataset: str
    sessions: tuple[SessionStatus, ...]
    volumes: pd.DataFrame
    software: Mapping[str, str]
    methods: str
    citation: str
    sections: tuple[Section, ...] = ()
    dictionary: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def session_page(report: SessionReport) -> str:
    """Write the page of a session.

    Parameters
    ----------
    report : SessionReport

    Returns
    -------
    str
        HTML that loads nothing from anywhere; everything from `report` is escaped.
    """
    title = _name(report.subject, report.session)
    anchors = [
        (
            anchor,
            _volume_table(anchor.volumes),
            [(each, _attempt_table(each.attempts)) for each in anchor.alignments],
        )
        for anchor in report.anchors
    ]
    template = _environment().get_template("session.html.jinja")
    return template.render(title=title, report=report, anchors=anchors)


def cohort_page(report: CohortReport) -> str:
    """Write the page of a cohort.

    Parameters
    ----------
    report : CohortReport

    Returns
    -------
    str
        HTML that loads nothing from anywhere; everything from `report` is escaped, except the
        SVG of sections.

    Raises
    ------
    KeyError
        If `report.volumes` lacks ``subject`` or ``session``.
    ValueError
        If the SVG of a section is none.
    """
    counts = Counter(session.status for session in report.sessions)
    cards = {
        "subjects": len({session.subject for session in report.sessions}),
        "sessions": len(report.sessions),
        **{status: counts[status] for status in ("done", "failed", "skipped")},
    }
    sections = [
        _Drawn(
            f"section-{number}",
            section,
            None if section.table is None else _section_table(section.table, report),
            _inline_svg(section, f"figure{number}-") if section.svg else "",
        )
        for number, section in enumerate(report.sections, start=1)
    ]
    parts = [
        (f"part-{number}", name, list(members))
        for number, (name, members) in enumerate(
            groupby(sections, key=lambda drawn: drawn.section.part), start=1
        )
    ]
    template = _environment().get_template("cohort.html.jinja")
    return template.render(
        title=report.dataset,
        report=report,
        cards=cards,
        incomplete=[
            (_name(session.subject, session.session), session)
            for session in report.sessions
            if session.status != "done"
        ],
        volumes=_linked_volumes(report),
        parts=parts,
    )


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("bids_app", "assets/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _name(subject: str, session: str) -> str:
    return f"sub-{subject} ses-{session}" if session else f"sub-{subject}"


def _volume_table(volumes: tuple[Volumes, ...]) -> Table:
    """What decides whether a mask is used stands where no screen cuts it off."""
    rows = [
        {
            "Method": row.method,
            "Contrast": row.contrast,
            "Left (mL)": row.left_ml,
            "Right (mL)": row.right_ml,
            "Total (mL)": row.total_ml,
            "95% interval (mL)": _interval(row.low_ml, row.high_ml),
            "Confidence": row.confidence,
            "QC": row.qc,
            "Total of ICV (%)": row.icv_share,
            "ICV (mL)": row.icv_ml,
            "Brain (mL)": row.brain_ml,
        }
        for row in volumes
    ]
    table = pd.DataFrame(rows)
    whole = {name: table[name].round().astype("Int64") for name in table if name in _WHOLE}
    return format_table(table.assign(**whole))


def _interval(low: float, high: float) -> str | None:
    return f"{low:.2f} to {high:.2f}" if isfinite(low) and isfinite(high) else None


def _attempt_table(attempts: tuple[Mapping[str, object], ...]) -> Table:
    table = pd.DataFrame(attempts)
    return format_table(table.rename(columns={"MutualInformation": "Mutual information (nats)"}))


def _linked_volumes(report: CohortReport) -> Table:
    """Format the table of volumes, each row linked to the page of its session."""
    require_columns(report.volumes, ["subject", "session"])
    labels = report.volumes[["subject", "session"]].fillna("").astype(str)
    subjects, sessions = labels["subject"].tolist(), labels["session"].tolist()
    labelled = report.volumes.assign(subject=subjects, session=sessions)
    hrefs = _pages(subjects, sessions, report)
    return format_table(labelled, report.dictionary, subjects, hrefs)


def _section_table(table: pd.DataFrame, report: CohortReport) -> Table:
    """Format a table of results; what is said of single sessions is linked to their pages."""
    if "participant_id" not in table or "session_id" not in table:
        return format_table(table, report.dictionary)
    subjects = table["participant_id"].str.removeprefix("sub-").tolist()
    sessions = table["session_id"].fillna("").str.removeprefix("ses-").tolist()
    return format_table(table, report.dictionary, subjects, _pages(subjects, sessions, report))


def _pages(subjects: list[str], sessions: list[str], report: CohortReport) -> list[str]:
    """Addresses of the pages of sessions; empty where there is none."""
    # The leading dot keeps a path from being read as a host or a scheme.
    known = {
        (session.subject, session.session): "./" + quote(session.page)
        for session in report.sessions
        if session.page
    }
    return [known.get(key, "") for key in zip(subjects, sessions, strict=True)]


def _inline_svg(section: Section, prefix: str) -> Markup:
    """Return the SVG without prologue, its ids unique in the page, named for screen readers."""
    start = section.svg.find("<svg ")
    if start < 0:
        raise ValueError(f"section '{section.title}' holds no SVG")
    body = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}", section.svg[start + 5 :])
    name = Markup('<svg role="img" aria-label="{}" ').format(section.caption or section.title)
    return name + Markup(body)  # noqa: S704 - from our own plots, which escape their text
