"""Plots of models: coefficients with their intervals, and diagnostics of residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_app.report.drawing import BLUE, GREY, ORANGE, styled
from bids_app.statistics.samples import FloatArray, require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bids_app.statistics.regression import LinearFit

_ESTIMATE = ["panel", "method", "estimate", "low", "high", "p"]
_MOST_PANELS = 4
# Intervals are shown up to this many median widths beyond the outermost estimate.
_MOST_WIDTHS = 3


def stars(p: float) -> str:
    """Return ``*`` for p < 0.05, ``**`` for p < 0.01, ``***`` for p < 0.001."""
    return "*" * sum(p < level for level in (0.05, 0.01, 0.001))


@styled
def interval_plot(
    estimates: pd.DataFrame, label: str, *, none: float | None = 0.0, log: bool = False
) -> Figure:
    """Draw estimates with their confidence intervals, one panel per outcome, with stars.

    Parameters
    ----------
    estimates : DataFrame
        One row per panel and method: ``panel`` (its title), ``method``, ``estimate``, ``low``,
        ``high`` and ``p`` (NaN for none). Ends that are infinite, or so far that the other
        intervals would be illegible, are arrows at the edge. Rows without an estimate are
        excluded.
    label : str
        Text of the axis.
    none : float, optional
        Value of no effect, drawn as a line.
    log : bool
        Whether the axis is logarithmic.

    Raises
    ------
    KeyError
        If a column is absent.
    """
    require_columns(estimates, _ESTIMATE)
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(estimates["method"]))
    panels = list(dict.fromkeys(estimates["panel"]))
    columns = max(1, min(len(panels), _MOST_PANELS))
    lines = -(-max(len(panels), 1) // columns)
    height = lines * (1.2 + 0.28 * len(methods))
    figure = Figure(figsize=(2.2 + 2.6 * columns, height), layout="constrained")
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        rows = estimates[(estimates["panel"] == panel) & np.isfinite(estimates["estimate"])]
        _scale_axis(axes, rows, none, log=log)
        for row in rows.to_dict("records"):
            _draw_estimate(axes, methods.index(row["method"]), row)
        axes.set(title=panel, xlabel=label, ylim=(len(methods) - 0.5, -0.5))
        axes.set_yticks(range(len(methods)), methods)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


@dataclass(frozen=True, eq=False)
class ResidualPoints:
    """What is drawn of a model to judge its assumptions; far less than the model.

    Attributes
    ----------
    outcome : str
    quantiles : (n, 2) float64
        Normal quantiles and studentised residuals.
    residuals : (n, 2) float64
        Fitted values and residuals.
    """

    outcome: str
    quantiles: FloatArray
    residuals: FloatArray

    @classmethod
    def of(cls, fit: LinearFit) -> ResidualPoints:
        """Take the points of a fitted model."""
        return cls(
            fit.model.outcome,
            fit.diagnostics.quantiles[["theoretical", "studentised"]].to_numpy(),
            fit.observations[["fitted", "residual"]].to_numpy(),
        )


@styled
def diagnostics_plot(models: Sequence[ResidualPoints]) -> Figure:
    """Draw QQ and residual-fitted plots, one row per outcome, all methods in one.

    Parameters
    ----------
    models : sequence of ResidualPoints

    Returns
    -------
    matplotlib.figure.Figure
        A model that meets its assumptions has its quantiles on the line, and residuals whose
        spread does not depend on the fitted value.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(points.outcome for points in models))
    figure = Figure(figsize=(7.0, 2.5 * max(len(names), 1)), layout="constrained")
    grid = figure.subplots(max(len(names), 1), 2, squeeze=False)
    for (quantiles, residuals), name in zip(grid, names, strict=True):
        _draw_points(quantiles, residuals, [each for each in models if each.outcome == name])
        ends = np.array(quantiles.get_xlim())
        quantiles.plot(ends, ends, color=GREY, linewidth=0.8)
        quantiles.set(title=f"{name}: QQ", xlabel="normal quantile", ylabel="studentised residual")
        residuals.axhline(0, color=GREY, linewidth=0.8)
        residuals.set(title=f"{name}: residuals", xlabel="fitted", ylabel="residual")
    return figure


def interval_limits(
    rows: pd.DataFrame, none: float | None, *, log: bool = False
) -> tuple[float, float]:
    """Return the ends of an axis with all estimates, and intervals up to a few median widths.

    The interval of a poorly determined model would otherwise make all others illegible.

    Parameters
    ----------
    rows : DataFrame
        ``estimate``, which is finite, ``low`` and ``high``; at least one row.
    none : float or None
        A value that is on the axis.
    log : bool
        Whether the axis is logarithmic.
    """
    ends = rows[["estimate", "low", "high"]].to_numpy(dtype=np.float64)
    if log:
        # An odds ratio may have an end of 0.
        with np.errstate(divide="ignore"):
            ends = np.log10(ends)
    estimate, low, high = ends.T
    closed = np.isfinite(low) & np.isfinite(high)
    widths = high[closed] - low[closed]
    reach = _MOST_WIDTHS * (float(np.median(widths)) if widths.size else 0.0)
    shown = [] if none is None else [np.log10(none) if log else none]
    shown += [estimate.min(), estimate.max()]
    shown += [end for end in low if end > estimate.min() - reach]
    shown += [end for end in high if end < estimate.max() + reach]
    # Infinite ends are drawn as arrows.
    shown = [end for end in shown if np.isfinite(end)]
    margin = 0.05 * (max(shown) - min(shown)) or 0.5
    first, last = min(shown) - margin, max(shown) + margin
    return (10**first, 10**last) if log else (first, last)


def _scale_axis(axes: Axes, rows: pd.DataFrame, none: float | None, *, log: bool) -> None:
    """Set scale and range of the axis of the estimates, and draw the value of no effect."""
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    if none is not None:
        axes.axvline(none, color=GREY, linewidth=0.8)
    if len(rows):
        axes.set_xlim(interval_limits(rows, none, log=log))


def _draw_estimate(axes: Axes, place: int, row: dict[str, float]) -> None:
    significant = row["p"] < 0.05
    colour = ORANGE if significant else BLUE
    left, right = axes.get_xlim()
    if not np.isnan([row["low"], row["high"]]).any():
        ends = [max(row["low"], left), min(row["high"], right)]
        axes.plot(ends, [place, place], color=colour, linewidth=1.5)
        for end, beyond, mark in (
            (left, row["low"] < left, "<"),
            (right, row["high"] > right, ">"),
        ):
            if beyond:
                axes.plot([end], [place], mark, color=colour, clip_on=False)
    axes.plot([row["estimate"]], [place], "o", color=colour)
    if significant:
        axes.annotate(
            stars(row["p"]),
            (row["estimate"], place),
            (0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )


def _draw_points(quantiles: Axes, residuals: Axes, models: Sequence[ResidualPoints]) -> None:
    # One artist for all models: each becomes an image of its own. Gaps separate the lines.
    gap = np.full((1, 2), np.nan)
    lines = np.vstack([part for points in models for part in (points.quantiles, gap)])
    dots = np.vstack([points.residuals for points in models])
    # Lines of several methods in one plot would be too heavy as vectors.
    quantiles.plot(*lines.T, color=BLUE, alpha=0.5, rasterized=True)
    # Thousands of dots as an image keep the page small.
    residuals.plot(*dots.T, ".", color=BLUE, alpha=0.25, markersize=2, rasterized=True)
