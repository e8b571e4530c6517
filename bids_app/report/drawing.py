"""Colours, style, canvas and legend, shared by all plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import matplotlib.typing as mpt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette, distinguishable with any common colour vision deficiency.
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
    # Dollar signs in labels do not enclose formulas.
    "text.parse_math": False,
}

# Width of a strip, and the widest figure that a page shows at full size, inches.
_STRIP, _WIDEST = 1.8, 12.0
# Most names that fit horizontally, and most that fit at a slope.
_MOST_LEVEL, _MOST_SLOPING = 4, 30
_BOX_ALPHA = 0.6

Parameters = ParamSpec("Parameters")


def styled(plot: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Decorate a plot to use the common style without changing the settings of the process."""

    @wraps(plot)
    def draw(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return plot(*args, **kwargs)

    return draw


def canvas(title: str, width: float = 6.0, height: float = 4.5) -> tuple[Figure, Axes]:
    """Return a figure of that size in inches, independent of pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def strip_canvas(title: str, counts: pd.Series) -> tuple[Figure, Axes]:
    """Return a figure with room for one strip per entry of `counts`, named with its count."""
    width = min(max(6.0, 0.8 + _STRIP * len(counts)), _WIDEST)
    level = len(counts) <= _MOST_LEVEL
    figure, axes = canvas(title, width, 4.5 if level else 6.0)
    if level:
        # Method and contrast on separate lines need less width.
        lines = [str(name).replace(" ", "\n", 1) for name in counts.index]
        names = [f"{name}\nn = {count}" for name, count in zip(lines, counts, strict=True)]
        axes.set_xticks(range(len(counts)), names)
    else:
        axes.set_xticks(
            range(len(counts)),
            [f"{name} (n = {count})" for name, count in counts.items()],
            rotation=30 if len(counts) <= _MOST_SLOPING else 90,
            rotation_mode="anchor",
            ha="right",
            va="top" if len(counts) <= _MOST_SLOPING else "center",
        )
    axes.set_xlim(-0.6, max(len(counts), 1) - 0.4)
    return figure, axes


def draw_boxes(
    axes: Axes, groups: Mapping[str, Sequence[pd.Series]], colours: Sequence[mpt.ColorType]
) -> None:
    """Draw Tukey box plots at the strips 0, 1, …, within each strip one per group.

    Boxes span the quartiles, whiskers reach the last value within 1.5 interquartile ranges.

    Parameters
    ----------
    axes : Axes
    groups : mapping of str to sequence of Series
        One sample per strip, by text of the legend (none if empty); NaN are excluded.
    colours : sequence of colours
        One colour per group.
    """
    if not any(groups.values()):
        return  # matplotlib draws an empty list as one empty box
    width = 0.8 / len(groups)
    for number, ((name, samples), colour) in enumerate(zip(groups.items(), colours, strict=True)):
        boxes = axes.boxplot(
            [sample.dropna().to_numpy() for sample in samples],
            positions=np.arange(len(samples)) + (number - (len(groups) - 1) / 2) * width,
            widths=0.85 * width,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": "black"},
            flierprops={"markersize": 3},
        )
        for box in boxes["boxes"]:
            box.set(facecolor=colour, alpha=_BOX_ALPHA)
            # Box plots have no entry in the legend of their own.
        axes.fill_between([], [], color=colour, alpha=_BOX_ALPHA, label=name)


def draw_legend(axes: Axes, columns: int = 1) -> None:
    """Draw the legend below the axes if any artist has a label."""
    figure = axes.get_figure(root=True)
    if figure is not None and axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=columns)
