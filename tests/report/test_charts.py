"""Charts of the cohort page."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from bids_app.report import chart_markup
from bids_app.report.chart_markup import PageIndex, draw_chart
from bids_app.report.charts import Chart, Intervals, Line, Scatters, Strips
from tests.report.examples import ATTACK, Page, charts


def _strips(values: list[float], method: str = "thalnet T1w") -> Strips:
    names = [f"{number:02}" for number in range(len(values))]
    table = pd.DataFrame({"method": method, "value": values, "subject": names})
    return Strips(values=table, label="mL")


def test_a_strip_has_the_box_of_tukey_and_every_point() -> None:
    index = PageIndex()
    html = draw_chart(_strips([0, 1, 2, 3, 4, 100]), index)
    page = Page(html)
    scale = 108.0
    (box,) = page.all("rect")
    assert float(box["x"].rstrip("%")) == pytest.approx(100 * (1.25 + 4) / scale, abs=0.01)
    assert float(box["width"].rstrip("%")) == pytest.approx(100 * 2.5 / scale, abs=0.01)
    (whisker,) = (line for line in page.all("line") if line["class"] == "whisker")
    # The last value within 1.5 interquartile ranges.
    assert float(whisker["x2"].rstrip("%")) == pytest.approx(100 * (4 + 4) / scale, abs=0.01)
    points = page.all("circle")
    assert [point["data-v"] for point in points] == ["0", "1", "2", "3", "4", "100"]
    assert [point["data-s"] for point in points] == ["0", "1", "2", "3", "4", "5"]
    assert list(index.sessions)[5] == ("05", "")
    (drawing,) = page.all("svg")
    assert drawing["aria-label"] == "thalnet T1w: median 2.5, quartiles 1.25 to 3.75, n = 6"
    assert "2.5 (n = 6)" in page.text


def test_of_too_many_points_those_beyond_the_whiskers_remain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chart_markup, "MOST_POINTS", 5)
    page = Page(draw_chart(_strips([0, 1, 2, 3, 4, 100]), PageIndex()))
    assert [point["data-v"] for point in page.all("circle")] == ["100"]


def test_values_that_are_unknown_are_excluded() -> None:
    page = Page(draw_chart(_strips([1, float("nan"), 3]), PageIndex()))
    assert "n = 2" in page.text
    assert "row" not in draw_chart(_strips([]), PageIndex()).replace("panels", "")


def test_a_program_has_one_colour_and_the_reference_its_own() -> None:
    index = PageIndex()
    names = ["thalnet T1w", "first T1w", "thalnet FLAIR", "reference"]
    colours = [re.findall(r"m-(\w+)", index.attributes(name, "row"))[0] for name in names]
    assert colours == ["0", "1", "0", "reference"]
    assert [place for _, place, _ in index.legend()] == [0, 1, 2, 3]


def _interval(**values: float) -> Intervals:
    rows = [
        {"panel": "EDSS", "method": "a", "estimate": 1.0, "low": 0.5, "high": 1.5, "p": 0.5},
        {"panel": "EDSS", "method": "b", "estimate": 1.2, "low": 0.7, "high": 1.7, "p": 0.5},
        {"panel": "EDSS", "method": "c", "estimate": 1.1, "low": 0.6, "high": 1.6, "p": 0.5},
    ]
    rows[1] |= values
    return Intervals(estimates=pd.DataFrame(rows), label="beta per mL")


def test_estimates_have_intervals_and_stars() -> None:
    page = Page(draw_chart(_interval(p=0.004), PageIndex()))
    assert [drawing["aria-label"] for drawing in page.all("svg")] == [
        "a: 1 [0.5, 1.5]",
        "b: 1.2 [0.7, 1.7], adjusted p below 0.05",
        "c: 1.1 [0.6, 1.6]",
    ]
    marks = [mark["class"] for mark in page.all("circle")]
    assert marks == ["estimate", "estimate significant", "estimate"]
    assert "1.2 **" in page.text


@pytest.mark.parametrize(("values", "arrows"), [({}, 0), ({"high": np.inf}, 1), ({"low": -1e9}, 1)])
def test_intervals_that_end_outside_have_an_arrow(values: dict[str, float], arrows: int) -> None:
    page = Page(draw_chart(_interval(**values), PageIndex()))
    assert len([text for text in page.all("text") if text["class"] == "arrow"]) == arrows


def _scatter(*lines: Line) -> Page:
    points = pd.DataFrame({"method": "a", "x": [0.0, 10.0], "y": [0.0, 10.0]})
    chart = Scatters(points=points, x_label="x", y_label="y", lines={"a": lines})
    return Page(draw_chart(chart, PageIndex()))


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        # Axes reach from -0.4 to 10.4.
        (Line(0, 1), (0, 100, 100, 0)),
        (Line(5), (0, 50, 100, 50)),
        (Line(-5, 2), (25, 100, 75, 0)),
        (Line(10, -1), (0, 0, 100, 100)),
    ],
)
def test_lines_end_at_the_axes(line: Line, ends: tuple[float, ...]) -> None:
    (drawn,) = _scatter(line).all("line")
    found = [float(drawn[name].rstrip("%")) for name in ("x1", "y1", "x2", "y2")]
    assert found == pytest.approx(ends, abs=0.1)


@pytest.mark.parametrize("line", [Line(99), Line(99, 0.1), Line(float("nan"), 1)])
def test_lines_outside_are_not_drawn(line: Line) -> None:
    assert _scatter(line).all("line") == []


@pytest.mark.parametrize("chart", charts(ATTACK).values(), ids=charts(ATTACK))
def test_charts_escape_their_texts(chart: Chart) -> None:
    html = draw_chart(chart, PageIndex())
    assert ATTACK not in html
    assert ATTACK in Page(html).text
    assert not Page(html).all("script")
