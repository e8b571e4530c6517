from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bids_app.report.plots import (
    bland_altman_plot,
    figure_png,
    figure_svg,
    overlap_boxplot,
    scatter_plot,
    volume_stripplot,
)
from bids_app.statistics.agreement import bland_altman, concordance, fit_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ATTACK = "<script>alert('$x')</script>\"&"
COUNT = 12
GENERATOR = np.random.default_rng(1)
REFERENCE = GENERATOR.normal(13, 2, COUNT)
METHOD = REFERENCE + GENERATOR.normal(1, 0.5, COUNT)
SUBJECTS = [f"{i // 2:02d}" for i in range(COUNT)]
NAMES: Any = {"quantity": "thalamus volume", "unit": "mL"}


def draw_bland_altman(title: str = "") -> Figure:
    agreement = bland_altman(REFERENCE, METHOD)
    return bland_altman_plot(REFERENCE, METHOD, agreement, title=title, **NAMES)


def draw_scatter(title: str = "") -> Figure:
    fit, ccc = fit_line(REFERENCE, METHOD), concordance(REFERENCE, METHOD)
    return scatter_plot(REFERENCE, METHOD, fit, ccc, title=title, **NAMES)


def draw_overlap(title: str = "") -> Figure:
    values = GENERATOR.uniform(0.8, 1, COUNT)
    table = pd.DataFrame({"method": [title or "thalnet", "first"] * (COUNT // 2)})
    return overlap_boxplot(
        table.assign(dice=np.linspace(0.8, 0.9, COUNT), precision=0.9, sensitivity=np.sort(values)),
        title=title,
    )


def draw_volumes(title: str = "") -> Figure:
    table = pd.DataFrame({"subject": SUBJECTS, "method": title or "thalnet", "total_ml": METHOD})
    return volume_stripplot(table, "total_ml", title=title)


PLOTS: list[Callable[..., Figure]] = [
    draw_bland_altman,
    draw_scatter,
    draw_overlap,
    draw_volumes,
]


def text_of(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own figure


@pytest.mark.parametrize("draw", PLOTS)
def test_svg_is_whole_and_png_has_the_size(draw: Callable[..., Figure]) -> None:
    figure = draw()
    assert "n = " in text_of(figure_svg(figure))
    png = Image.open(BytesIO(figure_png(figure, dpi=50)))
    assert png.size == tuple(int(side * 50) for side in figure.get_size_inches())


@pytest.mark.parametrize("draw", [draw_bland_altman, draw_scatter, draw_volumes])
def test_svg_is_the_same_every_time(draw: Callable[..., Figure]) -> None:
    first, second = figure_svg(draw()), figure_svg(draw())
    assert first == second
    assert "<dc:date>" not in first


@pytest.mark.parametrize("draw", PLOTS)
def test_markup_in_labels_is_escaped(draw: Callable[..., Figure]) -> None:
    svg = figure_svg(draw(ATTACK))
    assert "<script" not in svg
    assert ATTACK in text_of(svg)


def test_bland_altman_shows_the_numbers_given() -> None:
    agreement = bland_altman(REFERENCE, METHOD)
    text = text_of(figure_svg(draw_bland_altman("thalnet")))
    assert f"bias {agreement.bias.estimate:.2f} [" in text
    assert f"SD {agreement.sd.estimate:.2f} mL" in text
    assert f"n = {COUNT}" in text
    assert "Method - reference (mL)" in text


def test_scatter_has_equal_axes_and_concordance() -> None:
    figure = draw_scatter()
    axes = figure.axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    assert "CCC 0." in text_of(figure_svg(figure))


@pytest.mark.parametrize("count", [0, 1])
def test_few_pairs_are_drawn_without_statistics(count: int) -> None:
    few = ([13.0] * count, [14.0] * count)
    for figure in (bland_altman_plot(*few, None, **NAMES), scatter_plot(*few, None, **NAMES)):
        assert f"n = {count}" in text_of(figure_svg(figure))


def test_pairs_that_are_not_finite_are_excluded() -> None:
    method = METHOD.copy()
    method[:2] = np.nan, np.inf
    figure = scatter_plot(REFERENCE, method, None, **NAMES)
    assert f"n = {COUNT - 2}" in text_of(figure_svg(figure))


def test_samples_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="same length"):
        scatter_plot(REFERENCE, METHOD[:-1], None, **NAMES)


def test_boxes_are_those_of_tukey() -> None:
    dice = [0.2, 0.80, 0.82, 0.84, 0.86, 0.88]
    table = pd.DataFrame({"method": "thalnet", "dice": dice, "precision": 0.9, "sensitivity": 0.9})
    axes = overlap_boxplot(table).axes[0]
    levels = [set(np.round(np.asarray(line.get_ydata()), 6)) for line in axes.lines]
    assert {0.2} in levels  # beyond 1.5 interquartile ranges: an outlier
    assert {0.80} in levels  # the cap of the lower whisker
    assert {0.83} in levels  # the median


def test_lines_join_sessions_and_missing_volumes_are_excluded() -> None:
    table = pd.DataFrame(
        {
            "subject": ["01", "01", "02", "03"],
            "method": "thalnet",
            "total_ml": [12.0, 11.5, 13.0, np.nan],
        }
    )
    figure = volume_stripplot(table, "total_ml")
    lines = [np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines]
    assert lines == [[12.0, 11.5], [13.0]]
    assert "n = 3" in text_of(figure_svg(figure))


def test_tables_without_rows_are_drawn() -> None:
    columns = ["subject", "method", "total_ml", "dice", "precision", "sensitivity"]
    empty = pd.DataFrame({column: pd.Series(dtype=float) for column in columns})
    for figure in (overlap_boxplot(empty), volume_stripplot(empty, "total_ml")):
        assert re.match(r"<\?xml", figure_svg(figure))


def test_absent_columns_are_named() -> None:
    with pytest.raises(KeyError, match="sensitivity"):
        overlap_boxplot(pd.DataFrame({"method": [], "dice": [], "precision": []}))
    with pytest.raises(KeyError, match="total_ml"):
        volume_stripplot(pd.DataFrame({"subject": [], "method": []}), "total_ml")


def test_settings_of_the_process_stay_as_they_are() -> None:
    import matplotlib as mpl

    before = mpl.rcParams.copy()
    figure_svg(draw_scatter())
    assert mpl.rcParams == before
