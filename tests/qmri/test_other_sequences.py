"""R1 from variable flip angles and MP2RAGE; units; the transmit field."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_app.qmri.mp2rage import (
    MP2RAGEProtocol,
    inversion_signals,
    polarity_is_inverted,
    r1_from_ratio,
    ratio_from_scanner,
)
from bids_app.qmri.transmit_field import estimate_from_r1, smoothed
from bids_app.qmri.units import check_r1, r1_in_per_second, relative_field
from bids_app.qmri.variable_flip_angle import r1_from_flip_angles
from examples.quantitative import (
    VFA,
    Array,
    FlashProtocol,
    Maps,
    MP2RAGEParameters,
    add_noise,
    draw_transmit_field,
    flash_signal,
    mp2rage_signals,
    unit1,
)

_PARAMETERS = MP2RAGEParameters()
_PROTOCOL = MP2RAGEProtocol(
    inversion_times=_PARAMETERS.inversion_times,
    flip_angles=_PARAMETERS.flip_angles,
    repetition_time_preparation=_PARAMETERS.repetition_time_preparation,
    repetition_time_excitation=_PARAMETERS.repetition_time_excitation,
    shots=_PARAMETERS.shots,
)
_ANGLES = [protocol.flip_angle for protocol in VFA]


def _largest_error(found: Array, truth: Array) -> float:
    return float(np.abs(found / truth - 1).max())


@pytest.mark.parametrize("weighted", [False, True])
def test_flip_angles_give_r1_back_in_an_uneven_field(tissue: Maps, weighted: bool) -> None:
    field = draw_transmit_field(tissue["R1map"].shape, np.random.default_rng(2))
    signals = [flash_signal(tissue, protocol, field) for protocol in VFA]
    found = r1_from_flip_angles(signals, _ANGLES, 0.018, field, weighted=weighted)
    assert _largest_error(found, tissue["R1map"]) < 0.002


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


def test_the_sequence_equations_agree_with_a_simulation_pulse_by_pulse() -> None:
    t1 = np.array([0.3, 0.85, 1.3, 2.5, 4.3])
    maps = {"R1map": (1 / t1).astype(np.float32), "PDmap": np.ones(5, np.float32)}
    for field in (0.8, 1.0, 1.2):
        expected = mp2rage_signals(maps, _PARAMETERS, field)
        for found, signal in zip(inversion_signals(t1, _PROTOCOL, field), expected, strict=True):
            assert found == pytest.approx(signal / 4000, rel=1e-5)


def test_mp2rage_gives_r1_back(tissue: Maps) -> None:
    first, second = mp2rage_signals(tissue, _PARAMETERS)
    found = r1_from_ratio(unit1(first, second), _PROTOCOL)
    assert _largest_error(found, tissue["R1map"]) < 0.001
    stored = np.rint((unit1(first, second) + 0.5) * 4095).astype(np.int16)
    ratio, conversion = ratio_from_scanner(stored)
    assert "4095" in conversion
    assert _largest_error(r1_from_ratio(ratio, _PROTOCOL), tissue["R1map"]) < 0.01


def test_mp2rage_is_corrected_for_the_field(tissue: Maps) -> None:
    field = draw_transmit_field(tissue["R1map"].shape, np.random.default_rng(2))
    ratio = unit1(*mp2rage_signals(tissue, _PARAMETERS, field))
    plain = _largest_error(r1_from_ratio(ratio, _PROTOCOL), tissue["R1map"])
    found = _largest_error(r1_from_ratio(ratio, _PROTOCOL, field), tissue["R1map"])
    assert found < 0.01 < plain


def test_a_ratio_beyond_the_table_is_nan() -> None:
    ratio = np.float32([[[-0.51, 0.4999, 0.2]]])
    found = r1_from_ratio(ratio, _PROTOCOL)
    assert np.isnan(found[0, 0, :2]).all()
    assert np.isfinite(found[0, 0, 2])
    off = np.float32([[[1.0, np.nan, 3.0]]])
    assert np.isnan(r1_from_ratio(np.full_like(off, 0.2), _PROTOCOL, off)[0, 0, 1:]).all()


@pytest.mark.parametrize("values", [(-1.0, 1.0), (0.0, 65535.0), (0.0, 0.4)])
def test_a_ratio_in_an_unknown_range_is_refused(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="UNIT1 holds values from"):
        ratio_from_scanner(np.linspace(*values, 27).reshape(3, 3, 3))


def test_impossible_timing_is_refused() -> None:
    with pytest.raises(ValueError, match="timing is impossible"):
        MP2RAGEProtocol(
            inversion_times=(0.7, 2.5),
            flip_angles=(4, 5),
            repetition_time_preparation=5.0,
            repetition_time_excitation=0.007,
            shots=(120, 120),
        )


def test_inverted_polarity_is_noticed() -> None:
    """White and grey matter and fluid, noise, and a receive field of 20 %."""
    rng = np.random.default_rng(0)
    kinds = [(1.1, 0.7), (0.75, 0.8), (0.26, 1.0)]
    choice = rng.choice(3, (20, 20, 20), p=[0.45, 0.4, 0.15])
    r1, density = (np.float32([kind[i] for kind in kinds])[choice] for i in (0, 1))
    signals = mp2rage_signals({"R1map": r1, "PDmap": density}, _PARAMETERS)
    receive = np.linspace(0.8, 1.2, 20, dtype=np.float32)
    noisy = [receive * s + 5 * rng.standard_normal(s.shape).astype(np.float32) for s in signals]
    brain = np.ones(r1.shape, dtype=bool)
    ratio = unit1(*noisy)
    assert not polarity_is_inverted(ratio, np.abs(noisy[1]), _PROTOCOL, brain)
    assert polarity_is_inverted(-ratio, np.abs(noisy[1]), _PROTOCOL, brain)


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
def test_units_are_recognised_converted_and_said(
    quantity: str, values: np.ndarray, words: str
) -> None:
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


def test_smoothing_keeps_a_constant_field_up_to_its_edge_and_beyond() -> None:
    field = np.where(_BRAIN, np.float32(0.9), np.float32(0))
    found = smoothed(field, np.array([4.0, 4.0, 4.0]))
    assert found == pytest.approx(0.9)
    with pytest.raises(ValueError, match="no positive value"):
        smoothed(0 * field, np.array([4.0, 4.0, 4.0]))


def test_smoothing_has_the_asked_width() -> None:
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
