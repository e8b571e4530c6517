"""What the plots share: colours, style, canvas, legend."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette, told apart with any common colour vision deficiency.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
OVERLAP_NAMES = {"dice": "Dice", "precision": "Precision", "sensitivity": "Sensitivity"}
DISTANCE_NAMES = {"hd": "HD", "hd95": "HD95", "assd": "ASSD"}

STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.dpi": 100,
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.markersize": 5.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "thalbids",
    # A label may hold a dollar sign, which is no formula.
    "text.parse_math": False,
}

Parameters = ParamSpec("Parameters")


def styled(plot: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw with the house style, leaving the settings of the process as they are."""

    @wraps(plot)
    def draw(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return plot(*args, **kwargs)

    return draw


def canvas(title: str, width: float = 6.0, height: float = 4.5) -> tuple[Figure, Axes]:
    """Return a figure of that size in inches, apart from pyplot and its global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def name_strips(axes: Axes, counts: pd.Series) -> None:
    """Label the strips 0, 1, … with the names and counts of `counts`."""
    names = [f"{method}\nn = {count}" for method, count in counts.items()]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, max(len(names), 1) - 0.4)


def draw_legend(axes: Axes, columns: int = 1) -> None:
    """Draw the legend below the axes, if there is anything to explain."""
    figure = axes.get_figure(root=True)
    if figure is not None and axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=columns)
