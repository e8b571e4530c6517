"""Self-contained HTML page of a subject's visits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

import pandas as pd

from bids_app.report.session_page import Overlay
from bids_app.report.tables import Table, format_table
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
    is_single : bool
        Whether it was made from one contrast alone, rather than from several.
    left, right, total : float
        Percent of the earlier visit; NaN where it is not measurable, as all others.
    raw, scaled : float
        That of both thalami without and with correction for scale.
    low, high : float
        Ends of the 95 % interval of `total`.
    scale, scale_error : float
        Percent; NaN where unknown.
    verdict : str
    rank : int
        0 where the change can be used, 1 where it has to be reviewed before, 2 where there is none.
    reason : str
        Why it is not measured, or has to be reviewed; empty otherwise.
    differences : str
        In what the acquisitions differ; empty if in nothing.
    """

    method: str
    contrast: str
    is_single: bool = True
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
    rank: int = 0
    reason: str = ""
    differences: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a change with an interval."""
        return all(map(isfinite, (self.total, self.low, self.high)))

    @property
    def text(self) -> str:
        """The change with its interval, in percent; the verdict where there is none."""
        if not self.is_known:
            return self.verdict
        return f"{signed(self.total)} % [{signed(self.low)}, {signed(self.high)}]"


@dataclass(frozen=True)
class BrainRow:
    """Percentage brain volume change (NaN where it is not measurable), verdict and reason."""

    percent: float
    verdict: str
    reason: str = ""

    @property
    def text(self) -> str:
        """The change; the verdict where there is none."""
        return f"{signed(self.percent)} %" if isfinite(self.percent) else self.verdict


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """What is known about two visits.

    Attributes
    ----------
    first, later : str
        Such as ``ses-01``.
    changes : tuple of ChangeRow
        One or more.
    brain : BrainRow or None
    figure : Overlay or None
    """

    first: str
    later: str
    changes: tuple[ChangeRow, ...]
    brain: BrainRow | None = None
    figure: Overlay | None = None

    @property
    def name(self) -> str:
        """Both sessions."""
        return f"{self.first} to {self.later}"

    @property
    def main(self) -> ChangeRow:
        """The change to read first: that with the best verdict, of the first contrast."""
        return min(self.changes, key=lambda row: row.rank)

    @property
    def answer(self) -> str:
        """The main change in a sentence."""
        row = self.main
        if not row.is_known:
            return "The change of the thalami cannot be measured between these visits."
        if row.low <= 0 <= row.high:
            return (
                "The 95 % interval contains 0: the visits do not differ by more than the error of "
                "the measurement."
            )
        kind = "loss" if row.total < 0 else "gain"
        return f"The 95 % interval does not contain 0: a {kind} beyond the error of measurement."

    @property
    def reasons(self) -> list[str]:
        """Why changes are not measured, or have to be reviewed, with those that this concerns."""
        return _grouped(
            {
                row: row.reason and f"{row.verdict}: {row.reason}"
                for row in self._on_single_contrasts
            }
        )

    @property
    def differences(self) -> list[str]:
        """What differs between the visits, with the changes that this concerns."""
        return _grouped({row: row.differences for row in self._on_single_contrasts})

    @property
    def _on_single_contrasts(self) -> list[ChangeRow]:
        """Changes by the first method on single contrasts: what applies to these applies to all."""
        single = [row for row in self.changes if row.is_single] or list(self.changes)
        return [row for row in single if row.method == single[0].method]


@dataclass(frozen=True, kw_only=True)
class VisitsReport:
    """Content of the page of a subject's visits.

    Attributes
    ----------
    subject : str
        Label without prefix.
    pairs : tuple of PairReport
        Those to read first in front.
    pages : mapping of str to str
        Files of the pages of sessions, by session.
    software : mapping of str to str
        Versions by name.
    methods, citation : str
        Paragraphs, separated by empty lines.
    warnings : tuple of str
    history : str
        Why the visits were compared again; empty at the first time.
    """

    subject: str
    pairs: tuple[PairReport, ...]
    pages: Mapping[str, str]
    software: Mapping[str, str]
    methods: str
    citation: str
    warnings: tuple[str, ...] = ()
    history: str = ""


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
    overview = _overview(report.pairs) if len(pairs) > 1 else None
    return template("visits.html.jinja").render(
        title=session_title(report.subject, ""),
        report=report,
        pairs=pairs,
        overview=overview,
        signed=signed,
    )


def signed(percent: float) -> str:
    """Write a percentage with its sign; what rounds to 0 has none."""
    text = f"{percent:+.2f}"
    return "0.00" if float(text) == 0 else text


def _grouped(texts: Mapping[ChangeRow, str]) -> list[str]:
    """List each text once, with the contrasts that it concerns unless these are all."""
    concerned: dict[str, list[str]] = {}
    for row, text in texts.items():
        concerned.setdefault(text, []).append(row.contrast)
    return [
        text if len(concerned) == 1 else f"{text} ({', '.join(contrasts)})"
        for text, contrasts in concerned.items()
        if text
    ]


def _overview(pairs: Iterable[PairReport]) -> Table:
    """Tabulate the changes of all pairs: one column for each method and contrast."""
    rows = []
    for pair in pairs:
        row = {"From": pair.first, "To": pair.later}
        row |= {_name(each, pair.changes): _judged(each.text, each) for each in pair.changes}
        if pair.brain:
            row["Brain (PBVC)"] = _judged(pair.brain.text, pair.brain)
        rows.append(row)
    return format_table(pd.DataFrame(rows))


def _judged(text: str, row: ChangeRow | BrainRow) -> str:
    """Add the verdict to a change that has to be reviewed."""
    return text if not row.reason or text == row.verdict else f"{text}, {row.verdict}"


def _name(row: ChangeRow, rows: Sequence[ChangeRow]) -> str:
    """Name a change by its contrast, and by its method where there are several."""
    several = len({each.method for each in rows}) > 1
    return f"{row.contrast} ({row.method})" if several else row.contrast


def _change_table(changes: Sequence[ChangeRow]) -> Table:
    rows = [
        {
            "Contrast": row.contrast,
            "Both (%)": _rounded(row.total),
            "Both (%)_ci_low": _rounded(row.low),
            "Both (%)_ci_high": _rounded(row.high),
            "Left (%)": _rounded(row.left),
            "Right (%)": _rounded(row.right),
            "Verdict": row.verdict,
            "Both, raw (%)": _rounded(row.raw),
            "Both, scale corrected (%)": _rounded(row.scaled),
            "Scale (%)": _rounded(row.scale),
            "Standard error of the scale (%)": row.scale_error,
            "Method": row.method,
        }
        for row in changes
    ]
    return format_table(pd.DataFrame(rows))


def _rounded(percent: float) -> float:
    # Without the sign of what rounds to 0.
    return round(percent, 2) + 0.0


def _plot(changes: Sequence[ChangeRow]) -> Plot | None:
    """Place the changes that have an interval on a common scale around 0."""
    measured = [row for row in changes if row.is_known]
    if not measured:
        return None
    ends = (abs(value) for row in measured for value in (row.total, row.low, row.high))
    limit = max(_LEAST_RANGE, *ends)

    def place(percent: float) -> float:
        return round(_WIDTH / 2 + percent / limit * (_WIDTH / 2 - _MARGIN), 1)

    marks = tuple(
        Mark(
            name=_name(row, changes),
            text=row.text,
            is_doubtful=row.rank > 0,
            top=index * _ROW,
            dot=place(row.total),
            low=place(row.low),
            high=place(row.high),
        )
        for index, row in enumerate(measured)
    )
    ticks = {f"{value:+.1f} %" if value else "0": place(value) for value in (-limit, 0, limit)}
    return Plot(width=_WIDTH, height=len(measured) * _ROW + _AXIS, marks=marks, ticks=ticks)
