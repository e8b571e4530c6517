"""Thumbnail of a segmentation, small enough for thousands on one page."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bids_app.report.overlays import (
    LEFT,
    LEFT_COLOUR,
    PANEL,
    PLANES,
    RIGHT,
    RIGHT_COLOUR,
    THALAMUS_FIELD,
    Layer,
    Scene,
    annotate,
    bounds_of,
    paste_slice,
    window_of,
)

# Pixels of one panel, and WebP quality: about 3 kB for both panels.
SIDE = 132
_QUALITY = 40


def thalamus_thumbnail(
    image: npt.NDArray[Any],
    dseg: npt.NDArray[Any],
    voxel_size: Sequence[float] | npt.NDArray[np.floating],
) -> bytes:
    """Draw the contours of both thalami on the middle axial and coronal slice.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Axes run right, anterior, superior.
    dseg : (X, Y, Z) uint8
        Label image: 1 left thalamus, 2 right thalamus.
    voxel_size : (3,) float
        Size of a voxel along each axis, mm.

    Returns
    -------
    bytes
        WebP, RGB, two panels of `SIDE` by `SIDE` pixels, 90 mm wide each.
    """
    left = Layer("left thalamus", dseg == LEFT, LEFT_COLOUR, 2.5)
    right = Layer("right thalamus", dseg == RIGHT, RIGHT_COLOUR, 2.5)
    spacing = np.asarray(voxel_size, dtype=np.float64)
    centre = bounds_of(left.mask | right.mask).mean(axis=1)
    half = THALAMUS_FIELD / 2 / spacing
    low, high = np.maximum(centre - half, 0).astype(int), np.ceil(centre + half).astype(int)
    window, _ = window_of(image[tuple(map(slice, low, high))])
    scene = Scene(
        image=image,
        layers=(left, right),
        voxel_size=spacing,
        centre=centre,
        field=THALAMUS_FIELD,
        window=window,
    )
    canvas = Image.new("RGB", (2 * PANEL, PANEL))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(19)
    for column, plane in enumerate(PLANES[:2]):
        corner, position = (column * PANEL, 0), round(float(centre[plane.through]))
        paste_slice(canvas, corner, scene, plane, position)
        annotate(draw, font, plane, position, corner)
    buffer = BytesIO()
    canvas.resize((2 * SIDE, SIDE)).save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()
