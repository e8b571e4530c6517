"""Names of many strips can be read."""

from __future__ import annotations

from math import radians, sin
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bids_app.report.cohort_plots import grouped_boxplot
from bids_app.report.plots import overlap_boxplot, volume_stripplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(count: int) -> list[Figure]:
    """The figures with one strip per method, for so many with long names."""
    names = [f"freesurfer{number} T1wFLAIRR1mapStaple" for number in range(count)]
    table = pd.DataFrame({"method": names * 2, "subject": "01", "total_ml": 12.0, "group": "RRMS"})
    overlap = table.assign(dice=0.9, precision=0.8, sensitivity=np.nan)
    return [
        overlap_boxplot(overlap),
        volume_stripplot(table, "total_ml"),
        grouped_boxplot(table, "total_ml", "mL", by="group"),
    ]


@pytest.mark.parametrize("count", [1, 4, 5, 8, 30, 64])
def test_no_name_covers_its_neighbour(count: int) -> None:
    for figure in figures(count):
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        labels = figure.axes[0].get_xticklabels()
        assert len(labels) == count
        assert all("n = 2" in label.get_text() for label in labels)
        places = [label.get_transform().transform(label.get_position())[0] for label in labels]
        apart = float(np.diff(places).min()) if count > 1 else np.inf
        turned = float(labels[0].get_rotation())
        for label in labels:
            label.set_rotation(0)
        boxes = [label.get_window_extent() for label in labels]
        if turned:
            # Lines of text in parallel: what counts is the distance across them.
            assert apart * sin(radians(turned)) >= max(box.height for box in boxes)
        else:
            assert apart >= max(box.width for box in boxes)


def test_many_names_slope_up_to_their_strip() -> None:
    for figure in figures(8):
        for label in figure.axes[0].get_xticklabels():
            assert (label.get_rotation(), label.get_ha()) == (30, "right")


def test_figures_grow_with_the_strips_up_to_the_page() -> None:
    widths = np.array([[figure.get_figwidth() for figure in figures(n)] for n in (1, 4, 6, 8, 20)])
    assert (np.diff(widths[:3], axis=0) > 0).all()
    assert (widths <= 12).all()


def test_groups_are_drawn_side_by_side_within_the_strip() -> None:
    table = pd.DataFrame(
        {"method": ["a", "a", "b"], "group": ["x", "y", "x"], "ml": [1.0, np.nan, 3.0]}
    )
    axes = grouped_boxplot(table, "ml", "mL", by="group").axes[0]
    boxes = [patch.get_path().vertices[:, 0] for patch in axes.patches]
    middles = [(x.min() + x.max()) / 2 for x in boxes]
    # Nothing was measured of y: its boxes hold no value, but keep their place.
    np.testing.assert_allclose(middles, [-0.2, 0.8, 0.2, 1.2])
    legend = axes.get_legend_handles_labels()[1]
    assert legend == ["x (n = 1)", "y (n = 0)"]
