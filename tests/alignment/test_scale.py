"""Scales between visits of simulated heads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from bids_app.alignment.scale import Source, relative_scales
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume

_SIDE = 64
_AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def _head(scale: float, noise: int, *, brain_scale: float = 1.0, skull: bool = True) -> Volume:
    """Scan a head that is enlarged linearly by a factor, its brain by another one in addition."""
    texture = gaussian_filter(np.random.default_rng(0).normal(size=(_SIDE,) * 3), 1.5)
    places = (np.indices((_SIDE,) * 3) - _SIDE / 2 + 0.5) / scale
    radius = np.linalg.norm(places, axis=0)
    within = np.where(radius < 22, places / brain_scale, places) + _SIDE / 2 - 0.5
    values = 1 + 0.25 * map_coordinates(texture, within, order=1, mode="nearest") / texture.std()
    brain = np.clip(22.5 * brain_scale - radius, 0, 1)
    shell = np.clip(26.5 - radius, 0, 1) * np.clip(radius - 23.5, 0, 1) * (1.0 if skull else 0.0)
    data = 800 * np.clip(values, 0.2, None) * (brain + shell)
    data += np.random.default_rng(noise).normal(0, 10, data.shape)
    return Volume(data.astype(np.float32), _AFFINE)


def _mask() -> Volume:
    places = np.indices((_SIDE,) * 3) - _SIDE / 2 + 0.5
    return Volume((np.linalg.norm(places, axis=0) < 22).astype(np.uint8), _AFFINE)


@pytest.mark.parametrize("linear", [0.998, 1.002])
def test_a_scale_is_found_from_the_skull_though_the_brain_shrinks(linear: float) -> None:
    heads = [_head(1.0, 1), _head(linear, 2, brain_scale=0.996)]
    scales = relative_scales(heads, [_mask()] * 2)
    assert scales.source is Source.SKULL
    assert scales.volumes[1] / scales.volumes[0] == pytest.approx(linear**3, abs=0.001)
    assert (scales.standard_errors < 0.001).all()


def test_without_a_skull_it_is_found_from_the_brain() -> None:
    heads = [_head(1.0, 1, skull=False), _head(1.003, 2, skull=False)]
    scales = relative_scales(heads, [_mask()] * 2)
    assert scales.source is Source.BRAIN
    assert scales.volumes[1] / scales.volumes[0] == pytest.approx(1.003**3, abs=0.001)


def test_the_order_of_the_visits_makes_no_difference() -> None:
    heads = [_head(scale, seed, skull=False) for seed, scale in enumerate((1.0, 1.002, 0.999))]
    forth = relative_scales(heads, [_mask()] * 3).volumes
    back = relative_scales(heads[::-1], [_mask()] * 3).volumes
    assert forth == pytest.approx(back[::-1], abs=1e-6)
    assert np.prod(forth) == pytest.approx(1, abs=1e-9)


def test_there_is_no_scale_of_one_scan_or_no_brain() -> None:
    head, nothing = _head(1.0, 1), Volume(np.zeros((_SIDE,) * 3, dtype=np.uint8), _AFFINE)
    with pytest.raises(BadDataError, match="two scans"):
        relative_scales([head], [_mask()])
    with pytest.raises(BadDataError, match="do not overlap"):
        relative_scales([head, head], [_mask(), nothing])
