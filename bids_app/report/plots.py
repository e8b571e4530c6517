"""Plots of the group page.

Plots are matplotlib figures without a window, which need no closing; `figure_svg` and `figure_png`
return them as the content of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    OVERLAP_NAMES,
    STYLE,
    canvas,
    draw_boxes,
    draw_legend,
    strip_canvas,
    styled,
)
from bids_app.statistics.agreement import BlandAltman, LineFit
from bids_app.statistics.samples import Interval, require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS: Any = {"color": BLUE, "alpha": 0.7, "markeredgewidth": 0, "linewidth": 1}
# Deflate takes most of the time of a PNG; harder work makes it a sixth smaller.
_COMPRESSION = 1


@styled
def bland_altman_plot(
    reference: npt.ArrayLike,
    method: npt.ArrayLike,
    agreement: BlandAltman | None,
    *,
    quantity: str,
    unit: str,
    title: str = "",
) -> Figure:
    """Plot the differences method - reference against the pairwise means.

    Parameters
    ----------
    reference, method : array_like, shape (n,)
        Paired measurements in `unit`; pairs that are not finite are excluded.
    agreement : BlandAltman or None
        Bias and limits to draw with their confidence bands; None draws the points alone.
    quantity, unit : str
        Name of the measured quantity, and its unit.
    title : str
        Usually the name of the method.

    Raises
    ------
    ValueError
        If the samples differ in length.
    """
    pairs = _pairs(reference, method)
    figure, axes = canvas(title)
    axes.axhline(0, color=GREY, linewidth=0.8)
    means = (pairs["reference"] + pairs["method"]) / 2
    axes.plot(means, pairs["method"] - pairs["reference"], "o", **_MARKS)
    if agreement is not None:
        _draw_agreement(axes, agreement, means, unit)
    _name_axes(
        axes,
        f"Mean of method and reference: {quantity} ({unit})",
        f"Method - reference ({unit})",
        len(pairs),
    )
    return figure


@styled
def scatter_plot(
    reference: npt.ArrayLike,
    method: npt.ArrayLike,
    fit: LineFit | None,
    concordance: Interval | None = None,
    *,
    quantity: str,
    unit: str,
    title: str = "",
) -> Figure:
    """Plot a method on the reference with the line of identity and the regression.

    Parameters
    ----------
    reference, method : array_like, shape (n,)
        Paired measurements in `unit`; pairs that are not finite are excluded.
    fit : LineFit or None
        Regression of the method on the reference; None draws none.
    concordance : Interval or None
        Lin's concordance correlation coefficient, for the legend.
    quantity, unit : str
        Name of the measured quantity, and its unit.
    title : str
        Usually the name of the method.

    Raises
    ------
    ValueError
        If the samples differ in length.
    """
    pairs = _pairs(reference, method)
    figure, axes = canvas(title)
    axes.plot(pairs["reference"], pairs["method"], "o", **_MARKS)
    if len(pairs):
        _draw_identity(axes, pairs)
    if fit is not None:
        _trend(axes, fit, pairs["reference"], "regression, slope")
    if concordance is not None:
        axes.plot([], [], linestyle="none", label=f"CCC {_describe(concordance)}")
        # Otherwise the identity would not be the diagonal.
    axes.set_aspect("equal")
    _name_axes(axes, f"Reference: {quantity} ({unit})", f"Method: {quantity} ({unit})", len(pairs))
    return figure


@styled
def overlap_boxplot(
    overlap: pd.DataFrame,
    measures: Mapping[str, str] = OVERLAP_NAMES,
    label: str = "Overlap with the reference (0 to 1)",
    *,
    title: str = "",
) -> Figure:
    """Draw Tukey box plots of overlap with the reference, one box per method and measure.

    Parameters
    ----------
    overlap : DataFrame
        One row per scan and method: ``method`` and the columns of `measures`; NaN where
        undefined.
    measures : mapping of str to str
        Up to three columns to draw, and their names in the legend.
    label : str
        Text of the axis.
    title : str

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(overlap, ["method", *measures])
    scans = overlap.groupby("method", sort=False)
    figure, axes = strip_canvas(title, scans.size())
    groups = {name: [rows[column] for _, rows in scans] for column, name in measures.items()}
    draw_boxes(axes, groups, (BLUE, ORANGE, GREEN)[: len(groups)])
    axes.set_ylabel(label)
    draw_legend(axes, len(measures))
    return figure


@styled
def volume_stripplot(
    volumes: pd.DataFrame,
    column: str,
    *,
    quantity: str = "Thalamus volume",
    unit: str = "mL",
    title: str = "",
) -> Figure:
    """Plot the volumes of every scan, one strip per method; lines join scans of a subject.

    Parameters
    ----------
    volumes : DataFrame
        One row per scan and method: ``subject``, ``method`` and `column`; the rows of a subject
        are in the order of its sessions.
    column : str
        Column to plot; rows with NaN are excluded.
    quantity, unit : str
        Name of the measured quantity, and its unit.
    title : str

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(volumes, ["subject", "method", column])
    measured = volumes.dropna(subset=[column])
    scans = measured.groupby("method", sort=False)
    figure, axes = strip_canvas(title, scans.size())
    for strip, (_, rows) in enumerate(scans):
        subjects = rows.groupby("subject", sort=False)
        # Multiples of the golden ratio spread any number of subjects evenly over the strip.
        places = subjects.ngroup().to_numpy() * 0.618034 % 1 - 0.5
        # Sessions of a subject are shifted to the right, so that lines are visible.
        steps = strip + 0.6 * places + 0.04 * subjects.cumcount().to_numpy()
        lines = pd.DataFrame({"subject": rows["subject"], "x": steps, "y": rows[column]})
        for _, line in lines.groupby("subject", sort=False):
            axes.plot(line["x"], line["y"], "o-", **_MARKS)
        label = "median" if strip == 0 else ""
        axes.hlines(rows[column].median(), strip - 0.4, strip + 0.4, color=ORANGE, label=label)
    axes.set_ylabel(f"{quantity} ({unit})")
    draw_legend(axes)
    return figure


def drawn_files(draw: Callable[[], Figure]) -> tuple[str, bytes]:
    """Draw a figure, and return its files as `figure_files` does."""
    return figure_files(draw())


def figure_files(figure: Figure) -> tuple[str, bytes]:
    """Return a figure as SVG and as PNG, with its layout computed once.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From one of this package's functions; its layout is frozen.

    Returns
    -------
    svg : str
    png : bytes
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
        # The value "none" would keep a placeholder engine, with which files are drawn twice.
        figure.set_layout_engine(None)
    return figure_svg(figure), figure_png(figure)


def figure_svg(figure: Figure) -> str:
    """Return a figure as SVG with selectable text; equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From one of this module's functions.

    Returns
    -------
    str
    """
    from matplotlib import rc_context

    buffer = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata=nothing)
    return buffer.getvalue()


def figure_png(figure: Figure, dpi: int = 200) -> bytes:
    """Return a figure as PNG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From one of this module's functions.
    dpi : int
        Dots per inch.

    Returns
    -------
    bytes
    """
    from matplotlib import rc_context

    buffer = BytesIO()
    with rc_context(STYLE):
        figure.savefig(
            buffer,
            format="png",
            dpi=dpi,
            metadata={"Software": None},
            pil_kwargs={"compress_level": _COMPRESSION},
        )
    return buffer.getvalue()


def _pairs(reference: npt.ArrayLike, method: npt.ArrayLike) -> pd.DataFrame:
    x, y = np.asarray(reference, dtype=np.float64), np.asarray(method, dtype=np.float64)
    return pd.DataFrame({"reference": x, "method": y}).replace([np.inf, -np.inf], np.nan).dropna()


def _draw_agreement(axes: Axes, agreement: BlandAltman, means: pd.Series, unit: str) -> None:
    _level(axes, agreement.bias, ORANGE, "-", f"bias {_describe(agreement.bias)} {unit}")
    limits = f"limits of agreement, bias ± 1.96 SD (SD {agreement.sd.estimate:.2f} {unit})"
    _level(axes, agreement.upper_limit, GREEN, "--", limits)
    _level(axes, agreement.lower_limit, GREEN, "--")
    _trend(axes, agreement.proportional, means, "proportional bias, slope")


def _draw_identity(axes: Axes, pairs: pd.DataFrame) -> None:
    """Draw the line of identity and give both axes one range."""
    values = pairs[["reference", "method"]].to_numpy()
    margin = 0.05 * (np.ptp(values) or 1.0)
    range_ = (values.min() - margin, values.max() + margin)
    axes.plot(range_, range_, color=GREY, linewidth=0.8, label="identity")
    axes.set(xlim=range_, ylim=range_)


def _level(axes: Axes, level: Interval, colour: str, style: str, label: str = "") -> None:
    """Draw a horizontal line with its confidence band."""
    axes.axhline(level.estimate, color=colour, linewidth=1.2, linestyle=style, label=label)
    axes.axhspan(level.low, level.high, color=colour, alpha=0.12, linewidth=0)


def _trend(axes: Axes, fit: LineFit, x: pd.Series, name: str) -> None:
    """Draw a regression line over the range of `x`."""
    ends = np.array([x.min(), x.max()])
    line = fit.intercept.estimate + fit.slope.estimate * ends
    axes.plot(
        ends,
        line,
        color="black",
        linewidth=1,
        linestyle=":",
        label=f"{name} {_describe(fit.slope)}",
    )


def _describe(interval: Interval) -> str:
    return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _name_axes(axes: Axes, x: str, y: str, n: int) -> None:
    axes.set_xlabel(f"{x}, n = {n}")
    axes.set_ylabel(y)
    draw_legend(axes)
