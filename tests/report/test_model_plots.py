"""Coefficients with intervals, and diagnostics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.report.model_plots import diagnostics_plot, interval_plot, stars
from bids_app.report.plots import figure_svg
from bids_app.statistics.regression import Model, diagnose, fit_linear


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
    assert ">10<" in figure_svg(
        interval_plot(table.assign(estimate=[10.0] * 5, low=1.0, high=100.0), "n", log=True)
    )


def test_an_interval_without_upper_end_is_an_arrow() -> None:
    table = pd.DataFrame(
        {"panel": "n", "method": ["a", "b"], "estimate": [90.0, 200.0], "low": [50.0, 80.0]}
    ).assign(high=[150.0, np.inf], p=np.nan)
    figure = interval_plot(table, "n per arm", none=None, log=True)
    arrows = [text for text in figure.axes[0].texts if getattr(text, "arrow_patch", None)]
    assert [arrow.xyann for arrow in arrows] == [(80.0, 1)]


def test_an_absent_column() -> None:
    with pytest.raises(KeyError, match="estimate"):
        interval_plot(pd.DataFrame({"panel": [], "method": []}), "beta")


def test_diagnostics_hold_dots_as_an_image() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"v": rng.normal(size=400), "y": rng.normal(size=400)})
    fit = fit_linear(data, Model("y", "v"))
    svg = figure_svg(diagnostics_plot([("y", fit, diagnose(fit)), ("y", fit, diagnose(fit))]))
    assert "y: QQ" in svg
    assert svg.count("<image") >= 2
    assert len(svg) < 200_000
