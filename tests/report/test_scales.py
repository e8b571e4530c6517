"""Axes of charts."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.report.scales import Scale, scale_of


def test_places_are_percentages_of_the_axis_and_stay_on_it() -> None:
    assert Scale(10, 20).place([10, 12.5, 20, 99, -1]).tolist() == [0, 25, 100, 100, 0]
    assert Scale(1, 100, log=True).place([1, 10, 100, 0]).tolist() == [0, 50, 100, 0]


def test_an_axis_holds_all_finite_values_and_zero_if_requested() -> None:
    scale = scale_of([2, 12, np.nan, np.inf])
    assert (scale.low, scale.high) == pytest.approx((1.6, 12.4))
    assert scale_of([2, 12], zero=True).low < 0
    assert scale_of([]).low < scale_of([]).high
    assert scale_of([5, 5]).low < 5 < scale_of([5, 5]).high


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (Scale(9.6, 20.4), ["12", "15", "18"]),
        (Scale(-0.02, 0.02), ["-0.02", "-0.01", "0", "0.01", "0.02"]),
        (Scale(90, 4000, log=True), ["100", "200", "500", "1000", "2000"]),
        (Scale(0.5, 0.5), []),
    ],
)
def test_ticks_are_round_values_on_the_axis(scale: Scale, texts: list[str]) -> None:
    ticks = [(place, text) for place, text in scale.ticks() if scale.low < scale.high]
    assert [text.replace("\N{MINUS SIGN}", "-") for _, text in ticks] == texts
    assert all(0 <= place <= 100 for place, _ in ticks)
