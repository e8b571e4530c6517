"""R1 from a simulated MP2RAGE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bids_app.qmri.mp2rage import (
    MP2RAGEProtocol,
    inversion_signals,
    polarity_is_inverted,
    r1_from_ratio,
    ratio_from_phases,
    ratio_from_scanner,
)
from examples.quantitative import (
    Maps,
    MP2RAGEParameters,
    draw_transmit_field,
    mp2rage_signals,
    unit1,
)
from tests.qmri.accuracy import largest_error

_PARAMETERS = MP2RAGEParameters()
_PROTOCOL = MP2RAGEProtocol(
    inversion_times=_PARAMETERS.inversion_times,
    flip_angles=_PARAMETERS.flip_angles,
    repetition_time_preparation=_PARAMETERS.repetition_time_preparation,
    repetition_times_excitation=_PARAMETERS.repetition_times_excitation,
    shots=_PARAMETERS.shots,
)


def test_the_sequence_equations_agree_with_a_simulation_pulse_by_pulse() -> None:
    t1 = np.array([0.3, 0.85, 1.3, 2.5, 4.3])
    maps = {"R1map": (1 / t1).astype(np.float32), "PDmap": np.ones(5, np.float32)}
    for field in (0.8, 1.0, 1.2):
        expected = mp2rage_signals(maps, _PARAMETERS, field)
        for found, signal in zip(inversion_signals(t1, _PROTOCOL, field), expected, strict=True):
            assert found == pytest.approx(signal / 4000, rel=1e-5)


def test_the_trains_may_differ_in_their_repetition_times() -> None:
    """As in a multi-echo MP2RAGE, whose second train is the longer one."""
    times = (0.005, 0.012)
    parameters = replace(_PARAMETERS, repetition_times_excitation=times, inversion_times=(0.6, 2.3))
    protocol = replace(_PROTOCOL, repetition_times_excitation=times, inversion_times=(0.6, 2.3))
    t1 = np.array([0.3, 0.85, 1.3, 2.5, 4.3])
    maps = {"R1map": (1 / t1).astype(np.float32), "PDmap": np.ones(5, np.float32)}
    expected = mp2rage_signals(maps, parameters, 0.9)
    for found, signal in zip(inversion_signals(t1, protocol, 0.9), expected, strict=True):
        assert found == pytest.approx(signal / 4000, rel=1e-5)


@pytest.mark.parametrize(("turn", "low"), [(2 * np.pi, -np.pi), (4096, 0), (8192, -4096)])
def test_the_ratio_is_computed_from_phases(tissue: Maps, turn: float, low: float) -> None:
    first, second = mp2rage_signals(tissue, _PARAMETERS)
    offset = np.linspace(0, 3, first.size).reshape(first.shape)
    stored = [
        (low + turn * (((np.angle(signal) + offset) / (2 * np.pi) + 0.5) % 1)).astype(np.float32)
        for signal in (first, second)
    ]
    found = ratio_from_phases((np.abs(first), np.abs(second)), (stored[0], stored[1]))
    assert np.abs(found - unit1(first, second)).max() < 1e-3
    with pytest.raises(ValueError, match="expected radians"):
        ratio_from_phases((first, second), (stored[0] * 3, stored[1] * 3))


def test_mp2rage_gives_r1_back(tissue: Maps) -> None:
    first, second = mp2rage_signals(tissue, _PARAMETERS)
    found = r1_from_ratio(unit1(first, second), _PROTOCOL)
    assert largest_error(found, tissue["R1map"]) < 0.001
    stored = np.rint((unit1(first, second) + 0.5) * 4095).astype(np.int16)
    ratio, conversion = ratio_from_scanner(stored)
    assert "4095" in conversion
    assert largest_error(r1_from_ratio(ratio, _PROTOCOL), tissue["R1map"]) < 0.01


def test_mp2rage_is_corrected_for_the_field(tissue: Maps) -> None:
    field = draw_transmit_field(tissue["R1map"].shape, np.random.default_rng(2))
    ratio = unit1(*mp2rage_signals(tissue, _PARAMETERS, field))
    plain = largest_error(r1_from_ratio(ratio, _PROTOCOL), tissue["R1map"])
    found = largest_error(r1_from_ratio(ratio, _PROTOCOL, field), tissue["R1map"])
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
            repetition_times_excitation=(0.007, 0.007),
            shots=(120, 120),
        )


def test_inverted_polarity_is_noticed() -> None:
    """White and grey matter and fluid, noise, and a bias field of 20 %."""
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
