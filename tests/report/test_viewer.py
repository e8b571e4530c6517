"""The viewer shows every side where its mark is, whatever the storage of the image."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bids_app.images.geometry import about
from bids_app.images.volume import Volume, to_ras
from bids_app.report.overlays import GAP, PANEL, brain_overlay
from bids_app.report.slices import Sprite
from bids_app.report.thumbnail import SIDE, thalamus_thumbnail
from bids_app.report.viewer import View, Viewer, viewer_of
from tests.report.test_contours import points_of

_TURN = np.deg2rad(25)
_OBLIQUE = np.array(
    [
        [np.cos(_TURN), -np.sin(_TURN), 0],
        [np.sin(_TURN), np.cos(_TURN), 0],
        [0, 0, 1],
    ]
)
# Voxels to world coordinates but for the origin, mm.
STORAGES = {
    "RAS": np.eye(3),
    "LAS": np.diag([-1.0, 1, 1]),
    "PSR, thick": np.array([[0, 0, 2.0], [-1, 0, 0], [0, 1, 0]]),
    "oblique LAS": _OBLIQUE @ np.diag([-1.0, 1, 1]),
}
# World coordinates of the bright ball on the left, anterior and superior side, mm.
BALL = np.array([-14.0, 12.0, 8.0])


def phantom(linear: npt.NDArray[np.float64], left: float = 100) -> tuple[Volume, Volume, Volume]:
    """A head with a bright ball, grey but for its left half; its thalami; its brain mask."""
    shape = np.rint(120 / np.abs(linear).sum(axis=0)).astype(int)
    affine = about((shape - 1) / 2, linear)
    affine[:3, 3] -= (shape - 1) / 2
    voxels = np.indices(shape).reshape(3, -1)
    world = (affine[:3, :3] @ voxels + affine[:3, 3:]).reshape(3, *shape)
    far = np.sqrt((world**2).sum(axis=0))
    ball = np.sqrt(((world - BALL[:, None, None, None]) ** 2).sum(axis=0)) < 5
    tissue = np.where(world[0] < 0, left, 100)
    image = np.where(ball, 300, np.where(far < 50, tissue, 0)).astype(np.float32)
    thalami = [
        np.sqrt(((world - np.array([x, 0, 0])[:, None, None, None]) ** 2).sum(axis=0)) < 11
        for x in (-14, 14)
    ]
    dseg = (thalami[0] + 2 * thalami[1]).astype(np.uint8)
    volumes = (Volume(data, affine) for data in (image, dseg, (far < 50).astype(np.uint8)))
    first, second, third = (to_ras(volume) for volume in volumes)
    return first, second, third


def tiles(sprite: Sprite, count: int) -> npt.NDArray[np.uint8]:
    """Cut a sprite into its slices, (count, height, width)."""
    grey = np.asarray(Image.open(BytesIO(sprite.webp)).convert("L"))
    parts = grey.reshape(sprite.rows, sprite.height, sprite.columns, sprite.width)
    return parts.swapaxes(1, 2).reshape(-1, sprite.height, sprite.width)[:count]


def bright(view: View) -> tuple[int, float, float]:
    """Slice with most of the ball, and where it is: share of the width and of the height."""
    pixels = tiles(view.sprites["T1w"], len(view.slices)) > 220
    number = int(pixels.sum(axis=(1, 2)).argmax())
    down, across = np.argwhere(pixels[number]).mean(axis=0) / pixels.shape[1:]
    return number, across, down


def viewer(linear: npt.NDArray[np.float64]) -> tuple[Viewer, Volume]:
    image, dseg, brain = phantom(linear)
    shown = viewer_of({"T1w": image.data}, {"thalnet on T1w": dseg.data}, brain.data, image.affine)
    return shown, image


@pytest.mark.parametrize("storage", STORAGES)
def test_every_side_is_where_its_mark_is(storage: str) -> None:
    shown, _ = viewer(STORAGES[storage])
    axial, coronal, sagittal = shown.views
    assert axial.marks == ("L", "R", "A", "P")
    assert coronal.marks == ("L", "R", "S", "I")
    assert sagittal.marks == ("P", "A", "S", "I")
    # The ball is left, anterior and superior of the middle.
    number, across, down = bright(axial)
    assert across < 0.45
    assert down < 0.45
    assert axial.slices[number] > axial.slices[len(axial.slices) // 2]
    number, across, down = bright(coronal)
    assert across < 0.45
    assert down < 0.45
    number, across, down = bright(sagittal)
    assert across > 0.52
    assert down < 0.45
    assert sagittal.sides[number] == "L"
    assert sagittal.sides[-1 - number] == "R"


@pytest.mark.parametrize("storage", STORAGES)
def test_contours_are_on_the_slices_and_sides_of_their_thalamus(storage: str) -> None:
    shown, _ = viewer(STORAGES[storage])
    axial, _, sagittal = shown.views
    left, right = axial.paths["thalnet on T1w"]
    (line,) = points_of(left[axial.middle])
    (other,) = points_of(right[axial.middle])
    assert line[:, 0].max() < axial.size[0] / 2 + 1 < other[:, 0].min() + 1
    for side, paths in zip("LR", sagittal.paths["thalnet on T1w"], strict=True):
        assert {sagittal.sides[number] for number, path in enumerate(paths) if path} == {side}
    assert sagittal.paths["thalnet on T1w"][0][sagittal.middle]


@pytest.mark.parametrize("storage", STORAGES)
def test_figures_and_thumbnails_have_left_on_the_left(storage: str) -> None:
    image, dseg, brain = phantom(STORAGES[storage], 130)
    content = brain_overlay(image.data, brain.data, image.voxel_size)
    pixels = np.asarray(Image.open(BytesIO(content)).convert("L"))
    middle = PANEL + GAP
    for row in (0, 1):
        # Without letters, which are at the edges of the panels.
        panel = pixels[row * middle : row * middle + PANEL, middle : middle + PANEL][60:140]
        assert panel[:, 50:90].mean() > panel[:, 110:150].mean() + 20
    content = thalamus_thumbnail(image.data, dseg.data, image.voxel_size)
    colours = np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(int)
    orange = colours[..., 0] - colours[..., 2]
    for panel in (orange[:, :SIDE], orange[:, SIDE:]):
        assert panel[:, : SIDE // 2].max() > 60 > panel[:, SIDE // 2 :].max()


def test_voxels_of_the_slices_are_those_of_the_image() -> None:
    shown, image = viewer(STORAGES["LAS"])
    content = json.loads(json.dumps(shown.content))
    np.testing.assert_allclose(content["affine"], image.affine[:3])
    plane = content["planes"][0]
    number, across, down = bright(shown.views[0])
    voxel = [0.0, 0.0, 0.0]
    voxel[plane["axes"][0]] = plane["origin"][0] + across * plane["size"][0] - 0.5
    voxel[plane["axes"][1]] = plane["origin"][1] + (1 - down) * plane["size"][1] - 0.5
    voxel[plane["axes"][2]] = plane["slices"][number]
    world = image.affine[:3, :3] @ voxel + image.affine[:3, 3]
    np.testing.assert_allclose(world, BALL, atol=1.5)


def test_images_of_any_resolution_and_masks_of_any_size_stay_small() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(100, 20, (360, 400, 360)).astype(np.float32)
    dseg = np.zeros(image.shape, np.uint8)
    dseg[130:175, 160:230, 160:220] = 1
    dseg[185:230, 160:230, 160:220] = 2
    whole = np.ones_like(dseg)
    affine = np.diag([0.5, 0.5, 0.5, 1])
    for labels, field in ((dseg, 90), (whole, 200)):
        shown = viewer_of({"T1w": image}, {"a": labels}, whole, affine)
        assert all(len(view.slices) <= 64 for view in shown.views)
        assert all(max(view.tile) <= 128 for view in shown.views)
        assert all(min(view.extent) >= field for view in shown.views)
        # Noise as strong as this is the worst case.
        assert sum(len(view.sprites["T1w"].webp) for view in shown.views) < 1_000_000


def test_an_empty_mask_and_gaps_are_drawn() -> None:
    image = np.full((30, 30, 30), np.nan, np.float32)
    empty = np.zeros(image.shape, np.uint8)
    shown = viewer_of({"T1w": image}, {"a": empty}, empty, np.eye(4))
    assert [view.paths["a"][0][view.middle] for view in shown.views] == ["", "", ""]
    assert viewer_of({"T1w": image}, {}, empty, np.eye(4)).segmentations == ()
