"""Registration to a template, and resampling in its space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.alignment.templates import load_template
from bids_app.alignment.to_template import (
    match_of,
    most_probable,
    positions,
    register_to_template,
    resampled,
    resampled_parts,
)
from bids_app.alignment.transforms import itk_text
from bids_app.images.geometry import Grid, about, apply_affine, centroid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.segmentation import thalnet
from bids_app.segmentation.sides import LEFT, RIGHT
from bids_app.statistics.overlap import dice


@pytest.fixture(scope="module")
def template() -> Volume:
    return load_template()


def _written(transform: np.ndarray, folder: Path) -> Path:
    path = folder / "transform.txt"
    path.write_text(itk_text(transform))
    return path


def _brain() -> Volume:
    """A brain with structure, 20 x 24 x 18 voxels of 4 mm."""
    x, y, z = np.indices((20, 24, 18))
    radius = ((x - 9.5) / 8) ** 2 + ((y - 11.5) / 10) ** 2 + ((z - 8.5) / 7) ** 2
    data = np.where(radius < 1, 0.5 + 0.4 * np.sin(x) * np.cos(y / 2), 0)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-38, -60, -30]
    return Volume(data.astype(np.float32), affine)


def test_the_template_is_the_symmetric_one_at_1_mm(template: Volume) -> None:
    # Of the version 2009a there is an asymmetric one as well.
    np.testing.assert_array_equal(template.data, template.data[::-1])
    expected = np.eye(4)
    expected[:3, 3] = [-98, -134, -72]
    np.testing.assert_array_equal(template.affine, expected)
    assert template.data.shape == (197, 233, 189)
    assert template.data[0, 0, 0] == 0
    assert (template.data > 0).sum() * template.voxel_volume == pytest.approx(1.887e6, rel=0.01)


def test_the_thalami_of_the_template_are_found_where_they_are(template: Volume) -> None:
    dseg = thalnet.segment({"T1w": template}, 1).dseg
    for side, x in ((LEFT, -12), (RIGHT, 12)):
        middle = centroid(dseg == side, template.affine)
        np.testing.assert_allclose(middle, [x, -18, 6.5], atol=1.5)
    # Symmetric, as the template is.
    mirrored = np.choose(dseg[::-1], [0, RIGHT, LEFT])
    assert dice(dseg == LEFT, mirrored == LEFT) > 0.98


@pytest.mark.parametrize("contrast", ["of the template", "opposite"])
def test_a_moved_head_returns_within_1_mm(contrast: str, template: Volume, tmp_path: Path) -> None:
    grid = Grid((66, 78, 63), template.affine @ np.diag([3.0, 3.0, 3.0, 1.0]))
    angle = np.deg2rad(12)
    turned = 1.06 * np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    # World coordinates of the template to those of the head.
    truth = about(np.array([0.0, -20, 10]), turned)
    truth[:3, 3] += [12, -25, 8]
    data = resample(template, grid)
    inside = data > 0.05
    if contrast == "opposite":
        data = np.where(inside, np.float32(1.2) - data, np.float32(0))
    head = Volume(data, truth @ grid.affine)
    brain = Volume(inside.astype(np.uint8), head.affine)
    forward, backward = register_to_template(
        head, brain, template, like_template=contrast != "opposite", spacing=6.0
    )
    paths = [tmp_path / "forward.h5", tmp_path / "backward.h5"]
    for path, content in zip(paths, (forward, backward), strict=True):
        path.write_bytes(content)
    places = positions(grid, paths[0])[:, inside]
    world = apply_affine(grid.affine, np.argwhere(inside).T)
    error = np.linalg.norm(places - apply_affine(truth, world), axis=0)
    assert error.mean() < 1
    # The other direction is the inverse.
    back = positions(head.grid, paths[1])[:, inside]
    assert np.linalg.norm(back - world, axis=0).mean() < 1
    coarse = Volume(resample(template, grid), grid.affine)
    match = match_of(head, resampled(head, grid, [paths[0]]), coarse, paths[0])
    assert match.correlation > (0.95 if contrast == "of the template" else 0.9)
    assert match.coverage > 0.99
    assert 0 < match.least_jacobian < 1.06**3 < match.most_jacobian


def test_positions_follow_an_affine_transform(tmp_path: Path) -> None:
    transform = about(np.array([5.0, 0, 0]), np.diag([1.1, 1.0, 0.9]))
    transform[:3, 3] += [3, -7, 11]
    grid = _brain().grid
    found = positions(grid, _written(transform, tmp_path))
    voxels = np.indices(grid.shape).reshape(3, -1)
    expected = apply_affine(transform @ grid.affine, voxels)
    np.testing.assert_allclose(found.reshape(3, -1), expected, atol=1e-3)


def test_a_match_is_measured(tmp_path: Path) -> None:
    template, transform = _brain(), np.diag([1.1, 1.0, 0.9, 1.0])
    path = _written(transform, tmp_path)
    # Opposite contrast of the same brain, moved.
    image = Volume(
        np.where(template.data > 0, 100 - 50 * template.data, 0), transform @ template.affine
    )
    warped = resampled(image, template.grid, [path])
    match = match_of(image, warped, template, path)
    assert match.correlation == pytest.approx(1, abs=0.01)
    assert match.coverage == 1
    assert match.least_jacobian == pytest.approx(1.1 * 0.9, abs=1e-3)
    assert match.most_jacobian == pytest.approx(1.1 * 0.9, abs=1e-3)
    noise = np.random.default_rng(1).normal(size=warped.shape).astype(np.float32)
    assert match_of(image, noise, template, path).correlation < 0.3
    half = image.crop([slice(None), slice(12, None), slice(None)])
    match = match_of(half, resampled(half, template.grid, [path]), template, path)
    assert match.coverage == pytest.approx(0.5, abs=0.05)


def test_parts_and_labels_are_resampled_where_they_are(tmp_path: Path) -> None:
    grid = Grid((40, 44, 36), np.diag([2.0, 2.0, 2.0, 1.0]))
    sides = [np.zeros(grid.shape, np.float32) for _ in range(2)]
    sides[0][8:14, 20:28, 14:22] = 1
    sides[1][14:20, 20:28, 14:22] = 1
    shift = np.eye(4)
    shift[:3, 3] = [4, -6, 1]
    # A voxel of the target lies here in the source.
    parts = [Volume(side, shift @ grid.affine) for side in sides]
    path = _written(shift, tmp_path)
    shares = resampled_parts(parts, grid, [path])
    for place, side in enumerate(sides):
        np.testing.assert_allclose(shares[..., place], side, atol=1e-4)
    np.testing.assert_array_equal(most_probable(shares), sides[0] + 2 * sides[1])
    halves = np.array([[[[0.3, 0.25], [0.2, 0.25], [0.25, 0.3], [0.0, 0.6]]]], np.float32)
    np.testing.assert_array_equal(most_probable(halves)[0, 0], [1, 0, 2, 2])
    assert dice(shares.sum(-1) > 0.5, sides[0] + sides[1] > 0.5) == 1


def test_a_transform_that_cannot_be_read_has_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.h5").write_bytes(b"no transform")
    brain = _brain()
    with pytest.raises(ValueError, match="the transform cannot be applied"):
        resampled(brain, brain.grid, [tmp_path / "broken.h5"])
