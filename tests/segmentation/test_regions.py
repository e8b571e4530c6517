"""Rim, core and quarters of two ellipsoids whose axes are oblique."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bids_app.images.geometry import apply_affine
from bids_app.segmentation.regions import Region, regions
from bids_app.segmentation.sides import LEFT, RIGHT

_SHAPE = (60, 56, 44)
_HALF = np.array([8.0, 16.0, 10.0])


def _affine(flipped: bool) -> np.ndarray:
    """Voxels of 1 mm, turned; the first two axes reversed if flipped."""
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", [8, -6, 10], degrees=True).as_matrix()
    affine[:3, :3] = turned @ np.diag([-1.0, -1.0, 1.0] if flipped else [1.0, 1.0, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(_SHAPE) - 1) / 2)
    return affine


def _thalami(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """Labels, probabilities, and for each side the position along its longest axis, in mm."""
    world = apply_affine(affine, np.indices(_SHAPE).reshape(3, -1).astype(np.float64))
    probseg = np.zeros((*_SHAPE, 2), dtype=np.float32)
    along = {}
    for side, x, turn in ((LEFT, -12.0, 25), (RIGHT, 12.0, -25)):
        axes = Rotation.from_euler("z", turn, degrees=True).as_matrix()
        local = axes.T @ (world - np.array([[x], [0.0], [0.0]]))
        radius = np.sqrt((local / _HALF[:, None]) ** 2).T
        distance = (np.linalg.norm(radius, axis=1) - 1) * 10
        probseg[..., side - 1] = np.round(1 / (1 + np.exp(distance / 0.3)), 3).reshape(_SHAPE)
        along[side] = local[1].reshape(_SHAPE)
    dseg = np.zeros(_SHAPE, dtype=np.uint8)
    dseg[probseg[..., 0] >= 0.5] = LEFT
    dseg[probseg[..., 1] >= 0.5] = RIGHT
    return dseg, probseg, along


@pytest.mark.parametrize("flipped", [False, True])
def test_quarters_follow_one_another_from_anterior_to_posterior(*, flipped: bool) -> None:
    affine = _affine(flipped)
    dseg, probseg, along = _thalami(affine)
    parts = {(side, region): share for side, region, share in regions(dseg, probseg, affine)}
    assert len(parts) == 14
    for side in (LEFT, RIGHT):
        whole = parts[side, Region.WHOLE]
        quarters = [parts[side, Region(f"quarter{number}")] for number in (1, 2, 3, 4)]
        assert np.sum(quarters, axis=0) == pytest.approx(whole)
        volumes = [quarter.sum() for quarter in quarters]
        assert volumes == pytest.approx([whole.sum() / 4] * 4, rel=0.001)
        # The middle half of an ellipsoid lies within 0.3473 of its half axis: 3 z - z³ = 1.
        edge = 0.3473 * _HALF[1]
        middles = [np.average(along[side], weights=quarter) for quarter in quarters]
        assert middles[0] > edge > middles[1] > 0 > middles[2] > -edge > middles[3]


def test_core_and_rim_make_up_the_labels() -> None:
    affine = _affine(flipped=False)
    dseg, probseg, _ = _thalami(affine)
    for side in (LEFT, RIGHT):
        parts = {
            region: share for each, region, share in regions(dseg, probseg, affine) if each == side
        }
        core, rim = parts[Region.CORE], parts[Region.RIM]
        assert not (core * rim).any()
        assert core + rim == pytest.approx(probseg[..., side - 1] * (dseg == side))
        # A layer of a voxel is about a quarter to a third of this ellipsoid.
        share = np.count_nonzero(rim) / np.count_nonzero(dseg == side)
        assert 0.2 < share < 0.4


def test_no_thalamus_has_no_regions() -> None:
    nothing = np.zeros((4, 4, 4), dtype=np.uint8)
    shares = list(regions(nothing, np.zeros((4, 4, 4, 2), dtype=np.float32), np.eye(4)))
    assert all(not share.any() for _, _, share in shares)
