"""Intervals of changes, and correction for scale."""

from __future__ import annotations

import pytest

from bids_app.segmentation.change import Precision, change_between

FINE = Precision(error=0.5, longest_side=0.8, correlation=0.99)


def test_a_larger_head_is_no_growth() -> None:
    grown = change_between(0.5, 0.5, is_scale_of_skull=True, precision=FINE)
    assert grown.percent == pytest.approx(0)
    assert grown.raw == 0.5
    lost = change_between(-2.0, 0.3, is_scale_of_skull=True, precision=FINE)
    assert lost.percent == lost.scaled == pytest.approx(100 * (0.98 / 1.003 - 1))


def test_a_scale_of_the_brain_corrects_nothing() -> None:
    change = change_between(-2.0, -0.5, is_scale_of_skull=False, precision=FINE)
    assert change.percent == -2.0
    assert change.scaled == pytest.approx(-1.5075, abs=1e-4)


def _width(precision: Precision) -> float:
    change = change_between(-1.0, 0.0, is_scale_of_skull=False, precision=precision)
    assert change.percent == -1.0
    return change.high - change.low


def test_the_interval_is_that_of_the_images() -> None:
    assert _width(FINE) == pytest.approx(2 * 1.96 * 0.5)
    assert _width(Precision(0.5, 3.0, 0.99)) == pytest.approx(3 * _width(FINE))
    assert _width(Precision(0.85, 1.0, 0.99)) == pytest.approx(1.7 * _width(FINE))
    # Four times the misfit doubles the error; thick slices misfit anyway.
    assert _width(Precision(0.5, 1.0, 0.94)) == pytest.approx(2 * _width(FINE))
    assert _width(Precision(0.5, 3.0, 0.94)) == pytest.approx(3 * _width(FINE))
