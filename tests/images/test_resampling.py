"""Interpolation onto other grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from bids_app.images.geometry import Grid, apply_affine
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume


def _ramp(grid: Grid) -> Volume:
    """Each voxel holds x + 10 y + 100 z of its world position."""
    world = apply_affine(grid.affine, np.indices(grid.shape).reshape(3, -1))
    values = np.array([1.0, 10.0, 100.0]) @ world
    return Volume(values.reshape(grid.shape).astype(np.float32), grid.affine)


@pytest.mark.parametrize("spacing", [0.7, 1.0, 2.0, 3.0])
def test_a_linear_ramp_survives_any_spacing(spacing: float) -> None:
    source = _ramp(Grid((40, 40, 40), np.eye(4)))
    grid = Grid.around(np.array([19.0, 20.0, 21.0]), (6, 6, 6), spacing)
    result = resample(source, grid)
    np.testing.assert_allclose(result, _ramp(grid).data, rtol=1e-4)


@pytest.mark.parametrize("scale", [(0.7, -0.9, 0.8), (1.0, 1.0, 1.0), (1.3, 1.7, -1.8)])
def test_parallel_axes_give_what_a_turned_grid_gives(scale: tuple[float, float, float]) -> None:
    data = np.random.default_rng(0).normal(0, 1, (12, 1, 9)).astype(np.float32)
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = np.where(np.array(scale) < 0, 7.3, -0.4) * [1, 0, 1]
    fast = resample(Volume(data, np.eye(4)), Grid((14, 3, 11), affine), fill=-5.0)
    slow = affine_transform(data, affine, output_shape=(14, 3, 11), order=1, cval=-5.0)
    np.testing.assert_allclose(fast, slow, atol=1e-5)


@pytest.mark.parametrize(("factor", "most"), [(2, 0.45), (3, 0.35)])
def test_coarse_targets_average_the_noise_of_a_fine_source(factor: int, most: float) -> None:
    rng = np.random.default_rng(1)
    source = Volume(rng.normal(0, 1, (60, 60, 60)).astype(np.float32), np.eye(4))
    coarse = resample(source, Grid.around(np.full(3, 29.5), (16, 16, 16), factor))
    # The number of voxels averaged gives 0.35 and 0.19, before interpolation.
    assert coarse.std() < most


def test_labels_are_never_averaged() -> None:
    labels = np.zeros((20, 20, 20), dtype=np.uint8)
    labels[10:] = 7
    grid = Grid.around(np.full(3, 9.5), (5, 5, 5), 4.0)
    assert set(np.unique(resample(Volume(labels, np.eye(4)), grid, order=0))) == {0, 7}


def test_outside_the_source_is_the_fill_value() -> None:
    source = Volume(np.ones((10, 10, 10), dtype=np.float32), np.eye(4))
    far = Grid.around(np.full(3, 100.0), (4, 4, 4), 1.0)
    assert (resample(source, far, fill=-1.0) == -1).all()
    assert (resample(source, far) == 0).all()
