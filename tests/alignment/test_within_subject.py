"""The space half-way between the scans of a subject."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from bids_app.alignment.within_subject import align_within_subject
from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume

SHAPE = (48, 54, 46)


def _head(seed: int = 0) -> tuple[Volume, Volume]:
    """A textured ellipsoid of 3 mm voxels, dark outside, and its mask."""
    rng = np.random.default_rng(seed)
    affine = Grid.around(np.array([4.0, -7.0, 11.0]), SHAPE, 3.0).affine
    index = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    radius = sum((axis / half) ** 2 for axis, half in zip(index, (16, 19, 15), strict=True))
    texture = gaussian_filter(rng.standard_normal(SHAPE), 1.7)
    image = 1000 * (1 + 0.25 * texture / texture.std())
    inside = radius < 1
    return (
        Volume(gaussian_filter(image * inside, 0.7).astype(np.float32), affine),
        Volume(inside.astype(np.uint8), affine),
    )


def _moved(volume: Volume, degrees: list[float], shift: list[float]) -> tuple[Volume, np.ndarray]:
    """The same voxels, elsewhere in the world: a motion without any interpolation."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees)).as_matrix()
    motion[:3, 3] = shift
    return Volume(volume.data, motion @ volume.affine), motion


def _surface_error(found: np.ndarray, true: np.ndarray) -> float:
    """Largest distance in mm between two motions of points 70 mm from the origin."""
    points = np.vstack([np.hstack([np.eye(3), -np.eye(3)]) * 70, np.ones(6)])
    return float(np.linalg.norm(((found - true) @ points)[:3], axis=0).max())


def test_a_known_motion_is_found_and_shared_equally() -> None:
    image, mask = _head()
    second, motion = _moved(image, [6, -4, 9], [5, -7, 3])
    second_mask = Volume(mask.data, second.affine)
    rng = np.random.default_rng(1)
    noisy = [
        Volume(scan.data * scale + rng.normal(0, 30, SHAPE).astype(np.float32), scan.affine)
        for scan, scale in ((image, 1.0), (second, 1.7))
    ]
    aligned = align_within_subject(noisy, [mask, second_mask])
    first, other = aligned.transforms
    assert _surface_error(other @ np.linalg.inv(first), motion) < 0.1
    turns = [Rotation.from_matrix(matrix[:3, :3]).as_rotvec() for matrix in (first, other)]
    assert np.sum(turns, axis=0) == pytest.approx(np.zeros(3), abs=1e-6)
    assert np.linalg.norm(turns[0]) == pytest.approx(np.deg2rad(np.sqrt(133)) / 2, rel=0.02)
    assert min(aligned.correlations) > 0.9
    # Volumes stay what they are.
    assert [np.linalg.det(matrix) for matrix in aligned.transforms] == pytest.approx([1, 1])


def test_the_order_of_the_scans_makes_no_difference() -> None:
    image, mask = _head()
    second, _ = _moved(image, [2, 3, -1], [1, 2, -2])
    masks = [mask, Volume(mask.data, second.affine)]
    forth = align_within_subject([image, second], masks)
    back = align_within_subject([second, image], masks[::-1])
    for one, other in zip(forth.transforms, back.transforms[::-1], strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(forth.images, back.images[::-1], strict=True):
        assert np.array_equal(one.data, other.data)


def test_scans_of_different_voxel_size_share_one_grid_and_intensity() -> None:
    image, mask = _head()
    second, motion = _moved(image, [1, 0, 3], [0, 4, 0])
    grid = Grid.around(np.array([4.0, -3.0, 11.0]), (38, 42, 36), 4.0)
    coarse = Volume(2 * resample(second, grid), grid.affine)
    coarse_mask = Volume(coarse.data > 600, grid.affine)
    third, _ = _moved(image, [0, 2, 0], [1, 1, 1])
    scans = [image, coarse, third]
    masks = [mask, coarse_mask, Volume(mask.data, third.affine)]
    aligned = align_within_subject(scans, masks)
    assert (
        _surface_error(aligned.transforms[1] @ np.linalg.inv(aligned.transforms[0]), motion) < 0.3
    )
    assert len({volume.data.shape for volume in aligned.images}) == 1
    assert aligned.images[0].voxel_size == pytest.approx([3, 3, 3])
    middle = tuple(slice(n // 2 - 8, n // 2 + 8) for n in aligned.images[0].data.shape)
    means = [float(volume.data[middle].mean()) for volume in aligned.images]
    assert means == pytest.approx([means[0]] * 3, rel=0.02)


def test_scans_of_two_people_are_refused() -> None:
    image, mask = _head(0)
    other, _ = _head(1)
    with pytest.raises(BadDataError, match="cannot be aligned"):
        align_within_subject([image, other], [mask, mask])


def test_one_scan_has_nothing_between() -> None:
    image, mask = _head()
    with pytest.raises(BadDataError, match="two scans"):
        align_within_subject([image], [mask])
    with pytest.raises(BadDataError, match="empty"):
        align_within_subject([image, image], [mask, Volume(mask.data * 0, mask.affine)])
