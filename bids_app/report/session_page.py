"""Self-contained HTML page of a session."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10

import pandas as pd

from bids_app.report.relaxation import R1Histogram
from bids_app.report.tables import MISSING, ColumnTexts, Table, format_table
from bids_app.report.template import session_title, template
from bids_app.report.viewer import Viewer

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
    edited : str
        By whom and when the mask was corrected; empty if it was not.
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
    edited: str = ""
    z_score: float = float("nan")
    percentile: float = float("nan")

    @property
    def total_ml(self) -> float:
        """Volume of both thalami, mL."""
        return self.left_ml + self.right_ml

    @property
    def name(self) -> str:
        """Method and contrast."""
        return f"{self.method} on {self.contrast}"

    @property
    def interval(self) -> str:
        """95 % interval of the volume of both thalami; empty if unknown."""
        if not (isfinite(self.low_ml) and isfinite(self.high_ml)):
            return ""
        return f"{self.low_ml:.2f} to {self.high_ml:.2f}"

    @property
    def icv_percent(self) -> float:
        """Volume of both thalami in percent of the intracranial volume; NaN if that is unknown."""
        return 100 * self.total_ml / self.icv_ml if self.icv_ml > 0 else float("nan")


@dataclass(frozen=True, kw_only=True)
class MapValues:
    """Values of a quantitative map within both thalami.

    Attributes
    ----------
    image, units : str
        BIDS suffix of the map, and the unit of its values.
    field : str
        How flip angles were corrected: ``measured``, ``estimated`` or ``n/a``.
    left_mean, left_sd, right_mean, right_sd : float
        Weighted mean and SD within each thalamus; NaN where the map has no value.
    """

    image: str
    units: str
    field: str
    left_mean: float
    left_sd: float
    right_mean: float
    right_sd: float


@dataclass(frozen=True)
class Overlay:
    """Figure of a page, with its caption.

    Attributes
    ----------
    caption : str
    content : bytes
        Content of an image file.
    kind : str
        Its format, ``webp`` or ``png``.
    """

    caption: str
    content: bytes
    kind: str = "webp"

    @property
    def uri(self) -> str:
        """Data URI of the image."""
        return f"data:image/{self.kind};base64," + base64.b64encode(self.content).decode("ascii")


@dataclass(frozen=True)
class AlignmentReport:
    """Alignment of another contrast to the anchor image.

    Attributes
    ----------
    contrast, strategy : str
        Aligned contrast, and the selected strategy.
    attempts : tuple of mapping
        Rows of the table of attempts, values by column.
    checkerboard : Overlay or None
    histogram : R1Histogram or None
        The histogram of a map of R1.
    """

    contrast: str
    strategy: str
    attempts: tuple[Mapping[str, object], ...]
    checkerboard: Overlay | None = None
    histogram: R1Histogram | None = None


@dataclass(frozen=True, kw_only=True)
class TemplateReport:
    """Measured image in the space of a template.

    Attributes
    ----------
    name : str
        Name of the template.
    correlation : float
        With the template within its brain.
    least_jacobian, most_jacobian : float
        Range of the Jacobian determinant of the transform, head per template.
    checkerboard : Overlay
    """

    name: str
    correlation: float
    least_jacobian: float
    most_jacobian: float
    checkerboard: Overlay


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
    values : tuple of MapValues
    viewer : Viewer or None
    brain : Overlay or None
    concerns : tuple of str
        What to review before use, and why.
    alignments : tuple of AlignmentReport
    templates : tuple of TemplateReport
    """

    name: str
    file: str
    shape: tuple[int, ...]
    voxel_size: tuple[float, ...]
    orientation: str
    contrast_agent: str = ""
    volumes: tuple[Volumes, ...] = ()
    values: tuple[MapValues, ...] = ()
    viewer: Viewer | None = None
    brain: Overlay | None = None
    concerns: tuple[str, ...] = ()
    alignments: tuple[AlignmentReport, ...] = ()
    templates: tuple[TemplateReport, ...] = ()


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
        Notes on the input, and what could not be made.
    files : tuple of str
        Results, relative to the page.
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
    files: tuple[str, ...] = ()
    visits: str = ""

    @property
    def main(self) -> Volumes | None:
        """The measurement that the page shows first."""
        return next((row for anchor in self.anchors for row in anchor.volumes), None)

    @property
    def flagged(self) -> tuple[int, int]:
        """Number of segmentations to review, and of all."""
        flags = [row.qc == "check" for anchor in self.anchors for row in anchor.volumes]
        return sum(flags), len(flags)


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
            _value_table(anchor.values),
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


def _value_table(values: tuple[MapValues, ...]) -> Table:
    """Format the values of maps, each with its own number of decimals."""
    rows = [
        {
            "Map": f"{row.image} ({row.units})",
            "Left, mean ± SD": _mean_and_sd(row.left_mean, row.left_sd),
            "Right, mean ± SD": _mean_and_sd(row.right_mean, row.right_sd),
            "Transmit field": row.field,
        }
        for row in values
    ]
    return format_table(pd.DataFrame(rows))


def _mean_and_sd(mean: float, sd: float) -> str:
    """Format a mean of three significant digits with its SD.

    Examples
    --------
    >>> _mean_and_sd(0.69512, 0.0412), _mean_and_sd(20.118, 3.44), _mean_and_sd(float("nan"), 0)
    ('0.695 ± 0.041', '20.1 ± 3.4', 'n/a')
    """
    if not isfinite(mean):
        return MISSING
    digits = min(max(2 - floor(log10(abs(mean))), 0), 3) if mean else 3
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def _volume_table(volumes: tuple[Volumes, ...]) -> Table:
    """Format the volumes, with the columns that decide on their use in front."""
    rows = [
        {
            "Method": row.method,
            "Contrast": row.contrast,
            "Left (mL)": row.left_ml,
            "Right (mL)": row.right_ml,
            "Total (mL)": row.total_ml,
            "95 % interval (mL)": row.interval or None,
            "Expected Dice": row.confidence,
            "QC": row.qc,
            "Edited": row.edited,
            "z-score vs. norm": row.z_score,
            "Percentile of norm": row.percentile,
            "Total / ICV (%)": row.icv_percent,
            "ICV (mL)": row.icv_ml,
            "Brain (mL)": row.brain_ml,
        }
        for row in volumes
    ]
    return format_table(pd.DataFrame(rows))
