"""Carrying masks by symmetric normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.alignment.registration import propagate
from bids_app.images.volume import Volume
from bids_app.statistics.overlap import dice


def _egg(half: tuple[float, float, float], affine: np.ndarray) -> Volume:
    """A bright ellipsoid of given half axes (mm) around the origin of the world."""
    shape = (40, 44, 36)
    voxels = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ voxels + affine[:3, 3:]
    radius = np.sqrt(((world / np.array(half)[:, None]) ** 2).sum(0)).reshape(shape)
    return Volume(np.clip(3 - 2 * radius, 0, 1).astype(np.float32), affine)


def test_a_mask_follows_a_deformation_and_a_start() -> None:
    grid = np.diag([1.5, 1.5, 1.5, 1.0])
    grid[:3, 3] = [-29.25, -32.25, -26.25]
    fixed, moving = _egg((16, 19, 13), grid), _egg((14, 21, 15), grid)
    # The moving volume lies elsewhere; the start knows where.
    start = np.eye(4)
    start[:3, 3] = [30, -20, 10]
    elsewhere = Volume(moving.data, start @ grid)
    mask = Volume((moving.data > 0.5).astype(np.float32), elsewhere.affine)
    (carried,) = propagate(fixed, elsewhere, start, [mask])
    truth = fixed.data > 0.5
    assert carried.shape == truth.shape
    assert dice(truth, mask.data > 0.5) < 0.9
    assert dice(truth, carried > 0.5) > 0.95


def test_volumes_without_content_are_refused() -> None:
    nothing = Volume(np.full((20, 20, 20), np.nan, dtype=np.float32), np.eye(4))
    with pytest.raises(ValueError, match="no solution"):
        propagate(nothing, nothing, np.eye(4), [nothing])
