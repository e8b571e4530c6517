from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bids_app.report import overlays
from bids_app.report.overlays import alignment_overlay, brain_overlay, thalamus_overlay

ROWS_HEIGHT = 3 * overlays.PANEL + 2 * overlays.GAP
FOOTER = overlays.LINE + 2 * overlays.GAP
PIXELS_PER_MM = overlays.PANEL / overlays.THALAMUS_FIELD


def head(
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """A noisy cube of 120 mm; left thalamus 36-54 mm from the left, right 66-84, both 24 high."""
    shape = tuple(round(120 / size) for size in voxel_size)
    image = np.random.default_rng(0).uniform(50, 150, shape).astype(np.float32)
    dseg = np.zeros(shape, dtype=np.uint8)
    dx, dy, dz = voxel_size
    depth = np.s_[round(42 / dy) : round(78 / dy), round(48 / dz) : round(72 / dz)]
    dseg[round(36 / dx) : round(54 / dx), *depth] = 1
    dseg[round(66 / dx) : round(84 / dx), *depth] = 2
    return image, dseg


def decode(png: bytes) -> tuple[npt.NDArray[np.int16], str]:
    image = Image.open(BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"), dtype=np.int16), str(image.info["Description"])


def coloured(pixels: npt.NDArray[np.int16], colour: overlays.Colour) -> npt.NDArray[np.intp]:
    """Rows and columns of the pixels of the slices that have a colour, (n, 2)."""
    return np.argwhere((abs(pixels[:ROWS_HEIGHT] - colour) < 30).all(axis=2))


def panel(pixels: npt.NDArray[np.int16], row: int, column: int) -> npt.NDArray[np.int16]:
    step = overlays.PANEL + overlays.GAP
    return pixels[
        row * step : row * step + overlays.PANEL, column * step : column * step + overlays.PANEL
    ]


def extent_mm(pixels: npt.NDArray[np.int16], colour: overlays.Colour) -> npt.NDArray[np.float64]:
    """Height and width of a contour in mm, without the width of its line."""
    line = np.argwhere((abs(pixels - colour) < 60).all(axis=2))
    return np.asarray((np.ptp(line, axis=0) - 1) / PIXELS_PER_MM)


def test_size() -> None:
    pixels, description = decode(thalamus_overlay(*head(), (1, 1, 1)))
    width = 6 * overlays.PANEL + 5 * overlays.GAP
    assert pixels.shape == (ROWS_HEIGHT + FOOTER, width, 3)
    assert "neurological" in description


@pytest.mark.parametrize(
    ("colour", "left_edge", "right_edge"),
    [(overlays.LEFT_COLOUR, 36, 54), (overlays.RIGHT_COLOUR, 66, 84)],
)
def test_contour_surrounds_its_structure(
    colour: overlays.Colour, left_edge: float, right_edge: float
) -> None:
    pixels, _ = decode(thalamus_overlay(*head(), (1, 1, 1)))
    line = coloured(panel(pixels, 0, 2), colour)
    assert len(line) > 100
    # A panel is centred between both structures, here at 60 mm.
    across = (line[:, 1] + 0.5 - overlays.PANEL / 2) / PIXELS_PER_MM + 60
    up = (overlays.PANEL / 2 - line[:, 0] - 0.5) / PIXELS_PER_MM + 60
    edges = [abs(across - left_edge), abs(across - right_edge), abs(up - 42), abs(up - 78)]
    assert np.min(edges, axis=0).max() < 1
    assert across.min() == pytest.approx(left_edge, abs=0.7)
    assert across.max() == pytest.approx(right_edge, abs=0.7)


def test_sagittal_row_holds_left_then_right() -> None:
    pixels, _ = decode(thalamus_overlay(*head(), (1, 1, 1)))
    for column in range(6):
        left = coloured(panel(pixels, 2, column), overlays.LEFT_COLOUR)
        right = coloured(panel(pixels, 2, column), overlays.RIGHT_COLOUR)
        assert (len(left) > 100, len(right) > 100) == (column < 3, column >= 3)


@pytest.mark.parametrize("voxel_size", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (0.75, 3.0, 1.5)])
def test_proportions_hold_for_any_voxel_size(voxel_size: tuple[float, float, float]) -> None:
    pixels, _ = decode(thalamus_overlay(*head(voxel_size), voxel_size))
    coronal = extent_mm(panel(pixels, 1, 2), overlays.LEFT_COLOUR)
    axial = extent_mm(panel(pixels, 0, 2), overlays.RIGHT_COLOUR)
    np.testing.assert_allclose(coronal, (24, 18), atol=1.5)
    np.testing.assert_allclose(axial, (36, 18), atol=1.5)


def test_brain_contour_follows_the_mask() -> None:
    image, _ = head((1.0, 1.0, 3.0))
    mask = np.zeros(image.shape, dtype=bool)
    mask[20:100, 10:110, 10:30] = True
    pixels, _ = decode(brain_overlay(image, mask, (1, 1, 3)))
    assert pixels.shape == (ROWS_HEIGHT + FOOTER, 3 * overlays.PANEL + 2 * overlays.GAP, 3)
    axial = extent_mm(panel(pixels, 0, 1), overlays.BRAIN_COLOUR)
    coronal = extent_mm(panel(pixels, 1, 1), overlays.BRAIN_COLOUR)
    assert axial[0] / axial[1] == pytest.approx(100 / 80, rel=0.03)
    assert coronal[0] / coronal[1] == pytest.approx(60 / 80, rel=0.03)


def test_structure_at_the_border_of_the_image() -> None:
    image, dseg = head()
    corner = np.s_[33:90, 40:80, 45:75]
    pixels, _ = decode(thalamus_overlay(image[corner], dseg[corner], (1, 1, 1)))
    assert panel(pixels, 0, 2)[0, 0].tolist() == [0, 0, 0]
    assert len(coloured(panel(pixels, 0, 2), overlays.LEFT_COLOUR)) > 100


@pytest.mark.parametrize(
    ("side", "notes"),
    [(1, ["no left thalamus"]), (2, ["no right thalamus"]), (None, ["no left", "no right"])],
)
def test_absent_labels_are_reported(side: int | None, notes: list[str]) -> None:
    image, dseg = head()
    absent = np.ones(dseg.shape, dtype=bool) if side is None else dseg == side
    pixels, description = decode(thalamus_overlay(image, np.where(absent, 0, dseg), (1, 1, 1)))
    assert all(note in description for note in notes)
    assert len(pixels) == ROWS_HEIGHT + FOOTER + overlays.LINE * len(notes)


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_constant_image_is_reported(value: float) -> None:
    image, dseg = head()
    flat = np.full_like(image, value)
    assert "constant image" in decode(thalamus_overlay(flat, dseg, (1, 1, 1)))[1]
    assert "constant image" in decode(brain_overlay(flat, dseg > 0, (1, 1, 1)))[1]


def test_nan_is_reported_and_drawn_black() -> None:
    image, dseg = head()
    image[:60] = np.nan
    pixels, description = decode(thalamus_overlay(image, dseg, (1, 1, 1)))
    assert "50.0% of the voxels are not finite" in description
    assert panel(pixels, 0, 2)[30, 60].tolist() == [0, 0, 0]
    assert panel(pixels, 0, 2)[30:60, 140:180].max() > 100


def test_empty_brain_mask_is_reported() -> None:
    image, dseg = head()
    assert "brain mask is empty" in decode(brain_overlay(image, dseg * 0, (1, 1, 1)))[1]


def test_two_images_take_turns() -> None:
    """Of two flat images every square shows one; moved edges would show at their borders."""
    image, dseg = head()
    brain = dseg * 0 + 1
    ramp = np.linspace(0, 1, image.size, dtype=np.float32).reshape(image.shape)
    same = decode(alignment_overlay(ramp, 3 * ramp + 2, brain, (1, 1, 1)))[0]
    alone = decode(brain_overlay(ramp, brain, (1, 1, 1)))[0]
    assert np.abs(same.astype(int) - alone.astype(int)).mean() < 3
    other = decode(alignment_overlay(ramp, -ramp, brain, (1, 1, 1)))[0]
    share = np.mean(np.abs(other.astype(int) - same.astype(int)) > 20)
    assert 0.1 < share < 0.9


def test_memory_order_does_not_matter() -> None:
    image, dseg = head((1.0, 1.0, 3.0))
    expected = thalamus_overlay(image, dseg, (1, 1, 3))
    assert (
        thalamus_overlay(np.asfortranarray(image), np.asfortranarray(dseg), (1, 1, 3)) == expected
    )


@pytest.mark.parametrize("draw", [thalamus_overlay, brain_overlay])
@pytest.mark.parametrize(
    ("shape", "voxel_size", "message"),
    [
        ((4, 4), (1, 1, 1), "three axes"),
        ((4, 4, 4, 1), (1, 1, 1), "three axes"),
        ((4, 4, 0), (1, 1, 1), "three axes"),
        ((4, 4, 4), (1, 1), "three positive lengths"),
        ((4, 4, 4), (1, 0, 1), "three positive lengths"),
        ((4, 4, 4), (1, 1, np.nan), "three positive lengths"),
    ],
)
def test_bad_geometry_is_refused(
    draw: Callable[..., bytes], shape: tuple[int, ...], voxel_size: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw(np.ones(shape, dtype=np.float32), np.ones(shape, dtype=np.uint8), voxel_size)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4, 4\), \(4, 4, 5\)"):
        thalamus_overlay(np.ones((4, 4, 4)), np.ones((4, 4, 5)), (1, 1, 1))
