"""Coefficients with intervals, and diagnostics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.report.model_plots import ResidualPoints, diagnostics_plot, interval_plot, stars
from bids_app.report.plots import figure_svg
from bids_app.statistics.design import Model
from bids_app.statistics.regression import fit_linear


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.2, ""), (0.05, ""), (0.049, "*"), (0.009, "**"), (0.0009, "***"), (np.nan, "")],
)
def test_stars(p: float, expected: str) -> None:
    assert stars(p) == expected


def test_panels_with_estimates_and_stars() -> None:
    table = pd.DataFrame(
        {
            "panel": ["edss", "edss", "sdmt", "sdmt", "walk"],
            "method": ["<b>a</b>", "b", "<b>a</b>", "b", "b"],
            "estimate": [-0.3, 0.1, np.nan, 2.0, 1.0],
            "low": [-0.5, -0.1, np.nan, np.inf, 0.5],
            "high": [-0.1, 0.3, np.nan, np.inf, 1.5],
            "p": [0.0001, 0.4, np.nan, 0.02, np.nan],
        }
    )
    svg = figure_svg(interval_plot(table, "beta"))
    assert svg.count(">***<") == 1
    assert svg.count(">*<") == 1
    assert "<b>" not in svg
    table = table.assign(estimate=[10.0] * 5, low=1.0, high=100.0)
    assert ">10<" in figure_svg(interval_plot(table, "n", none=None, log=True))


def arrows(table: pd.DataFrame, **options: object) -> dict[str, list[str]]:
    """Return, by method, the arrows at the edges of the only panel."""
    axes = interval_plot(table.assign(panel="n", p=np.nan), "n", **options).axes[0]  # type: ignore[arg-type]
    marks = [line for line in axes.lines if line.get_marker() in ("<", ">")]
    assert all(line.get_xdata()[0] in axes.get_xlim() for line in marks)
    return {
        name: [line.get_marker() for line in marks if line.get_ydata()[0] == place]
        for place, name in enumerate(table["method"])
    }


def test_an_open_interval_ends_in_an_arrow() -> None:
    table = pd.DataFrame(
        {
            "method": ["closed", "no upper end", "no end", "unknown"],
            "estimate": [90.0, 200.0, 100.0, 120.0],
            "low": [50.0, 80.0, 0.0, np.nan],
            "high": [150.0, np.inf, np.inf, np.nan],
        }
    )
    expected = {"closed": [], "no upper end": [">"], "no end": ["<", ">"], "unknown": []}
    assert arrows(table, none=None, log=True) == expected
    assert arrows(table.assign(low=[50.0, 80.0, -np.inf, np.nan])) == expected
    alone = table[table["method"] == "no end"]
    assert arrows(alone.assign(low=-np.inf), none=None) == {"no end": ["<", ">"]}


def test_interval_that_would_hide_the_others_ends_in_an_arrow() -> None:
    table = pd.DataFrame(
        {
            "method": ["a", "b", "barely determined"],
            "estimate": [1.0, 2.0, 3.0],
            "low": [0.5, 1.5, -9000.0],
            "high": [1.5, 2.5, 9006.0],
        }
    )
    assert arrows(table) == {"a": [], "b": [], "barely determined": ["<", ">"]}


def test_an_absent_column() -> None:
    with pytest.raises(KeyError, match="estimate"):
        interval_plot(pd.DataFrame({"panel": [], "method": []}), "beta")


def test_diagnostics_hold_dots_as_an_image() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"v": rng.normal(size=400), "y": rng.normal(size=400)})
    points = ResidualPoints.of(fit_linear(data, Model(outcome="y", predictor="v")))
    svg = figure_svg(diagnostics_plot([points, points]))
    assert "y: QQ" in svg
    assert svg.count("<image") >= 2
    assert len(svg) < 200_000
