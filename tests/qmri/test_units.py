"""Units of existing maps."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.qmri.units import check_r1, r1_in_per_second, relative_field

_BRAIN = np.zeros((10, 10, 10), dtype=bool)
_BRAIN[2:8, 2:8, 2:8] = True
_R1 = np.where(_BRAIN, np.random.default_rng(0).normal(0.8, 0.1, _BRAIN.shape), 0)


@pytest.mark.parametrize(
    ("quantity", "values", "words"),
    [
        ("R1map", _R1, ""),
        ("R1map", 1000 * _R1, "1/s times 1000"),
        ("R1map", _R1 / 1000, "1/ms"),
        ("T1map", np.divide(1, _R1, where=_BRAIN, out=0 * _R1), "T1 in s"),
        ("T1map", np.divide(1000, _R1, where=_BRAIN, out=0 * _R1), "T1 in ms"),
    ],
)
def test_units_are_recognised_and_converted(quantity: str, values: np.ndarray, words: str) -> None:
    found = r1_in_per_second(values, quantity, _BRAIN)
    assert words in found.conversion
    assert bool(words) == bool(found.conversion)
    assert found.values[_BRAIN] == pytest.approx(_R1[_BRAIN], rel=1e-5)
    assert np.isnan(found.values[~_BRAIN]).all()


@pytest.mark.parametrize(("quantity", "factor"), [("R1map", 30), ("T1map", 1e6), ("T1map", 40)])
def test_implausible_maps_are_refused_with_the_median(quantity: str, factor: float) -> None:
    with pytest.raises(ValueError, match=rf"^{quantity} has a median of .* in the brain, where"):
        r1_in_per_second(factor * _R1, quantity, _BRAIN)
    with pytest.raises(ValueError, match="0 % of the brain"):
        r1_in_per_second(0 * _R1, quantity, _BRAIN)
    with pytest.raises(ValueError, match="computed R1map has a median of 7"):
        check_r1((10 * _R1).astype(np.float32), _BRAIN)


def test_a_transmit_field_may_be_percent_or_relative() -> None:
    percent = relative_field(100 * _R1, _BRAIN)
    assert percent.conversion == ""
    relative = relative_field(_R1, _BRAIN)
    assert "relative" in relative.conversion
    for found in (percent, relative):
        assert found.values[_BRAIN] == pytest.approx(_R1[_BRAIN], rel=1e-5)
    with pytest.raises(ValueError, match="TB1map has a median of 7"):
        relative_field(10 * _R1, _BRAIN)
