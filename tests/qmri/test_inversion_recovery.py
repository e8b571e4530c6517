"""R1 from inversion recovery, compared with the truth of simulated signals."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.qmri.inversion_recovery import r1_from_inversion_times
from examples.quantitative import add_noise, inversion_recovery_signal
from examples.write_quantitative import INVERSION_TIMES

_TIMES = INVERSION_TIMES


def _signals(t1: np.ndarray, times: tuple[float, ...], tr: float) -> list[np.ndarray]:
    maps = {"R1map": (1 / t1).astype(np.float32), "PDmap": np.ones(t1.shape, np.float32)}
    return [inversion_recovery_signal(maps, time, tr) for time in times]


@pytest.mark.parametrize("times", [_TIMES, (0.03, 0.2, 0.6, 1.2, 2.0, 3.5)])
@pytest.mark.parametrize("tr", [2.55, 8.0])
def test_r1_does_not_depend_on_times_and_repetition_time(
    times: tuple[float, ...], tr: float
) -> None:
    t1 = np.linspace(0.15, 4.5, 300).reshape(10, 6, 5)
    found = r1_from_inversion_times(_signals(t1, times, tr), times)
    assert np.abs(found * t1 - 1).max() < 0.002


def test_noise_does_not_bias_tissue() -> None:
    """1 % of the equilibrium signal, T1 of white and grey matter."""
    rng = np.random.default_rng(0)
    t1 = np.repeat([0.85, 1.35], 2000).reshape(20, 20, 10)
    noisy = [4000 * 0.01, rng]
    signals = [add_noise(signal, *noisy) for signal in _signals(t1, _TIMES, 2.55)]
    found = r1_from_inversion_times(signals, _TIMES) * t1
    assert np.isfinite(found).mean() > 0.99
    for value in (0.85, 1.35):
        assert np.nanmedian(found[t1 == value]) == pytest.approx(1, abs=0.01)


def test_what_is_no_recovery_has_no_r1() -> None:
    rising = _signals(np.full((2, 1, 1), 1.0), _TIMES, 5.0)
    empty = [np.where([[[True]], [[False]]], signal, 0).astype(np.float32) for signal in rising]
    found = r1_from_inversion_times(empty, _TIMES)
    assert found[0, 0, 0] == pytest.approx(1, rel=0.002)
    assert np.isnan(found[1, 0, 0])
    uneven = [np.full((1, 1, 1), value, np.float32) for value in (4.0, 1.0, 4.0, 1.0)]
    assert np.isnan(r1_from_inversion_times(uneven, _TIMES)).all()


def test_three_times_leave_the_polarity_open() -> None:
    with pytest.raises(ValueError, match="3 inversion times, expected 4"):
        r1_from_inversion_times(_signals(np.ones((2, 2, 2)), _TIMES[:3], 5.0), _TIMES[:3])
