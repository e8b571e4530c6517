"""R1 from simulated variable flip angles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_app.qmri.variable_flip_angle import r1_from_flip_angles
from examples.quantitative import (
    VFA,
    FlashProtocol,
    Maps,
    add_noise,
    draw_transmit_field,
    flash_signal,
)
from tests.qmri.accuracy import largest_error

_ANGLES = [protocol.flip_angle for protocol in VFA]


@pytest.mark.parametrize("weighted", [False, True])
def test_flip_angles_give_r1_back_in_an_uneven_field(tissue: Maps, weighted: bool) -> None:
    field = draw_transmit_field(tissue["R1map"].shape, np.random.default_rng(2))
    signals = [flash_signal(tissue, protocol, field) for protocol in VFA]
    found = r1_from_flip_angles(signals, _ANGLES, 0.018, field, weighted=weighted)
    assert largest_error(found, tissue["R1map"]) < 0.002


def test_weights_lower_the_spread_of_r1_in_noise() -> None:
    rng = np.random.default_rng(5)
    maps = {"R1map": np.full((40, 40, 40), 0.8, np.float32), "PDmap": np.float32([[[0.8]]])}
    angles = [2.0, 3.0, 4.0, 6.0, 25.0]
    protocols = [FlashProtocol(angle, 0.018) for angle in angles]
    signals = [add_noise(flash_signal(maps, protocol), 4.0, rng) for protocol in protocols]
    linear, weighted = (
        r1_from_flip_angles(signals, angles, 0.018, weighted=w) for w in (False, True)
    )
    assert np.median(weighted) == pytest.approx(0.8, rel=0.01)
    assert weighted.std() < 0.97 * linear.std()


def test_equal_flip_angles_are_refused() -> None:
    image = np.ones((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="two different flip angles"):
        r1_from_flip_angles([image, image], [5, 5], 0.02)


def test_signals_without_a_rate_become_nan() -> None:
    rising = [np.full((2, 2, 2), value, np.float32) for value in (1.0, 20.0, 300.0)]
    assert np.isnan(r1_from_flip_angles(rising, _ANGLES, 0.018)).all()
    assert np.isnan(r1_from_flip_angles([0 * image for image in rising], _ANGLES, 0.018)).all()


@given(scale=st.floats(1e-3, 1e5), order=st.permutations(range(3)), weighted=st.booleans())
def test_scale_and_order_of_flip_angles_do_not_matter(
    tissue: Maps, scale: float, order: list[int], weighted: bool
) -> None:
    small = {name: values[:3, :3, :3] for name, values in tissue.items()}
    signals = [flash_signal(small, protocol) for protocol in VFA]
    plain = r1_from_flip_angles(signals, _ANGLES, 0.018, weighted=weighted)
    other = r1_from_flip_angles(
        [np.float32(scale) * signals[i] for i in order],
        [_ANGLES[i] for i in order],
        0.018,
        weighted=weighted,
    )
    np.testing.assert_allclose(other, plain, rtol=1e-3)
