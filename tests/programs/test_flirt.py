"""What FLIRT's matrices mean, by hand and voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bids_app.alignment.strategies import ANTS_DEFAULTS, STRATEGIES, THRESHOLD
from bids_app.images.volume import Volume
from bids_app.programs.flirt import flirt_strategies, world_transform


def _volume(shape: tuple[int, int, int], affine: np.ndarray) -> Volume:
    return Volume(np.zeros(shape, dtype=np.uint8), np.asarray(affine, dtype=np.float64))


def _shift(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def test_equal_grids_and_the_identity() -> None:
    for sign in (-1, 1):
        image = _volume((10, 20, 30), np.diag([sign * 2.0, 1, 3, 1]))
        assert world_transform(np.eye(4), image, image) == pytest.approx(np.eye(4))


def test_a_shift_by_hand() -> None:
    """FLIRT found the moving image 3 mm further on along the axes; points go back by that."""
    radiological = _volume((10, 20, 30), np.diag([-2.0, 1, 3, 1]))
    found = world_transform(_shift(3, 4, 5), radiological, radiological)
    # Its first axis runs to the left: 3 mm less of it is 3 mm to the right.
    assert found == pytest.approx(_shift(3, -4, -5))
    neurological = _volume((10, 20, 30), np.diag([2.0, 1, 3, 1]))
    found = world_transform(_shift(3, 4, 5), neurological, neurological)
    assert found == pytest.approx(_shift(3, -4, -5))


def test_one_image_stored_both_ways() -> None:
    """The same voxels at the same place, the first axis reversed: FLIRT sees no difference."""
    right = np.diag([2.0, 2.0, 2.0, 1.0])
    left = right @ np.array([[-1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    matrix = _shift(1, 2, 3)
    matrix[:3, :3] = Rotation.from_euler("xyz", [5, 10, 20], degrees=True).as_matrix()
    shape = (10, 12, 14)
    first, second = _volume(shape, right), _volume(shape, left)
    expected = world_transform(matrix, first, first)
    for fixed in (first, second):
        for moving in (first, second):
            assert world_transform(matrix, fixed, moving) == pytest.approx(expected)


@pytest.mark.parametrize("fixed_sign", [-1, 1])
@pytest.mark.parametrize("moving_sign", [-1, 1])
def test_oblique_anisotropic_images_voxel_by_voxel(fixed_sign: int, moving_sign: int) -> None:
    """Each voxel of the moving image is followed through FLIRT's coordinates, without matrices."""
    rng = np.random.default_rng(4)

    def image(shape: tuple[int, int, int], sizes: list[float], sign: int) -> Volume:
        affine = np.eye(4)
        turn = Rotation.from_rotvec(rng.normal(size=3) / 3).as_matrix()
        affine[:3, :3] = turn @ np.diag([sign * sizes[0], *sizes[1:]])
        affine[:3, 3] = rng.normal(size=3) * 50
        return _volume(shape, affine)

    fixed = image((160, 200, 210), [0.8, 0.9, 1.1], fixed_sign)
    moving = image((60, 64, 30), [1.6, 2.0, 5.0], moving_sign)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + rng.normal(size=(3, 3)) / 10
    matrix[:3, 3] = rng.normal(size=3) * 10
    found = world_transform(matrix, fixed, moving)
    for i, j, k in rng.integers(0, 30, (20, 3)):
        x = (i if moving_sign < 0 else 60 - 1 - i) * 1.6
        point = (x, j * 2.0, k * 5.0, 1)
        u, v, w, _ = (sum(a * b for a, b in zip(row, point, strict=True)) for row in matrix)
        column = u / 0.8 if fixed_sign < 0 else 160 - 1 - u / 0.8
        in_fixed = fixed.affine @ (column, v / 0.9, w / 1.1, 1)
        in_moving = moving.affine @ (i, j, k, 1)
        assert found @ in_fixed == pytest.approx(in_moving)


def test_another_program_agrees() -> None:
    """Recorded from nitransforms 25.1.0 (``FSLLinearTransform.to_ras``), one axis of each kind."""
    fixed = [[0.768, -0.252, 0, -60], [0.224, 0.864, 0, -80], [0, 0, 1.1, -70], [0, 0, 0, 1]]
    moving = [[-1.6, 0, 0, 70], [0, 1.92, -1.4, -90], [0, 0.56, 4.8, -50], [0, 0, 0, 1]]
    matrix = [[0.98, -0.1, 0.05, 4], [0.1, 0.99, -0.02, -7], [-0.04, 0.03, 1.01, 9], [0, 0, 0, 1]]
    found = world_transform(
        np.array(matrix),
        _volume((160, 200, 210), np.array(fixed)),
        _volume((60, 64, 30), np.array(moving)),
    )
    recorded = [
        [0.99651, 0.18309, 0.04785, 22.45849],
        [-0.16601, 0.9582, -0.2527, -45.3745],
        [-0.08387, 0.24137, 0.95491, 25.90648],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(found, recorded, atol=1e-5)


def test_the_papers_strategies() -> None:
    def run(*_: object) -> np.ndarray:
        return np.eye(4)

    for contrast in STRATEGIES:
        *by_flirt, last = flirt_strategies(contrast, run)
        assert last is ANTS_DEFAULTS
        assert len(by_flirt) == (2 if contrast == "R1map" else 1)
        for strategy in by_flirt:
            assert strategy.name.startswith("FLIRT")
            assert strategy.searches
            assert strategy.threshold == THRESHOLD
