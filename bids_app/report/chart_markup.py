"""Charts as HTML and SVG that follow the page's width and colours, and filters of methods.

Places are percentages of the width, so that a chart can be narrow without small letters. Points
carry the number of their session (``data-s``) and their value (``data-v``), by which a script names
and highlights them; every row and panel carries the number of its method (``data-method``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from markupsafe import Markup

from bids_app.report.charts import Chart, Flow, FlowStep, Intervals, Line, Matrix, Scatters, Strips
from bids_app.report.model_plots import interval_limits, stars
from bids_app.report.scales import Scale, number, scale_of

# More points are indistinguishable, and slow: only those beyond the whiskers are drawn.
MOST_POINTS = 8000
# Colours of the style sheet; further programs use them again.
_COLOURS = 8
_REFERENCE = "reference"
_GOLDEN = 0.618034
# Colours of shares above this are dark.
_DARK = 0.6


@dataclass
class PageIndex:
    """Numbers of the sessions and methods that the charts of a page mention.

    Attributes
    ----------
    sessions : dict of (subject, session) to int
    methods : dict of str to int
    """

    sessions: dict[tuple[str, str], int] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)
    _programs: dict[str, int] = field(default_factory=dict)

    def legend(self) -> list[tuple[str, int, int | str]]:
        """Return name, number and colour of every method."""
        return [(name, place, self._colour(name)) for name, place in self.methods.items()]

    def session(self, subject: Hashable, session: Hashable = "") -> int:
        """Return the number of a session; of the participant if the session is empty."""
        return self.sessions.setdefault((str(subject), str(session)), len(self.sessions))

    def attributes(self, method: str, kind: str) -> Markup:
        """Return the classes, among them the colour of the program, and the method's number."""
        place, colour = self.methods.setdefault(method, len(self.methods)), self._colour(method)
        return Markup('class="{} m-{}" data-method="{}"').format(kind, colour, place)

    def _colour(self, method: str) -> int | str:
        program = method.partition(" ")[0]
        if program == _REFERENCE:
            return program
        return self._programs.setdefault(program, len(self._programs)) % _COLOURS


def draw_chart(chart: Chart, index: PageIndex) -> Markup:
    """Draw a chart.

    Parameters
    ----------
    chart : Chart
    index : PageIndex
        Extended by what the chart mentions.

    Returns
    -------
    Markup
    """
    match chart:
        case Strips():
            return _panels(_strips(chart, index), chart.label, "panels")
        case Intervals():
            tested = np.isfinite(chart.estimates["p"]).any()
            label = f"{chart.label} (filled: adjusted p below 0.05)" if tested else chart.label
            return _panels(_intervals(chart, index), label, "panels short")
        case Scatters():
            return _scatters(chart, index)
        case Matrix():
            return _matrix(chart)
        case Flow():
            return _flow(chart)


def _joined(parts: Iterator[Markup]) -> Markup:
    return Markup("").join(parts)


def _panels(panels: Iterator[Markup], label: str, kind: str) -> Markup:
    return Markup('<div class="{}">{}</div><p class="axis-label">{}</p>').format(
        kind, _joined(panels), label
    )


def _panel(title: str, rows: Iterator[Markup], scale: Scale) -> Markup:
    heading = Markup('<p class="panel-title">{}</p>').format(title) if title else ""
    ticks = _joined(
        Markup('<span style="left:{}%">{}</span>').format(f"{place:.2f}", text)
        for place, text in scale.ticks()
    )
    return Markup(
        '<div class="panel">{}{}<div class="axis" aria-hidden="true"><div>{}</div></div></div>'
    ).format(heading, _joined(rows), ticks)


def _row(name: str, attributes: Markup, drawing: str, texts: tuple[str, str]) -> Markup:
    """Compose a row: name of the method, drawing with a text for screen readers, value."""
    described, value = texts
    return Markup(
        '<div {}><span class="name">{}</span><svg role="img" aria-label="{}">{}</svg>'
        '<span class="value">{}</span></div>'
    ).format(attributes, name, f"{name}: {described}", Markup(drawing), value)  # noqa: S704


def _grid(scale: Scale, special: float | None) -> str:
    lines = [_vertical(place, "grid") for place, _ in scale.ticks()]
    if special is not None:
        lines.append(_vertical(float(scale.place(special)), "none"))
    return "".join(lines)


def _vertical(place: float, name: str) -> str:
    return f'<line class="{name}" x1="{place:.2f}%" x2="{place:.2f}%" y1="0" y2="100%"/>'


def _by_panel(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if "panel" not in table:
        yield "", table
        return
    for name, rows in table.groupby("panel", sort=False):
        yield str(name), rows


def _sessions(rows: pd.DataFrame, index: PageIndex) -> list[int | None]:
    """Return the number of the session of each row; None if the subjects are unknown."""
    if "subject" not in rows:
        return [None] * len(rows)
    visits = rows["session"].fillna("") if "session" in rows else [""] * len(rows)
    return [index.session(*labels) for labels in zip(rows["subject"], visits, strict=True)]


def _circle(x: float, y: float, session: int | None, value: str) -> str:
    of_session = "" if session is None else f' data-s="{session}" data-v="{value}"'
    return f'<circle cx="{x:.2f}%" cy="{y:.1f}%"{of_session}/>'


def _strips(chart: Strips, index: PageIndex) -> Iterator[Markup]:
    values = chart.values[np.isfinite(chart.values["value"])]
    every = scale_of(values["value"], zero=chart.zero)
    few = len(values) <= MOST_POINTS
    for title, panel in _by_panel(values):
        scale = every if chart.common else scale_of(panel["value"], zero=chart.zero)
        grid = _grid(scale, 0.0 if chart.zero else None)
        rows = (
            _strip(str(name), rows, scale, index, grid, all_points=few)
            for name, rows in panel.groupby("method", sort=False)
        )
        yield _panel(title, rows, scale)


def _strip(
    name: str, rows: pd.DataFrame, scale: Scale, index: PageIndex, grid: str, *, all_points: bool
) -> Markup:
    """Draw Tukey's box plot of a method with its points."""
    values = rows["value"].to_numpy(dtype=np.float64)
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    fences = low - 1.5 * (high - low), high + 1.5 * (high - low)
    inside = values[(values >= fences[0]) & (values <= fences[1])]
    first, left, middle, right, last = scale.place([inside.min(), low, median, high, inside.max()])
    # Multiples of the golden ratio spread any number of points evenly over the row.
    heights = 20 + 60 * (np.arange(len(values)) * _GOLDEN % 1)
    drawn = zip(scale.place(values), heights, _sessions(rows, index), values, strict=True)
    points = "".join(
        _circle(x, y, session, number(value))
        for x, y, session, value in drawn
        if all_points or not fences[0] <= value <= fences[1]
    )
    box = (
        f'<line class="whisker" x1="{first:.2f}%" x2="{last:.2f}%" y1="50%" y2="50%"/>'
        f'<rect x="{left:.2f}%" width="{max(right - left, 0.1):.2f}%" y="18%" height="64%"/>'
    )
    median_line = f'<line class="median" x1="{middle:.2f}%" x2="{middle:.2f}%" y1="10%" y2="90%"/>'
    described = (
        f"median {number(median)}, quartiles {number(low)} to {number(high)}, n = {len(values)}"
    )
    texts = described, f"{number(median)} (n = {len(values)})"
    return _row(name, index.attributes(name, "row"), grid + box + points + median_line, texts)


def _intervals(chart: Intervals, index: PageIndex) -> Iterator[Markup]:
    table = chart.estimates[np.isfinite(chart.estimates["estimate"])]
    for title, panel in _by_panel(table):
        scale = Scale(*interval_limits(panel, chart.none, log=chart.log), log=chart.log)
        grid = _grid(scale, chart.none)
        rows = (_interval(row, scale, index, grid) for row in panel.to_dict("records"))
        yield _panel(title, rows, scale)


def _interval(row: Mapping[Hashable, float], scale: Scale, index: PageIndex, grid: str) -> Markup:
    name, estimate, low, high = str(row["method"]), row["estimate"], row["low"], row["high"]
    value = number(estimate, 3)
    described = value
    drawing = grid
    if np.isfinite(low) or np.isfinite(high):
        first, last = scale.place([low, high])
        drawing += f'<line class="interval" x1="{first:.2f}%" x2="{last:.2f}%" y1="50%" y2="50%"/>'
        for place, beyond, shape in ((first, low < scale.low, "◂"), (last, high > scale.high, "▸")):
            if beyond:
                drawing += f'<text class="arrow" x="{place:.2f}%" y="50%">{shape}</text>'
        described += f" [{number(low, 3)}, {number(high, 3)}]"
    significant = row["p"] < 0.05
    marked = "estimate significant" if significant else "estimate"
    drawing += f'<circle class="{marked}" cx="{float(scale.place(estimate)):.2f}%" cy="50%"/>'
    described += ", adjusted p below 0.05" if significant else ""
    # Browsers show it while the pointer is on the row.
    drawing += f"<title>{described}</title>"
    texts = described, f"{value} {stars(row['p'])}".rstrip()
    return _row(name, index.attributes(name, "row"), drawing, texts)


def _scatters(chart: Scatters, index: PageIndex) -> Markup:
    points = chart.points[np.isfinite(chart.points["x"]) & np.isfinite(chart.points["y"])]
    if chart.identity:
        across = up = scale_of(points[["x", "y"]])
    else:
        across, up = scale_of(points["x"]), scale_of(points["y"], zero=chart.zero)
    draw = partial(_scatter, chart=chart, scales=(across, up), index=index)
    panels = (draw(str(name), rows) for name, rows in points.groupby("method", sort=False))
    return Markup(
        '<div class="multiples">{}</div><p class="axis-label">Horizontal: {}; vertical: {}</p>'
    ).format(_joined(panels), chart.x_label, chart.y_label)


def _scatter(
    name: str,
    rows: pd.DataFrame,
    *,
    chart: Scatters,
    scales: tuple[Scale, Scale],
    index: PageIndex,
) -> Markup:
    across, up = scales
    lines = [*([Line(0.0, 1.0)] if chart.identity else []), *([Line(0.0)] if chart.zero else [])]
    drawing = "".join(_line(line, across, up, "none") for line in lines)
    drawing += "".join(
        _line(line, across, up, "level" if line.dashed else "fit")
        for line in chart.lines.get(name, ())
    )
    places = zip(
        across.place(rows["x"]),
        100 - up.place(rows["y"]),
        _sessions(rows, index),
        rows["x"],
        rows["y"],
        strict=True,
    )
    drawing += "".join(
        _circle(x, y, session, f"{number(left)} / {number(right)}")
        for x, y, session, left, right in places
    )
    note = chart.notes.get(name, "")
    described = f"{name}: {note + ', ' if note else ''}n = {len(rows)}"
    return Markup(
        '<div {}><p class="panel-title">{}</p><p class="note">{}</p><div class="plane">{}'
        '<svg role="img" aria-label="{}">{}</svg></div></div>'
    ).format(
        index.attributes(name, "multiple"),
        name,
        note,
        _ticks(across, "left") + _ticks(up, "bottom"),
        described,
        Markup(drawing),  # noqa: S704 - numbers only
    )


def _ticks(scale: Scale, edge: str) -> Markup:
    texts = _joined(
        Markup('<span style="{}:{}%">{}</span>').format(edge, f"{place:.2f}", text)
        for place, text in scale.ticks()[::2]
    )
    return Markup('<div class="ticks-{}" aria-hidden="true">{}</div>').format(edge, texts)


def _line(line: Line, across: Scale, up: Scale, name: str) -> str:
    """Draw the part of a line that is inside both axes; empty if there is none."""
    if not np.isfinite([line.intercept, line.slope]).all():
        return ""
    ends = np.array([across.low, across.high])
    if line.slope:
        crossings = np.sort((np.array([up.low, up.high]) - line.intercept) / line.slope)
        ends = np.array([max(ends[0], crossings[0]), min(ends[1], crossings[1])])
    elif not up.low <= line.intercept <= up.high:
        return ""
    if ends[0] > ends[1]:
        return ""
    (x1, x2), (y1, y2) = across.place(ends), 100 - up.place(line.intercept + line.slope * ends)
    return f'<line class="{name}" x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{y1:.2f}%" y2="{y2:.2f}%"/>'


def _matrix(chart: Matrix) -> Markup:
    heads = _joined(Markup('<th scope="col">{}</th>').format(name) for name in chart.values)
    values = chart.values.to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    lowest = min(float(finite.min()), 0.9) if finite.size else 0.0
    rows = _joined(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name, _joined(_share(value, lowest) for value in row)
        )
        for name, row in zip(chart.values.index, values, strict=True)
    )
    corner = Markup('<th scope="col">{} ↓ {} →</th>').format(chart.rows, chart.columns)
    return Markup(
        '<div class="scroll" role="region" aria-label="{} and {}" tabindex="0">'
        '<table class="matrix"><thead><tr>{}{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(chart.rows, chart.columns, corner, heads, rows)


def _share(value: float, lowest: float) -> Markup:
    """Colour a share from light, the lowest of the table or 0.9, to dark, 1."""
    if not np.isfinite(value):
        return Markup('<td style="--share:0%">n/a</td>')
    strength = (value - lowest) / (1 - lowest)
    dark = Markup(' class="dark"') if strength >= _DARK else Markup("")
    return Markup('<td{} style="--share:{}%">{}</td>').format(
        dark, f"{100 * strength:.0f}", f"{value:.2f}"
    )


def _flow(chart: Flow) -> Markup:
    return Markup('<ol class="flow">{}</ol>').format(_joined(map(_step, chart.steps)))


def _step(step: FlowStep) -> Markup:
    lines = _joined(Markup("<br>{}").format(line) for line in step.lines)
    excluded = Markup("")
    if step.excluded:
        reasons = _joined(
            Markup("<li>{} (n = {})</li>").format(reason, count)
            for reason, count in step.excluded.items()
        )
        total = sum(step.excluded.values())
        excluded = Markup('<div class="excluded">Excluded (n = {})<ul>{}</ul></div>').format(
            total, reasons
        )
    return Markup('<li>{}<div class="step"><b>{}</b><br>n = {}{}</div></li>').format(
        excluded, step.name, step.participants, lines
    )
