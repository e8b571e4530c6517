"""The change of a pair of visits as the participant stage completes it."""

from __future__ import annotations

from dataclasses import fields
from math import isnan, nan

import numpy as np
import pytest

from bids_app.alignment.scale import Scales, Source
from bids_app.check.measure import MeasuredPair
from bids_app.segmentation.volumes import ThalamusVolumes


def _volumes(total: float) -> ThalamusVolumes:
    values = dict.fromkeys((each.name for each in fields(ThalamusVolumes)), nan)
    return ThalamusVolumes(**(values | {"total_soft_ml": total, "total_ml": total}))


def _pair(scales: Scales | None) -> MeasuredPair:
    visits = _volumes(10.0), _volumes(9.8)
    return MeasuredPair(
        contrast="T1w",
        cross_sectional=visits,
        halfway=visits,
        longitudinal=visits,
        scales=scales,
        correlation=0.99,
    )


@pytest.mark.parametrize(("source", "change"), [(Source.SKULL, -2.970297), (Source.BRAIN, -2.0)])
def test_a_loss_is_corrected_for_the_scale_of_the_skull_only(source: Source, change: float) -> None:
    pair = _pair(Scales(np.array([1.0, 1.01]), np.zeros(2), source))
    assert pair.scale == pytest.approx(1.0)
    assert pair.change(1.0).percent == pytest.approx(change)
    assert pair.change(1.0).high - pair.change(1.0).percent == pytest.approx(1.96 * 0.5)
    assert pair.change(2.0).high - pair.change(2.0).percent == pytest.approx(1.96 * 1.0)


def test_an_unknown_scale_leaves_the_raw_change() -> None:
    pair = _pair(None)
    assert isnan(pair.scale)
    assert pair.change(1.0).percent == pytest.approx(-2.0)
