"""Intervals of changes, and correction for scale."""

from __future__ import annotations

import pytest

from bids_app.segmentation.change import change_between


def test_a_larger_head_is_no_growth() -> None:
    grown = change_between(0.5, 0.5, is_scale_of_skull=True, longest_side=1.0)
    assert grown.percent == pytest.approx(0)
    assert grown.raw == 0.5
    lost = change_between(-2.0, 0.3, is_scale_of_skull=True, longest_side=1.0)
    assert lost.percent == lost.scaled == pytest.approx(100 * (0.98 / 1.003 - 1))


def test_a_scale_of_the_brain_corrects_nothing() -> None:
    change = change_between(-2.0, -0.5, is_scale_of_skull=False, longest_side=1.0)
    assert change.percent == -2.0
    assert change.scaled == pytest.approx(-1.5075, abs=1e-4)


def test_thick_slices_widen_the_interval() -> None:
    fine = change_between(-1.0, 0.0, is_scale_of_skull=False, longest_side=0.8)
    thick = change_between(-1.0, 0.0, is_scale_of_skull=False, longest_side=3.0)
    assert (fine.low, fine.high) == pytest.approx((-1.98, -0.02))
    assert thick.high - thick.low == pytest.approx(3 * (fine.high - fine.low))
