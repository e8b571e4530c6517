from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bids_app.qmri.estatics import estatics
from bids_app.qmri.spoiled_gradient_echo import Excitation, r1_and_amplitude
from examples.anatomy import Anatomy
from examples.contrast import tissue_parameters
from examples.quantitative import (
    MPM,
    Array,
    Maps,
    add_noise,
    draw_transmit_field,
    flash_echoes,
    flash_signal,
    true_maps,
    unit1,
)
from examples.simulation import Subject


@pytest.fixture(scope="module")
def maps(centre: Anatomy, subject: Subject) -> Maps:
    return true_maps(centre, subject, voxel_size=2.0)[0]


def _r1(pd_weighted: Maps, t1_weighted: Maps) -> Array:
    series = {"PDw": pd_weighted, "T1w": t1_weighted}
    decay = estatics(
        [flash_echoes(each, MPM[name]) for name, each in series.items()],
        [MPM[name].echo_times for name in series],
    )
    first, second = (Excitation(MPM[n].flip_angle, MPM[n].repetition_time) for n in series)
    return r1_and_amplitude(decay.amplitudes[0], decay.amplitudes[1], (first, second))[0]


def test_every_tissue_has_every_parameter_in_its_range(anatomy: Anatomy, maps: Maps) -> None:
    for name, values in tissue_parameters().items():
        assert set(values) == set(anatomy.names)
        low, high = min(values.values()), max(values.values())
        assert low - 1e-5 <= maps[name].min() <= maps[name].max() <= high * (1 + 1e-5)


def test_the_thalamus_lies_between_cortex_and_white_matter() -> None:
    r1 = tissue_parameters()["R1map"]
    assert r1["cortex"] < r1["left thalamus"] < r1["white matter"]


def test_maps_come_back_from_a_still_head_and_not_from_a_moving_one(
    centre: Anatomy, subject: Subject, maps: Maps
) -> None:
    moved, _ = true_maps(
        centre, subject, voxel_size=2.0, rotation=(2.0, 0.0, 0.0), translation=(0.0, 1.5, 0.0)
    )
    inside = maps["PDmap"] > 0.6
    still = np.abs(_r1(maps, maps) / maps["R1map"] - 1)[inside]
    moving = np.abs(_r1(maps, moved) / maps["R1map"] - 1)[inside]
    assert still.max() < 0.001
    assert np.nanpercentile(moving, 90) > 0.05


def test_motion_is_in_mm_and_world_axes(centre: Anatomy, subject: Subject, maps: Maps) -> None:
    shifted, _ = true_maps(centre, subject, voxel_size=2.0, translation=(0.0, 0.0, 4.0))
    inner = shifted["R1map"][8:-8, 8:-8, 10:-8]
    assert inner == pytest.approx(maps["R1map"][8:-8, 8:-8, 8:-10], abs=1e-3)


def test_the_field_is_smooth_and_as_strong_as_asked() -> None:
    field = draw_transmit_field((30, 36, 28), np.random.default_rng(0), 0.3)
    assert field.min() == pytest.approx(0.7)
    assert field.max() == pytest.approx(1.3)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < 0.08


def test_mt_pulses_and_echoes_lower_the_signal(maps: Maps) -> None:
    protocol = MPM["MTw"]
    saturated = flash_signal(maps, protocol)
    free = flash_signal({**maps, "MTsat": 0 * maps["MTsat"]}, protocol)
    white = maps["MTsat"] > 1.5
    assert (saturated[white] < 0.8 * free[white]).all()
    echoes = flash_echoes(maps, protocol)
    assert all((after <= before).all() for before, after in pairwise(echoes))


def test_noise_of_a_magnitude_without_signal_is_rayleigh() -> None:
    noise = add_noise(np.zeros((60, 60, 60), np.float32), 5.0, np.random.default_rng(0))
    assert noise.mean() == pytest.approx(5 * np.sqrt(np.pi / 2), rel=0.01)


def test_the_ratio_lies_between_its_limits_and_is_zero_without_signal() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, (2, 50)).astype(np.float32)
    first[0] = second[0] = 0
    ratio = unit1(first, second)
    assert ratio[0] == 0
    assert np.abs(ratio).max() <= 0.5
