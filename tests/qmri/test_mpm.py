"""ESTATICS, R1, amplitude and MT saturation of multi-parameter mapping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_app.qmri.estatics import estatics
from bids_app.qmri.spoiled_gradient_echo import (
    Excitation,
    Form,
    mt_saturation,
    r1_and_amplitude,
)
from bids_app.qmri.spoiling import COEFFICIENTS, correct_spoiling
from examples.quantitative import (
    MPM,
    Array,
    FlashProtocol,
    Maps,
    add_noise,
    draw_transmit_field,
    flash_echoes,
    flash_signal,
)

_WATER = 4000.0


def _excitation(protocol: FlashProtocol) -> Excitation:
    return Excitation(protocol.flip_angle, protocol.repetition_time)


def _mapped(maps: Maps, field: Array | float, corrected: Array | float) -> dict[str, Array]:
    """Simulate an MPM in one field and compute its maps as if in another."""
    echoes = [flash_echoes(maps, protocol, field) for protocol in MPM.values()]
    decay = estatics(echoes, [protocol.echo_times for protocol in MPM.values()])
    pd_weighted, t1_weighted, mt_weighted = decay.amplitudes
    pair = _excitation(MPM["PDw"]), _excitation(MPM["T1w"])
    r1, amplitude = r1_and_amplitude(pd_weighted, t1_weighted, pair, corrected)
    mt = mt_saturation(mt_weighted, _excitation(MPM["MTw"]), r1, amplitude, corrected)
    assert decay.r2_star is not None
    return {"R1map": r1, "R2starmap": decay.r2_star, "MTsat": mt, "PDmap": amplitude / _WATER}


def _largest_error(found: Array, truth: Array) -> float:
    return float(np.abs(found / truth - 1).max())


def test_noise_free_maps_are_exact(tissue: Maps) -> None:
    found = _mapped(tissue, 1.0, 1.0)
    assert _largest_error(found["R1map"], tissue["R1map"]) < 0.001
    assert _largest_error(found["R2starmap"], tissue["R2starmap"]) < 0.005
    assert _largest_error(found["MTsat"], tissue["MTsat"]) < 0.005
    assert _largest_error(found["PDmap"], tissue["PDmap"]) < 0.001


def test_a_field_that_is_off_by_30_percent_is_corrected(tissue: Maps) -> None:
    field = draw_transmit_field(tissue["R1map"].shape, np.random.default_rng(1), 0.3)
    assert field.min() == pytest.approx(0.7)
    assert field.max() == pytest.approx(1.3)
    found = _mapped(tissue, field, field)
    assert _largest_error(_mapped(tissue, field, 1.0)["R1map"], tissue["R1map"]) > 0.4
    assert _largest_error(found["R1map"], tissue["R1map"]) < 0.01
    assert _largest_error(found["MTsat"], tissue["MTsat"]) < 0.01
    assert _largest_error(found["PDmap"], tissue["PDmap"]) < 0.01


@pytest.mark.parametrize(
    ("angles", "repetition_time", "signals", "form", "r1", "amplitude"),
    [
        ((6, 21), 0.025, (84.412335, 92.140188), "exact", 0.909052, 1000.000),
        ((6, 21), 0.025, (84.412335, 92.140188), "small-angle", 0.898941, 1002.746),
        ((4, 25), 0.018, (60.782066, 63.276467), "exact", 0.909071, 1000.000),
        ((4, 25), 0.018, (60.782066, 63.276467), "small-angle", 0.894491, 1002.414),
    ],
)
def test_known_values_at_t1_of_1100_ms(
    angles: tuple[float, float],
    repetition_time: float,
    signals: tuple[float, float],
    form: Form,
    r1: float,
    amplitude: float,
) -> None:
    pair = Excitation(angles[0], repetition_time), Excitation(angles[1], repetition_time)
    first, second = (np.float32([value]) for value in signals)
    for order in (1, -1):
        images = (first, second)[::order]
        found = r1_and_amplitude(images[0], images[1], pair[::order], 1.0, form)
        assert found[0][0] == pytest.approx(r1, abs=2e-6)
        assert found[1][0] == pytest.approx(amplitude, rel=2e-6)


@pytest.mark.parametrize("t1", [0.4, 0.85, 1.4, 4.0])
def test_pulse_by_pulse_steady_state_gives_the_rate_back(t1: float) -> None:
    """An oracle that does not use the Ernst equation: 20000 pulses on one magnetisation."""
    pair = Excitation(4, 0.018), Excitation(25, 0.020)
    signals = []
    for each in pair:
        angle, decay = math.radians(each.flip_angle), math.exp(-each.repetition_time / t1)
        magnetisation = 1.0
        for _ in range(20000):
            magnetisation = 1 + (magnetisation * math.cos(angle) - 1) * decay
        signals.append(np.float32([magnetisation * math.sin(angle)]))
    r1, amplitude = r1_and_amplitude(signals[0], signals[1], pair)
    assert r1[0] == pytest.approx(1 / t1, rel=0.001)
    assert amplitude[0] == pytest.approx(1, rel=0.001)


def test_mt_saturation_of_a_dual_excitation_differs_by_its_definition_only() -> None:
    """MTsat rests on a first-order signal: the exact steady state is met within a few percent."""
    r1, saturation, mt_weighted = 1.0, 0.016, Excitation(6, 0.037)
    angle, half = math.radians(6), math.exp(-r1 * 0.0185)
    before_pulse = 1.0
    for _ in range(5000):
        after_pulse = before_pulse * math.cos(angle)
        before_transfer = 1 + (after_pulse - 1) * half
        before_pulse = 1 + (before_transfer * (1 - saturation) - 1) * half
    signal = np.float32([before_pulse * math.sin(angle)])
    found = mt_saturation(signal, mt_weighted, np.float32([r1]), np.float32([1.0]))
    assert found[0] == pytest.approx(100 * saturation, rel=0.02)


def test_mt_saturation_in_the_small_angle_form_is_that_of_nominal_angles(tissue: Maps) -> None:
    """With a, R1 and A all nominal, and the result scaled by (1 - C) / (1 - C f)."""
    field = np.float32(1.2)
    images = [flash_signal(tissue, protocol, float(field)) for protocol in MPM.values()]
    pair = _excitation(MPM["PDw"]), _excitation(MPM["T1w"])
    nominal = r1_and_amplitude(images[0], images[1], pair, 1.0, "small-angle")
    local = r1_and_amplitude(images[0], images[1], pair, field, "small-angle")
    excitation = _excitation(MPM["MTw"])
    usual = mt_saturation(images[2], excitation, *nominal, 1.0, "small-angle")
    usual *= (1 - 0.4) / (1 - 0.4 * field)
    found = mt_saturation(images[2], excitation, *local, field, "small-angle")
    assert _largest_error(found, usual) < 1e-3


def test_weights_lower_the_error_of_r2_star_in_noise() -> None:
    rng = np.random.default_rng(3)
    maps = {
        "R1map": np.full((30, 30, 30), 1.0, np.float32),
        "R2starmap": np.full((30, 30, 30), 60.0, np.float32),
        "PDmap": np.full((30, 30, 30), 0.7, np.float32),
    }
    protocols = MPM["PDw"], MPM["T1w"]
    echoes = [[add_noise(e, 6.0, rng) for e in flash_echoes(maps, p)] for p in protocols]
    times = [protocol.echo_times for protocol in protocols]
    errors = []
    for weighted in (False, True):
        rate = estatics(echoes, times, weighted=weighted).r2_star
        assert rate is not None
        errors.append(np.nanstd(rate))
    assert errors[1] < 0.95 * errors[0]


def test_an_echo_without_signal_leaves_nan_and_nothing_infinite(tissue: Maps) -> None:
    echoes = [flash_echoes(tissue, protocol) for protocol in MPM.values()]
    echoes[0][2][0, 0, 0] = 0
    echoes[1][0][0, 0, 1] = -3
    echoes[2][5][0, 0, 2] = np.nan
    decay = estatics(echoes, [protocol.echo_times for protocol in MPM.values()])
    assert decay.r2_star is not None
    for values in (decay.r2_star, *decay.amplitudes):
        assert np.isnan(values[0, 0, :3]).all()
        assert np.isfinite(values.ravel()[3:]).all()


def test_single_echoes_are_used_as_they_are(tissue: Maps) -> None:
    images = [[flash_signal(tissue, MPM[name])] for name in ("PDw", "T1w")]
    decay = estatics(images, [(0.003,), (0.003,)])
    assert decay.r2_star is None
    assert np.array_equal(decay.amplitudes[1], images[1][0])
    with pytest.raises(ValueError, match="different echo times"):
        estatics(images, [(0.003,), (0.004,)])


@pytest.mark.parametrize("times", [[(0.002,)], [(0.002, 0.002)], []])
def test_echo_times_that_do_not_fit_are_refused(times: list[tuple[float, ...]]) -> None:
    image = np.ones((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="echo time"):
        estatics([[image, image]] if times else [], times)


def test_equal_flip_angles_are_refused() -> None:
    image = np.ones((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="Both flip angles are 6"):
        r1_and_amplitude(image, image, (Excitation(6, 0.02), Excitation(6, 0.02)))


@given(
    scale=st.floats(1e-4, 1e4),
    order=st.permutations(range(6)),
    contrasts=st.permutations(range(3)),
    weighted=st.booleans(),
)
def test_neither_scale_nor_order_of_echoes_matters(
    tissue: Maps, scale: float, order: list[int], contrasts: list[int], weighted: bool
) -> None:
    protocols = list(MPM.values())
    small = {name: values[:3, :3, :3] for name, values in tissue.items()}
    echoes = [flash_echoes(small, protocol) for protocol in protocols]
    times = [protocol.echo_times for protocol in protocols]
    plain = estatics(echoes, times, weighted=weighted)
    shuffled = estatics(
        [[np.float32(scale) * echoes[c][e] for e in order] for c in contrasts],
        [[times[c][e] for e in order] for c in contrasts],
        weighted=weighted,
    )
    assert plain.r2_star is not None
    assert shuffled.r2_star is not None
    np.testing.assert_allclose(shuffled.r2_star, plain.r2_star, rtol=2e-3)
    for place, c in enumerate(contrasts):
        expected = scale * plain.amplitudes[c]
        np.testing.assert_allclose(shuffled.amplitudes[place], expected, rtol=2e-4)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_spoiling_coefficients_hold_for_their_protocol_alone(name: str) -> None:
    made_for = COEFFICIENTS[name]
    r1 = np.float32([0.5, 1.0, np.nan])
    pair, form = made_for.excitations, made_for.form
    corrected = correct_spoiling(r1, name, pair, 1.0, form)
    assert np.isnan(corrected[2])
    offset, slope = sum(made_for.offset), sum(made_for.slope)
    expected = 1000 / (offset + slope * 1000 / r1[:2])
    assert corrected[:2] == pytest.approx(expected, rel=1e-5)
    assert np.all(np.abs(corrected[:2] / r1[:2] - 1) < 0.08)
    slower = pair[0], Excitation(pair[1].flip_angle, 0.03)
    wider = Excitation(10, pair[0].repetition_time), pair[1]
    for other in (slower, wider, pair[::-1]):
        with pytest.raises(ValueError, match="but the series have"):
            correct_spoiling(r1, name, other, 1.0, form)
    other_form: Form = "exact" if form == "small-angle" else "small-angle"
    with pytest.raises(ValueError, match="computed in the"):
        correct_spoiling(r1, name, pair, 1.0, other_form)
    with pytest.raises(ValueError, match="no spoiling coefficients"):
        correct_spoiling(r1, "none such", pair, 1.0, form)
