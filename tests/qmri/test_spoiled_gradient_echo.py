"""R1, amplitude and MTsat of simulated spoiled gradient echoes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bids_app.qmri.estatics import estatics
from bids_app.qmri.spoiled_gradient_echo import (
    Excitation,
    Form,
    mt_saturation,
    r1_and_amplitude,
)
from examples.quantitative import (
    MPM,
    Array,
    FlashProtocol,
    Maps,
    draw_transmit_field,
    flash_echoes,
    flash_signal,
)
from tests.qmri.accuracy import largest_error

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


def test_noise_free_maps_are_exact(tissue: Maps) -> None:
    found = _mapped(tissue, 1.0, 1.0)
    assert largest_error(found["R1map"], tissue["R1map"]) < 0.001
    assert largest_error(found["R2starmap"], tissue["R2starmap"]) < 0.005
    assert largest_error(found["MTsat"], tissue["MTsat"]) < 0.005
    assert largest_error(found["PDmap"], tissue["PDmap"]) < 0.001


def test_a_field_that_is_off_by_30_percent_is_corrected(tissue: Maps) -> None:
    field = draw_transmit_field(tissue["R1map"].shape, np.random.default_rng(1), 0.3)
    assert field.min() == pytest.approx(0.7)
    assert field.max() == pytest.approx(1.3)
    found = _mapped(tissue, field, field)
    assert largest_error(_mapped(tissue, field, 1.0)["R1map"], tissue["R1map"]) > 0.4
    assert largest_error(found["R1map"], tissue["R1map"]) < 0.01
    assert largest_error(found["MTsat"], tissue["MTsat"]) < 0.01
    assert largest_error(found["PDmap"], tissue["PDmap"]) < 0.01


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
    assert largest_error(found, usual) < 1e-3


def test_equal_flip_angles_are_refused() -> None:
    image = np.ones((2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="Both flip angles are 6"):
        r1_and_amplitude(image, image, (Excitation(6, 0.02), Excitation(6, 0.02)))
