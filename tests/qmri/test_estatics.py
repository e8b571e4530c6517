"""Transverse decay of simulated multi-echo series."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_app.qmri.estatics import estatics
from examples.quantitative import (
    MPM,
    Maps,
    add_noise,
    flash_echoes,
    flash_signal,
)


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


@pytest.mark.parametrize("order", ["C", "F"])
def test_slabs_give_what_single_slices_give(order: Literal["C", "F"]) -> None:
    """More slices than fit into one slab, in either order of the voxels."""
    rng = np.random.default_rng(2)
    times = [(0.002, 0.006, 0.010), (0.002, 0.007)]
    shape = (19, 18, 17)
    series = [
        [np.array(rng.uniform(50, 900, shape), np.float32, order=order) for _ in each]
        for each in times
    ]
    whole = estatics(series, times)
    assert whole.r2_star is not None
    for index in range(19):
        part = estatics([[image[index : index + 1] for image in each] for each in series], times)
        np.testing.assert_array_equal(whole.r2_star[index : index + 1], part.r2_star)
        for both in zip(whole.amplitudes, part.amplitudes, strict=True):
            np.testing.assert_array_equal(both[0][index : index + 1], both[1])
