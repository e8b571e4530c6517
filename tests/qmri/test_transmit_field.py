"""Smoothing and estimation of the transmit field."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bids_app.qmri.transmit_field import estimate_from_r1, smoothed
from examples.quantitative import (
    draw_transmit_field,
)

_BRAIN = np.zeros((10, 10, 10), dtype=bool)
_BRAIN[2:8, 2:8, 2:8] = True


def test_smoothing_keeps_a_constant_field_up_to_its_edge_and_beyond() -> None:
    field = np.where(_BRAIN, np.float32(0.9), np.float32(0))
    found = smoothed(field, np.array([4.0, 4.0, 4.0]))
    assert found == pytest.approx(0.9)
    with pytest.raises(ValueError, match="no positive value"):
        smoothed(0 * field, np.array([4.0, 4.0, 4.0]))


def test_smoothing_has_the_requested_width() -> None:
    impulse = np.full((41, 41, 41), 1.0, np.float32)
    impulse[20, 20, 20] = 2.0
    line = smoothed(impulse, np.array([1.0, 1.0, 1.0]))[20, 20] - 1
    half = line > line.max() / 2
    assert math.isclose(half.sum(), 8, abs_tol=1)


def test_the_estimated_field_evens_out_r1() -> None:
    """Fluid, grey and white matter in a ball, with a field of 20 % and noise."""
    shape = (44, 44, 44)
    radius = np.sqrt(sum((axis - 21.5) ** 2 for axis in np.indices(shape)))
    brain = radius < 19
    blocks = np.indices(shape) // 5
    kind = (blocks[0] + 2 * blocks[1] + blocks[2]) % 3
    r1 = np.choose(kind, [0.7, 1.05, 0.8]).astype(np.float32)
    field = draw_transmit_field(shape, np.random.default_rng(3), 0.2)
    noise = np.random.default_rng(4).normal(1, 0.01, shape)
    biased = np.where(brain, r1 / field**2 * noise, np.nan).astype(np.float32)
    estimated = estimate_from_r1(biased, np.array([4.0, 4.0, 4.0]), brain)
    corrected = biased * estimated**2
    for value in (0.7, 1.05):
        own = brain & (r1 == np.float32(value))
        before, after = (values[own].std() / values[own].mean() for values in (biased, corrected))
        assert after < 0.5 * before
    assert np.log(estimated[brain]).mean() == pytest.approx(0, abs=1e-5)
