"""Self-contained HTML page of a session."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import pandas as pd

from bids_app.report.tables import ColumnTexts, Table, format_table
from bids_app.report.template import session_title, template

# Where the template has it; text from a dataset is escaped, and cannot hold it.
_PLACE_OF_LINK = "<!-- link to visits -->"
_ATTEMPTS = ColumnTexts(headings={"MutualInformation": "Mutual information (nats)"})


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """Volumes by one method on one contrast.

    Attributes
    ----------
    method, contrast : str
        Segmentation method, and the contrast or contrasts it was applied to.
    left_ml, right_ml : float
        Left and right thalamus, mL.
    icv_ml, brain_ml : float
        Intracranial and brain volume, mL; NaN if not measured.
    low_ml, high_ml : float
        Ends of the 95 % interval of the volume of both thalami, mL; NaN if unknown.
    confidence : float
        Expected Dice, self-estimated by the method; NaN if unknown.
    qc : str
        ``ok``, ``check``, or empty.
    z_score, percentile : float
        Volume of both thalami vs. the normative model of the group stage; NaN without one.
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
    z_score: float = float("nan")
    percentile: float = float("nan")

    @property
    def total_ml(self) -> float:
        """Volume of both thalami, mL."""
        return self.left_ml + self.right_ml

    @property
    def icv_percent(self) -> float:
        """Volume of both thalami in percent of the intracranial volume; NaN if that is unknown."""
        return 100 * self.total_ml / self.icv_ml if self.icv_ml > 0 else float("nan")


@dataclass(frozen=True)
class Overlay:
    """Figure of a session page, with its caption.

    Attributes
    ----------
    caption : str
    png : bytes
        Content of a PNG file.
    """

    caption: str
    png: bytes

    @property
    def uri(self) -> str:
        """Data URI of the image."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class AlignmentReport:
    """Alignment of another contrast to the anchor image.

    Attributes
    ----------
    contrast, strategy : str
        Aligned contrast, and the selected strategy.
    attempts : tuple of mapping
        Rows of the table of attempts, values by column.
    figures : tuple of Overlay
    """

    contrast: str
    strategy: str
    attempts: tuple[Mapping[str, object], ...]
    figures: tuple[Overlay, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """Measured image, with its results.

    Attributes
    ----------
    name : str
        Heading, such as ``T1w`` or ``acq-mprage run-1 T1w``.
    file : str
        Path within the dataset.
    shape : tuple of int
        Voxels along each axis.
    voxel_size : tuple of float
        Size of a voxel along each axis, mm.
    orientation : str
        Axis codes of the file, such as ``LAS``.
    contrast_agent : str
        Empty without.
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
    contrast_agent: str = ""
    volumes: tuple[Volumes, ...] = ()
    thalamus: tuple[Overlay, ...] = ()
    brain: Overlay | None = None
    warnings: tuple[str, ...] = ()
    alignments: tuple[AlignmentReport, ...] = ()


@dataclass(frozen=True)
class InputFile:
    """Input file: its path within the dataset, and the SHA-256 of its content."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SessionReport:
    """Content of a session page.

    Attributes
    ----------
    subject, session : str
        Labels without prefix; `session` is empty in a dataset without sessions.
    anchors : tuple of Anchor
    inputs : tuple of InputFile
    software : mapping of str to str
        Versions by name.
    methods : str
        Paragraphs, separated by empty lines.
    citation : str
        Works to cite, separated by empty lines.
    warnings : tuple of str
        Warnings that concern the session rather than one image.
    visits : str
        File of the page of the subject's visits; empty if there is none.
    """

    subject: str
    session: str
    anchors: tuple[Anchor, ...]
    inputs: tuple[InputFile, ...]
    software: Mapping[str, str]
    methods: str
    citation: str
    warnings: tuple[str, ...] = ()
    visits: str = ""


def session_page(report: SessionReport) -> str:
    """Write the page of a session.

    Parameters
    ----------
    report : SessionReport

    Returns
    -------
    str
        HTML that loads no other resource; all text from `report` is escaped.
    """
    anchors = [
        (
            anchor,
            _volume_table(anchor.volumes),
            [(each, _attempt_table(each.attempts)) for each in anchor.alignments],
        )
        for anchor in report.anchors
    ]
    title = session_title(report.subject, report.session)
    page = template("session.html.jinja").render(title=title, report=report, anchors=anchors)
    return linked_to_visits(page, report.visits) if report.visits else page


def linked_to_visits(page: str, visits: str) -> str:
    """Link a session's page to that of the visits, which may be written later than itself.

    Parameters
    ----------
    page : str
        As `session_page` returns it; a page that is linked already is returned as it is.
    visits : str
        File of the page of visits.
    """
    link = template("visits_link.html.jinja").render(visits=visits)
    return page.replace(_PLACE_OF_LINK, link, 1)


def _attempt_table(attempts: tuple[Mapping[str, object], ...]) -> Table:
    """Format the attempts to align a contrast."""
    return format_table(pd.DataFrame(attempts), _ATTEMPTS)


def _volume_table(volumes: tuple[Volumes, ...]) -> Table:
    """Format the volumes, with the columns that decide on their use in front."""
    rows = [
        {
            "Method": row.method,
            "Contrast": row.contrast,
            "Left (mL)": row.left_ml,
            "Right (mL)": row.right_ml,
            "Total (mL)": row.total_ml,
            "95 % interval (mL)": _interval(row.low_ml, row.high_ml),
            "Expected Dice": row.confidence,
            "QC": row.qc,
            "z-score vs. norm": row.z_score,
            "Percentile of norm": row.percentile,
            "Total / ICV (%)": row.icv_percent,
            "ICV (mL)": row.icv_ml,
            "Brain (mL)": row.brain_ml,
        }
        for row in volumes
    ]
    return format_table(pd.DataFrame(rows))


def _interval(low: float, high: float) -> str | None:
    return f"{low:.2f} to {high:.2f}" if isfinite(low) and isfinite(high) else None
