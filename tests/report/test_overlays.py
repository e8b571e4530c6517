from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PIL.ExifTags import Base

from bids_app.report import overlays
from bids_app.report.overlays import alignment_overlay, brain_overlay

ROWS_HEIGHT = 3 * overlays.PANEL + 2 * overlays.GAP
FOOTER = overlays.LINE + 2 * overlays.GAP
PIXELS_PER_MM = overlays.PANEL / overlays.THALAMUS_FIELD
# A brain that fills the cube of 120 mm; the panels are wider.
WHOLE_PER_MM = overlays.PANEL / (120 * overlays.BRAIN_MARGIN)


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


def decode(content: bytes) -> tuple[npt.NDArray[np.int16], str]:
    image = Image.open(BytesIO(content))
    assert image.format == "WEBP"
    description = image.getexif()[Base.ImageDescription]
    return np.asarray(image.convert("RGB"), dtype=np.int16), str(description)


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


def test_empty_brain_mask_is_reported() -> None:
    image, dseg = head()
    assert "brain mask is empty" in decode(brain_overlay(image, dseg * 0, (1, 1, 1)))[1]


def pixel_of(mm: float) -> int:
    """Pixel of a panel at a distance from the left or lower side of the cube."""
    return round(overlays.PANEL / 2 + (mm - 60) * WHOLE_PER_MM - 0.5)


@pytest.mark.parametrize("voxel_size", [(1.0, 1.0, 1.0), (1.0, 2.0, 3.0)])
def test_squares_of_20_mm_show_the_images_in_turn(
    voxel_size: tuple[float, float, float],
) -> None:
    shape = tuple(round(120 / size) for size in voxel_size)
    # Bright and dark but for a slab of 12 mm on the left, which gives both their contrast.
    bright = np.full(shape, 2, np.float32)
    bright[:12] = 1
    pixels, description = decode(
        alignment_overlay(bright, 3 - bright, np.ones(shape, np.uint8), voxel_size)
    )
    assert "not finite" not in description
    for row, plane in enumerate(overlays.PLANES[:2]):
        size, side = shape[plane.through], voxel_size[plane.through]
        for column, position in enumerate(overlays.spread(np.array([0, size - 1]), 3)):
            through = int(position * side // overlays.CHECKER_MM)
            shown = panel(pixels, row, column)
            for across in range(1, 6):
                for up in range(6):
                    level = shown[
                        overlays.PANEL - 1 - pixel_of(20 * up + 10), pixel_of(20 * across + 10)
                    ].mean()
                    aligned = (across + up + through) % 2
                    assert level < 40 if aligned else level > 215


def test_aligned_images_of_any_scale_look_like_one() -> None:
    image, dseg = head()
    brain = dseg * 0 + 1
    ramp = np.linspace(0, 1, image.size, dtype=np.float32).reshape(image.shape)
    board, _ = decode(alignment_overlay(ramp, 3 * ramp + 2, brain, (1, 1, 1)))
    alone, _ = decode(brain_overlay(ramp, brain, (1, 1, 1)))
    assert np.abs(board - alone).mean() < 3


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_a_constant_image_is_reported_and_drawn_black(value: float) -> None:
    image, dseg = head()
    flat = np.full_like(image, value)
    pixels, description = decode(brain_overlay(flat, dseg > 0, (1, 1, 1)))
    assert "constant image" in description
    lines = 1 + ("not finite" in description)
    assert len(pixels) == ROWS_HEIGHT + FOOTER + overlays.LINE * lines
    assert panel(pixels, 0, 1)[40:60, 90:110].max() < 10


def test_voxels_without_a_number_are_reported_and_drawn_black() -> None:
    image, dseg = head()
    image[:60] = np.nan
    brain = dseg * 0 + 1
    for content in (
        brain_overlay(image, brain, (1, 1, 1)),
        alignment_overlay(image, image, brain, (1, 1, 1)),
    ):
        pixels, description = decode(content)
        assert "50.0% of the voxels are not finite (black)" in description
        middle = panel(pixels, 0, 1)
        rows = slice(pixel_of(30), pixel_of(90))
        assert middle[rows, pixel_of(20) : pixel_of(40)].max() < 10
        assert middle[rows, pixel_of(80) : pixel_of(100)].mean() == pytest.approx(127, abs=25)


def test_outside_the_image_is_black() -> None:
    image, dseg = head()
    pixels, _ = decode(brain_overlay(image, dseg * 0 + 1, (1, 1, 1)))
    for row in range(3):
        shown = panel(pixels, row, 1)
        # The cube ends 17 pixels before the panel; letters are in the middle.
        assert shown[-10:].max() < 10
        assert shown[20:80, -10:].max() < 10
        assert shown[pixel_of(10) : pixel_of(40), 25:-25].mean() > 60


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_does_not_matter(order: str) -> None:
    image, dseg = head((1.0, 1.0, 3.0))
    brain = dseg * 0 + 1
    stored, mask = (np.array(part, order=order) for part in (image, brain))
    assert brain_overlay(stored, mask, (1, 1, 3)) == brain_overlay(image, brain, (1, 1, 3))
    expected = alignment_overlay(image, 2 * image, brain, (1, 1, 3))
    assert alignment_overlay(stored, 2 * stored, mask, (1, 1, 3)) == expected


def alignment_with_itself(
    image: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8], voxel_size: tuple[float, ...]
) -> bytes:
    return alignment_overlay(image, image, mask, voxel_size)


def test_shapes_must_agree() -> None:
    image, mask = np.ones((4, 4, 4)), np.ones((4, 4, 5))
    with pytest.raises(ValueError, match=r"\(4, 4, 4\), \(4, 4, 5\)"):
        brain_overlay(image, mask, (1, 1, 1))
    with pytest.raises(ValueError, match=r"\(4, 4, 5\), \(4, 4, 4\)"):
        alignment_overlay(image, mask, image, (1, 1, 1))


@pytest.mark.parametrize("draw", [brain_overlay, alignment_with_itself])
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
