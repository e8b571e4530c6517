from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PIL.ExifTags import Base

from bids_app.report import overlays
from bids_app.report.overlays import brain_overlay

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
    shape: tuple[int, ...], voxel_size: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        brain_overlay(np.ones(shape, dtype=np.float32), np.ones(shape, dtype=np.uint8), voxel_size)
