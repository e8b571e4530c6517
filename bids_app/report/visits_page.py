"""Self-contained HTML page of a subject's visits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

import pandas as pd

from bids_app.report.session_page import Overlay
from bids_app.report.tables import MISSING, Table, format_table
from bids_app.report.template import session_title, template

# Of the figure of changes: its sides and the height of a change (pixels), and its least range (%).
_WIDTH, _MARGIN, _ROW, _AXIS = 480.0, 16.0, 46.0, 30.0
_LEAST_RANGE = 1.0


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """Change of the thalami between two visits, by one method on one contrast.

    Attributes
    ----------
    method, contrast : str
    left, right, total : float
        Percent of the earlier visit; NaN where it is not measurable, as all others.
    raw, scaled : float
        That of both thalami without and with correction for scale.
    low, high : float
        Ends of the 95 % interval of `total`.
    scale, scale_error : float
        Percent; NaN where unknown.
    verdict : str
    is_doubtful : bool
        Whether it has to be reviewed before use.
    reason : str
        Why it is not measured, or has to be reviewed; empty otherwise.
    differences : str
        In what the acquisitions differ; empty if in nothing.
    """

    method: str
    contrast: str
    left: float = nan
    right: float = nan
    total: float = nan
    raw: float = nan
    scaled: float = nan
    low: float = nan
    high: float = nan
    scale: float = nan
    scale_error: float = nan
    verdict: str
    is_doubtful: bool = False
    reason: str = ""
    differences: str = ""

    @property
    def name(self) -> str:
        """Method and contrast."""
        return f"{self.method} on {self.contrast}"


@dataclass(frozen=True)
class BrainRow:
    """Percentage brain volume change (NaN where it is not measurable), verdict and reason."""

    percent: float
    verdict: str
    reason: str = ""

    @property
    def text(self) -> str:
        """The change, or that there is none."""
        return f"{self.percent:+.2f} %" if isfinite(self.percent) else MISSING


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """What is known about two visits.

    Attributes
    ----------
    first, later : str
        Such as ``ses-01``.
    changes : tuple of ChangeRow
    brain : BrainRow or None
    figure : Overlay or None
    """

    first: str
    later: str
    changes: tuple[ChangeRow, ...]
    brain: BrainRow | None = None
    figure: Overlay | None = None

    @property
    def reasons(self) -> list[str]:
        """Why changes are not measured, with those that this concerns."""
        return _grouped((f"{row.verdict}: {row.reason}", row) for row in self.changes if row.reason)

    @property
    def differences(self) -> list[str]:
        """What differs between the visits, with the changes that this concerns."""
        return _grouped((row.differences, row) for row in self.changes if row.differences)


@dataclass(frozen=True, kw_only=True)
class VisitsReport:
    """Content of the page of a subject's visits.

    Attributes
    ----------
    subject : str
        Label without prefix.
    pairs : tuple of PairReport
    pages : mapping of str to str
        Files of the pages of sessions, by session.
    software : mapping of str to str
        Versions by name.
    methods, citation : str
        Paragraphs, separated by empty lines.
    warnings : tuple of str
    """

    subject: str
    pairs: tuple[PairReport, ...]
    pages: Mapping[str, str]
    software: Mapping[str, str]
    methods: str
    citation: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A change as drawn: its texts, their height, and the places of dot and interval, pixels."""

    name: str
    text: str
    is_doubtful: bool
    top: float
    dot: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Dots and intervals, and the ticks of the axis below by their texts, pixels."""

    width: float
    height: float
    marks: tuple[Mark, ...]
    ticks: Mapping[str, float]


def visits_page(report: VisitsReport) -> str:
    """Write the page of a subject's visits.

    Parameters
    ----------
    report : VisitsReport

    Returns
    -------
    str
        HTML that loads no other resource; all text from `report` is escaped.
    """
    pairs = [(pair, _change_table(pair.changes), _plot(pair.changes)) for pair in report.pairs]
    title = session_title(report.subject, "")
    return template("visits.html.jinja").render(title=title, report=report, pairs=pairs)


def _grouped(texts: Iterable[tuple[str, ChangeRow]]) -> list[str]:
    concerned: dict[str, list[str]] = {}
    for text, row in texts:
        concerned.setdefault(text, []).append(row.name)
    return [f"{text} ({', '.join(names)})" for text, names in concerned.items()]


def _change_table(changes: Sequence[ChangeRow]) -> Table:
    rows = [
        {
            "Method": row.method,
            "Contrast": row.contrast,
            "Left (%)": row.left,
            "Right (%)": row.right,
            "Both (%)": row.total,
            "95 % interval (%)": f"{row.low:.2f} to {row.high:.2f}" if _is_known(row) else None,
            "Verdict": row.verdict,
            "Both, raw (%)": row.raw,
            "Both, scale corrected (%)": row.scaled,
            "Scale (%)": row.scale,
            "Standard error of the scale (%)": row.scale_error,
        }
        for row in changes
    ]
    return format_table(pd.DataFrame(rows))


def _is_known(row: ChangeRow) -> bool:
    return all(map(isfinite, (row.total, row.low, row.high)))


def _plot(changes: Sequence[ChangeRow]) -> Plot | None:
    """Place the changes that have an interval on a common scale around 0."""
    measured = [row for row in changes if _is_known(row)]
    if not measured:
        return None
    ends = (abs(value) for row in measured for value in (row.total, row.low, row.high))
    limit = max(_LEAST_RANGE, *ends)

    def place(percent: float) -> float:
        return round(_WIDTH / 2 + percent / limit * (_WIDTH / 2 - _MARGIN), 1)

    marks = tuple(
        Mark(
            name=row.name,
            text=f"{row.total:+.2f} % [{row.low:+.2f}, {row.high:+.2f}]",
            is_doubtful=row.is_doubtful,
            top=index * _ROW,
            dot=place(row.total),
            low=place(row.low),
            high=place(row.high),
        )
        for index, row in enumerate(measured)
    )
    ticks = {f"{value:+.1f} %" if value else "0": place(value) for value in (-limit, 0, limit)}
    return Plot(width=_WIDTH, height=len(measured) * _ROW + _AXIS, marks=marks, ticks=ticks)
