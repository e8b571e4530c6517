"""Grids, affines and boxes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bids_app.images.geometry import (
    Grid,
    about,
    apply_affine,
    bounding_box,
    centroid,
    extent,
    removed_shear,
    same_grid,
    translation,
    voxel_size,
    widened,
)


@pytest.fixture
def oblique() -> np.ndarray:
    """An affine with rotated axes and voxels of 1 x 2 x 3 mm."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -10, 30], degrees=True).as_matrix()
    affine[:3, :3] *= (1.0, 2.0, 3.0)
    affine[:3, 3] = (5.0, -6.0, 7.0)
    return affine


@pytest.mark.parametrize("share", [0.03, 0.1, -0.2])
def test_shear_is_removed(oblique: np.ndarray, share: float) -> None:
    """The grid is orthogonal, with the middle and the voxels' volume of the sheared one."""
    assert np.array_equal(removed_shear(Grid((9, 10, 11), oblique)), np.eye(4))
    shear = np.eye(4)
    shear[0, 1] = share
    sheared = Grid((9, 10, 11), shear @ oblique)
    straight = sheared.transformed(removed_shear(sheared))
    products = straight.affine[:3, :3].T @ straight.affine[:3, :3]
    np.testing.assert_allclose(products, np.diag(products.diagonal()), atol=1e-9)
    volumes = [np.linalg.det(each.affine[:3, :3]) for each in (straight, sheared)]
    assert volumes[0] == pytest.approx(volumes[1])
    np.testing.assert_allclose(straight.corners().mean(1), sheared.corners().mean(1))
    assert np.abs(straight.corners() - sheared.corners()).max() < 25 * abs(share)


def test_grids_agree_within_the_tolerance_only() -> None:
    grid = Grid((2, 3, 4), np.eye(4))
    assert same_grid(grid, Grid((2, 3, 4), translation(np.array([5e-5, 0, 0]))))
    assert not same_grid(grid, Grid((2, 3, 4), translation(np.array([5e-4, 0, 0]))))
    assert same_grid(grid, Grid((2, 3, 4), translation(np.array([5e-4, 0, 0]))), tolerance=1e-3)
    assert not same_grid(grid, Grid((2, 3, 5), np.eye(4)))


def test_a_grid_is_centred_and_covers_its_box() -> None:
    low, high = np.array([-10.0, 0.0, 3.0]), np.array([11.0, 0.5, 9.0])
    grid = Grid.covering(low, high, 2.0)
    corners = grid.corners()
    assert (corners.min(1) <= low).all()
    assert (corners.max(1) >= high).all()
    assert (corners.max(1) - corners.min(1) < high - low + 4.0).all()
    assert corners.mean(1) == pytest.approx((low + high) / 2)
    assert grid.voxel_size == pytest.approx([2.0, 2.0, 2.0])


def test_points_move_as_homogeneous_coordinates_do(oblique: np.ndarray) -> None:
    points = np.random.default_rng(0).normal(0, 50, (3, 7))
    expected = (oblique @ np.vstack([points, np.ones(7)]))[:3]
    np.testing.assert_allclose(apply_affine(oblique, points), expected)
    np.testing.assert_allclose(apply_affine(oblique, points[:, 0]), expected[:, 0])
    assert voxel_size(oblique) == pytest.approx([1.0, 2.0, 3.0])


def test_a_linear_map_about_a_point_leaves_it_in_place(oblique: np.ndarray) -> None:
    centre = np.array([12.0, -34.0, 56.0])
    np.testing.assert_allclose(apply_affine(about(centre, oblique[:3, :3]), centre), centre)


def test_a_moved_grid_has_moved_corners(oblique: np.ndarray) -> None:
    grid = Grid((4, 5, 6), np.diag([1.0, 1.0, 2.0, 1.0]))
    moved = grid.transformed(oblique).corners()
    np.testing.assert_allclose(moved, apply_affine(oblique, grid.corners()))


def test_the_part_near_another_grid_holds_all_of_its_voxels() -> None:
    affine = np.diag([-1.0, 2.0, 4.0, 1.0])
    grid = Grid((9, 8, 7), affine)
    for start, box in (
        ((2.25, 3.0, 1.5), (slice(2, 6), slice(3, 5), slice(1, 4))),
        ((-2.5, 6.5, 5.5), (slice(0, 1), slice(6, 8), slice(5, 7))),
        ((-9.0, 20.0, 0.0), (slice(0, 0), slice(8, 8), slice(0, 2))),
    ):
        other = Grid((3, 2, 2), affine @ translation(np.array(start)))
        assert grid.part_near(other) == box


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((10, 11, 12), dtype=bool)
    assert bounding_box(mask) == (slice(0, 10), slice(0, 11), slice(0, 12))
    mask[2:5, 3, 4:9] = True
    box = bounding_box(mask)
    assert box == (slice(2, 5), slice(3, 4), slice(4, 9))
    assert widened(box, (3, 1, 2), mask.shape) == (slice(0, 8), slice(2, 5), slice(2, 11))
    mask[9, 10, 11] = True
    assert bounding_box(mask, least=0.01) == box
    # Labels as images store them, the first axis innermost.
    labels = np.asfortranarray(mask.astype(np.uint8) * 2)
    assert bounding_box(labels) == bounding_box(mask) == (slice(2, 10), slice(3, 11), slice(4, 12))


def test_centre_and_extent_of_a_mask(oblique: np.ndarray) -> None:
    mask = np.zeros((5, 6, 7), dtype=np.uint8)
    mask[1, 2, 3] = mask[3, 2, 3] = 1
    ends = apply_affine(oblique, np.array([[1, 3], [2, 2], [3, 3]]))
    np.testing.assert_allclose(centroid(mask, oblique), ends.mean(1))
    low, high = extent(mask, oblique)
    np.testing.assert_allclose(low, ends.min(1))
    np.testing.assert_allclose(high, ends.max(1))
