"""Flow diagram, heatmap and box plots."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.report.charts import FlowStep
from bids_app.report.cohort_plots import (
    containment_heatmap,
    correlation_plot,
    flow_diagram,
    grouped_boxplot,
)
from bids_app.report.plots import figure_files, figure_svg

ATTACK = "<script>alert('$x$')</script>\"&"


def test_the_flow_names_every_step_and_every_loss() -> None:
    steps = [
        FlowStep("Dataset", 10),
        FlowStep("Measured", 7, {"failed": 2, ATTACK: 1}, ("3 sessions",)),
    ]
    svg = figure_svg(flow_diagram(steps))
    for text in ("Dataset", "n = 10", "n = 7", "Excluded (n = 3)", "failed (n = 2)", "3 sessions"):
        assert text in svg
    assert "<script>" not in svg


def test_the_heatmap_writes_each_value_once() -> None:
    pairs = [("a", "a", 1.0), ("a", "b", 0.25), ("b", "a", 0.75), ("b", "b", np.nan)]
    table = pd.DataFrame(pairs, columns=["contained", "container", "containment"])
    svg = figure_svg(containment_heatmap(table))
    assert ">0.25<" in svg
    assert ">0.75<" in svg
    assert "nan" not in svg


def test_boxes_by_method_and_group() -> None:
    values = pd.DataFrame(
        {
            "method": ["a", "b"] * 10,
            "percent": [*np.arange(19.0), np.nan],
            "diagnosis": [ATTACK] * 6 + ["RRMS"] * 14,
        }
    )
    figure = grouped_boxplot(values, "percent", "%", by="diagnosis", zero=True)
    svg, png = figure_files(figure)
    assert "RRMS (n = 7)" in svg
    assert "n = 9" in svg
    assert "<script>" not in svg
    assert png.startswith(b"\x89PNG")
    assert figure_files(grouped_boxplot(values, "percent", "%"))[0].startswith("<?xml")


def test_scatter_plots_with_lines() -> None:
    values = pd.DataFrame(
        {"brain": [-1.0, 0.0, 1.0, 2.0], ATTACK: [1.0, 2.0, 3.0, np.nan], "flat": np.nan}
    )
    panels = {ATTACK: "r = 1.00, n = 3", "flat": "n = 0"}
    figure = correlation_plot(values, "brain", panels, x_label="PBVC (%)", y_label="thalamus (%)")
    first, second = figure.axes[:2]
    (line,) = [line for line in first.lines if line.get_color() == "black"]
    assert list(line.get_xdata()) == [-1, 1]
    np.testing.assert_allclose(line.get_ydata(), [1, 3])
    assert not [line for line in second.lines if line.get_color() == "black"]
    svg = figure_svg(figure)
    assert "r = 1.00, n = 3" in svg
    assert "<script>" not in svg


def test_an_absent_column() -> None:
    with pytest.raises(KeyError, match="percent"):
        grouped_boxplot(pd.DataFrame({"method": ["a"]}), "percent", "%")
