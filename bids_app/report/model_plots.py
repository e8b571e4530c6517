"""Plots of models: coefficients with their intervals, and diagnostics of residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bids_app.report.drawing import BLUE, GREY, ORANGE, styled
from bids_app.statistics.regression import Diagnostics, LinearFit
from bids_app.statistics.samples import require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ESTIMATE = ["panel", "method", "estimate", "low", "high", "p"]
_MOST_PANELS = 4


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
        ``high`` (infinite for none, drawn as an arrow) and ``p`` (NaN for none). Rows without
        an estimate are left out.
    label : str
        Text of the axis.
    none : float, optional
        Value that means no effect, drawn as a line.
    log : bool
        Whether the axis is logarithmic.

    Returns
    -------
    matplotlib.figure.Figure

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
    rows = -(-max(len(panels), 1) // columns)
    height = rows * (1.2 + 0.28 * len(methods))
    figure = Figure(figsize=(2.2 + 2.6 * columns, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        if none is not None:
            axes.axvline(none, color=GREY, linewidth=0.8)
        own = estimates[(estimates["panel"] == panel) & np.isfinite(estimates["estimate"])]
        for row in own.to_dict("records"):
            _draw_estimate(axes, methods.index(row["method"]), row)
        axes.set(title=panel, xlabel=label, ylim=(len(methods) - 0.5, -0.5))
        axes.set_yticks(range(len(methods)), methods)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


@styled
def diagnostics_plot(fits: Sequence[tuple[str, LinearFit, Diagnostics]]) -> Figure:
    """Draw QQ and residual-fitted plots, one row per outcome, all methods in one.

    Parameters
    ----------
    fits : sequence of (str, LinearFit, Diagnostics)
        Name of the row, a fit and its diagnostics.

    Returns
    -------
    matplotlib.figure.Figure
        A model that meets its assumptions has its quantiles on the line, and residuals whose
        spread does not depend on the fitted value.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for name, _, _ in fits))
    figure = Figure(figsize=(7.0, 2.5 * max(len(names), 1)), layout="constrained")
    grid = figure.subplots(max(len(names), 1), 2, squeeze=False)
    for (quantiles, residuals), name in zip(grid, names, strict=True):
        for _, fit, diagnostics in (item for item in fits if item[0] == name):
            _draw_fit(quantiles, residuals, fit, diagnostics)
        ends = np.array(quantiles.get_xlim())
        quantiles.plot(ends, ends, color=GREY, linewidth=0.8)
        quantiles.set(title=f"{name}: QQ", xlabel="normal quantile", ylabel="studentised residual")
        residuals.axhline(0, color=GREY, linewidth=0.8)
        residuals.set(title=f"{name}: residuals", xlabel="fitted", ylabel="residual")
    return figure


def _draw_estimate(axes: Axes, place: int, row: dict[str, float]) -> None:
    significant = row["p"] < 0.05
    colour = ORANGE if significant else BLUE
    if np.isfinite([row["low"], row["high"]]).all():
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.5)
    elif np.isfinite(row["low"]) and row["high"] == np.inf:
        # An arrow to the edge: the interval has no upper end.
        axes.annotate(
            "",
            (1, place),
            (row["low"], place),
            xycoords=axes.get_yaxis_transform(),
            textcoords="data",
            arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 0, "shrinkB": 0},
        )
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


def _draw_fit(quantiles: Axes, residuals: Axes, fit: LinearFit, diagnostics: Diagnostics) -> None:
    table = diagnostics.quantiles
    quantiles.plot(
        table["theoretical"], table["studentised"], color=BLUE, alpha=0.5, rasterized=True
    )
    # Thousands of dots as an image keep the page small.
    residuals.plot(
        fit.observations["fitted"],
        fit.observations["residual"],
        ".",
        color=BLUE,
        alpha=0.25,
        markersize=2,
        rasterized=True,
    )
