"""Plots of the cohort: flow of participants, containment of masks, change, correlation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_app.report.charts import FlowStep
from bids_app.report.drawing import (
    BLUE,
    GREY,
    canvas,
    draw_boxes,
    draw_legend,
    strip_canvas,
    styled,
)
from bids_app.statistics.samples import is_constant, require_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_MOST_COLUMNS = 4


@styled
def flow_diagram(steps: Sequence[FlowStep]) -> Figure:
    """Draw the participants at each step and those excluded before it, after CONSORT.

    Parameters
    ----------
    steps : sequence of FlowStep
        From top to bottom.

    References
    ----------
    Hopewell et al. 2025, BMJ 389:e081123 (CONSORT statement, flow diagram).
    """
    texts = [_box_text(step) for step in steps]
    sides = [_side_text(step) for step in steps]
    # Inches, 0.2 per line of text.
    heights = [
        0.4 + 0.2 * max(text.count("\n"), side.count("\n"))
        for text, side in zip(texts, sides, strict=True)
    ]
    figure, axes = canvas("", width=8.5, height=sum(heights) + 0.55 * len(steps))
    axes.set_axis_off()
    style = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": GREY}
    # Boxes from top to bottom; those of excluded participants next to the arrow above.
    y, before = 0.0, None
    for text, side, height in zip(texts, sides, heights, strict=True):
        middle = y - height / 2
        if before is not None:
            arrow = {"arrowstyle": "-|>", "color": GREY}
            axes.annotate("", (0.28, middle + height / 2), (0.28, before), arrowprops=arrow)
        axes.text(0.28, middle, text, ha="center", va="center", bbox=style)
        if side:
            axes.plot([0.28, 0.6], [y + 0.25, y + 0.25], color=GREY, linewidth=1, zorder=0)
            axes.text(0.6, y + 0.25, side, ha="left", va="center", bbox=style)
        before, y = middle - height / 2, y - height - 0.55
    axes.set(xlim=(0, 1.1), ylim=(y + 0.3, 0.4))
    return figure


@styled
def containment_heatmap(containment: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the share of each mask (row) that lies in each other mask (column).

    Parameters
    ----------
    containment : DataFrame
        One row per ordered pair: ``contained``, ``container``, ``containment`` (0 to 1).
    title : str

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(containment, ["contained", "container", "containment"])
    names = list(dict.fromkeys(containment["contained"]))
    square = containment.pivot(index="contained", columns="container", values="containment")
    values = square.reindex(index=names, columns=names).to_numpy(dtype=np.float64)
    size = max(4.5, 0.85 * len(names) + 1.5)
    figure, axes = canvas(title, width=size + 1, height=size)
    image = axes.imshow(values, vmin=0, vmax=1, cmap="cividis")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="is contained in", ylabel="mask")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            # The lower part of the colour map is dark.
            colour = "white" if value < 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    figure.colorbar(image, label="mean containment (0 to 1)", shrink=0.8)
    return figure


@styled
def grouped_boxplot(
    values: pd.DataFrame,
    column: str,
    label: str,
    *,
    by: str | None = None,
    zero: bool = False,
    title: str = "",
) -> Figure:
    """Draw Tukey box plots by method, and within each method by group.

    Parameters
    ----------
    values : DataFrame
        The columns ``method``, `column` and, if given, `by`.
    column, label : str
        Column to draw, and the text of its axis.
    by : str, optional
        Column of the groups; each group has its colour.
    zero : bool
        Whether to draw a line at zero.
    title : str

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(values, ["method", column, *([by] if by else [])])
    # Values, not rows: some have no change or volume.
    counts = values.groupby("method", sort=False)[column].count()
    figure, axes = strip_canvas(title, counts)
    if zero:
        axes.axhline(0, color=GREY, linewidth=0.8)
    groups: dict[str, list[pd.Series]] = {}
    for group, members in [("", values)] if by is None else values.groupby(by):
        samples = [members.loc[members["method"] == name, column] for name in counts.index]
        most = max((sample.count() for sample in samples), default=0)
        groups[f"{group} (n = {most})" if by else ""] = samples
    draw_boxes(axes, groups, _colours(len(groups)))
    axes.set_ylabel(label)
    draw_legend(axes, columns=min(len(groups), 6))
    return figure


@styled
def correlation_plot(
    values: pd.DataFrame, x: str, panels: Mapping[str, str], *, x_label: str, y_label: str
) -> Figure:
    """Draw scatter plots of several columns over one, each with its least-squares line.

    Parameters
    ----------
    values : DataFrame
        One row per participant: `x` and the columns named by `panels`; incomplete pairs
        are excluded.
    x : str
    panels : mapping of str to str
        Text below the name of each column, for example the correlation, by column.
    x_label, y_label : str
        Texts of the axes.

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(values, [x, *panels])
    from matplotlib.figure import Figure

    columns = max(1, min(len(panels), _MOST_COLUMNS))
    rows = -(-max(len(panels), 1) // columns)
    figure = Figure(figsize=(1 + 2.4 * columns, 0.6 + 2.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, text) in zip(grid, panels.items(), strict=False):
        across, up = values[[x, name]].dropna().to_numpy(dtype=np.float64).T
        axes.axhline(0, color=GREY, linewidth=0.8)
        # Thousands of points as an image keep the page small.
        axes.plot(across, up, ".", color=BLUE, alpha=0.5, markersize=3, rasterized=True)
        if not is_constant(across):
            slope, intercept = np.polyfit(across, up, 1)
            ends = np.array([across.min(), across.max()])
            axes.plot(ends, intercept + slope * ends, color="black", linewidth=1)
        axes.set_title(f"{name}\n{text}")
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.supxlabel(x_label)
    figure.supylabel(y_label)
    return figure


def _box_text(step: FlowStep) -> str:
    return "\n".join([step.name, f"n = {step.participants}", *step.lines])


def _side_text(step: FlowStep) -> str:
    if not step.excluded:
        return ""
    reasons = [
        line
        for reason, count in step.excluded.items()
        for line in textwrap.wrap(f"{reason} (n = {count})", 44, subsequent_indent="   ")
    ]
    return "\n".join([f"Excluded (n = {sum(step.excluded.values())})", *reasons])


def _colours(count: int) -> list[tuple[float, float, float, float]]:
    from matplotlib import colormaps

    return [tuple(colormaps["cividis"](x)) for x in np.linspace(0.15, 0.95, count)]
