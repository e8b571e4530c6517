"""Slices through the thalami of several images, in one file per image and plane."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bids_app.report.overlays import THALAMUS_FIELD, Plane, bounds_of, window_of

# Slices reach this far beyond the thalami, mm.
_MARGIN = 4.0
# Thalami with a margin are smaller, masks that include other structures are not.
_MOST_SLICES, _MOST_PIXELS = 64, 128
# WebP quality and effort.
_QUALITY, _EFFORT = 60, 2


@dataclass(frozen=True, eq=False)
class Field:
    """Box of the image that is shown, and the slices through it.

    Attributes
    ----------
    low, size : (3,) int
        First voxel of the box, which may lie outside the image, and its voxels along each axis.
    slices : tuple of tuple of int
        Voxel indices of the slices across each axis.
    """

    low: npt.NDArray[np.intp]
    size: npt.NDArray[np.intp]
    slices: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Sprite:
    """All slices of an image in one plane, in rows, the first slice at the top left.

    Attributes
    ----------
    webp : bytes
        Grey values.
    width, height : int
        Pixels of a slice.
    columns, rows : int
        Slices in a row, and rows.
    """

    webp: bytes
    width: int
    height: int
    columns: int
    rows: int

    @property
    def uri(self) -> str:
        """Data URI of the image."""
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode("ascii")


def field_around(
    mask: npt.NDArray[Any], spacing: npt.NDArray[np.float64], shape: Sequence[int]
) -> Field:
    """Choose the box and the slices that show a mask.

    Parameters
    ----------
    mask : (X, Y, Z) bool
        The whole image counts if it is empty.
    spacing : (3,) float64, mm
    shape : (3,) int
        Voxels of the image along each axis.

    Returns
    -------
    Field
        90 mm wide, or wider where the mask is.
    """
    bounds = bounds_of(mask)
    extent = float(((np.ptp(bounds, axis=1) + 1) * spacing).max())
    side = max(THALAMUS_FIELD, extent + 4 * _MARGIN)
    half = side / 2 / spacing
    low = np.floor(bounds.mean(axis=1) + 0.5 - half).astype(np.intp)
    slices = []
    for axis, (first, last) in enumerate(bounds):
        margin = round(_MARGIN / float(spacing[axis]))
        begin, end = max(int(first) - margin, 0), min(int(last) + margin, shape[axis] - 1)
        step = ceil((end - begin + 1) / _MOST_SLICES)
        slices.append(tuple(range(begin, end + 1, step)))
    return Field(low, np.ceil(2 * half).astype(np.intp), tuple(slices))


def slices_of(volume: npt.NDArray[Any], field: Field, plane: Plane) -> npt.NDArray[Any]:
    """Cut the slices of one plane out of a volume.

    Returns
    -------
    (N, height, width) array
        Rows run downwards, from anterior or superior; zero outside the image.
    """
    axes = (plane.through, plane.up, plane.across)
    stack = volume.transpose(axes)[list(field.slices[plane.through])]
    height, width = (int(field.size[axis]) for axis in axes[1:])
    cut = np.zeros((len(stack), height, width), volume.dtype)
    parts, places = [], []
    for axis, length in zip(axes[1:], (height, width), strict=True):
        low = int(field.low[axis])
        begin, end = max(low, 0), max(min(low + length, volume.shape[axis]), 0)
        parts.append(slice(begin, end))
        places.append(slice(begin - low, end - low))
    cut[:, places[0], places[1]] = stack[:, parts[0], parts[1]]
    return cut[:, ::-1]


def window_in(image: npt.NDArray[Any], field: Field) -> tuple[float, float]:
    """Return the values to draw black and white: fat and vessels elsewhere are brighter."""
    low, high = np.maximum(field.low, 0), np.maximum(field.low + field.size, 0)
    # Percentiles of every second voxel are as accurate, and eight times as fast.
    return window_of(image[tuple(slice(*ends, 2) for ends in zip(low, high, strict=True))])[0]


def sprite_of(
    image: npt.NDArray[Any],
    field: Field,
    plane: Plane,
    window: tuple[float, float],
) -> Sprite:
    """Draw all slices of a plane.

    Parameters
    ----------
    image : (X, Y, Z) float32
    field : Field
    plane : Plane
    window : tuple of float
        Values to draw black and white.

    Returns
    -------
    Sprite
        One pixel per voxel, or fewer in images of high resolution.
    """
    low, high = window
    values = np.nan_to_num(slices_of(image, field, plane), nan=low, posinf=high, neginf=low)
    grey = (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    count, height, width = grey.shape
    size = min(width, _MOST_PIXELS), min(height, _MOST_PIXELS)
    if size != (width, height):
        resized = [Image.fromarray(part).resize(size, Image.Resampling.BOX) for part in grey]
        grey = np.stack([np.asarray(part) for part in resized])
        width, height = size
    columns = ceil((count * height / width) ** 0.5)
    rows = ceil(count / columns)
    tiles = np.zeros((rows * columns, height, width), np.uint8)
    tiles[:count] = grey
    mosaic = tiles.reshape(rows, columns, height, width).swapaxes(1, 2)
    buffer = BytesIO()
    Image.fromarray(mosaic.reshape(rows * height, columns * width)).save(
        buffer, "WEBP", quality=_QUALITY, method=_EFFORT
    )
    return Sprite(buffer.getvalue(), width, height, columns, rows)
