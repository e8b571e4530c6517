"""Contours of masks on slices of an image, as WebP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.ExifTags import Base
from PIL.Image import Resampling

from bids_app.images.geometry import bounding_box

FloatArray = npt.NDArray[np.float32]
Colour = tuple[int, int, int]

LEFT, RIGHT = 1, 2
# Okabe & Ito's palette: distinguishable with any common colour vision deficiency, bright on grey.
LEFT_COLOUR: Colour = (230, 159, 0)
RIGHT_COLOUR: Colour = (86, 180, 233)
BRAIN_COLOUR: Colour = (240, 228, 66)

PANEL = 200
GAP = 4
LINE = 24
LINE_WIDTH = 1.4
THALAMUS_FIELD = 90.0
BRAIN_SLICES = 3
BRAIN_MARGIN = 1.2
CHECKER_MM = 20.0
# WebP quality and effort.
_QUALITY, _EFFORT = 75, 2

TEXT_COLOUR: Colour = (225, 225, 225)
_ALERT: Colour = (255, 120, 90)
BLACK: Colour = (0, 0, 0)
_CONVENTION = "neurological convention (left is left)"


@dataclass(frozen=True)
class Plane:
    """Slicing plane: the array axes across, up and through it, and the letters at its sides."""

    name: str
    across: int
    up: int
    through: int
    sides: tuple[str, str]


PLANES = (
    Plane("axial", 0, 1, 2, ("L", "R")),
    Plane("coronal", 0, 2, 1, ("L", "R")),
    Plane("sagittal", 1, 2, 0, ("P", "A")),
)


@dataclass(frozen=True)
class Layer:
    """Mask whose contour is drawn, (X, Y, Z) bool, and the width of the line in pixels."""

    name: str
    mask: npt.NDArray[np.bool_]
    colour: Colour
    width: float = LINE_WIDTH


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Image, masks and view, shared by all panels of a figure.

    Attributes
    ----------
    image : (X, Y, Z) array
    layers : tuple of Layer
    voxel_size : (3,) float64, mm
    centre : (3,) float64, voxels
    field : float
        Width and height of a panel, mm.
    window : tuple of float
        Image values drawn black and white.
    """

    image: npt.NDArray[Any]
    layers: tuple[Layer, ...]
    voxel_size: npt.NDArray[np.float64]
    centre: npt.NDArray[np.float64]
    field: float
    window: tuple[float, float]


def brain_overlay(
    image: npt.NDArray[Any],
    mask: npt.NDArray[Any],
    voxel_size: Sequence[float] | npt.NDArray[np.floating],
) -> bytes:
    """Draw the contour of the brain mask on three axial, coronal and sagittal slices.

    Problems are written on the figure and into its EXIF description.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Axes run right, anterior, superior.
    mask : (X, Y, Z) bool or uint8
        Brain where not zero.
    voxel_size : (3,) float
        Size of a voxel along each axis, mm.

    Returns
    -------
    bytes
        WebP, RGB.

    Raises
    ------
    ValueError
        If an array is not three-dimensional, shapes differ or a voxel size is not
        positive.
    """
    spacing = _check(image, mask, voxel_size)
    brain = mask != 0
    window, notes = _brain_window(image, brain)
    return _brain_figure(image, brain, spacing, window, notes + _gaps(image))


def alignment_overlay(
    image: npt.NDArray[Any],
    aligned: npt.NDArray[Any],
    mask: npt.NDArray[Any],
    voxel_size: Sequence[float] | npt.NDArray[np.floating],
) -> bytes:
    """Draw a checkerboard of two images with the contour of the brain.

    Three axial, coronal and sagittal slices; each square is 20 mm wide. Where the images are
    aligned, edges continue from one square to the next.

    Parameters
    ----------
    image, aligned : (X, Y, Z) array
        Images on one grid; axes run right, anterior, superior.
    mask : (X, Y, Z) bool or uint8
        Brain of ``image`` where not zero.
    voxel_size : (3,) float
        Size of a voxel along each axis, mm.

    Returns
    -------
    bytes
        WebP, RGB.

    Raises
    ------
    ValueError
        For the reasons of `brain_overlay`.
    """
    spacing = _check(image, mask, voxel_size)
    _check(aligned, mask, voxel_size)
    brain = mask != 0
    squares = [
        (np.arange(size) * side // CHECKER_MM).astype(int) % 2 == 1
        for size, side in zip(image.shape, spacing, strict=True)
    ]
    windows = [_brain_window(part, brain)[0] for part in (image, aligned)]
    # Only the slices that are shown are filled.
    board = np.zeros(image.shape, np.float32)
    for plane, positions in zip(PLANES, _brain_slices(bounds_of(brain)), strict=True):
        pattern = np.logical_xor.outer(
            *(squares[axis] for axis in range(3) if axis != plane.through)
        )
        for position in positions:
            turn = pattern ^ squares[plane.through][position]
            first, second = (
                (section_of(part, plane, position) - low) / (high - low)
                for part, (low, high) in zip((image, aligned), windows, strict=True)
            )
            section_of(board, plane, position)[:] = np.where(turn, second, first)
    return _brain_figure(board, brain, spacing, (0.0, 1.0), _gaps(image) + _gaps(aligned))


def _brain_window(
    image: npt.NDArray[Any], brain: npt.NDArray[np.bool_]
) -> tuple[tuple[float, float], list[str]]:
    """Return the values to draw black and white, and the problems of the image."""
    # Percentiles of every third voxel per axis are as accurate, and 27 times as fast.
    sparse = (slice(None, None, 3),) * 3
    inside = image[sparse][brain[sparse]]
    return window_of(inside if inside.size else image[sparse])


def _brain_slices(bounds: npt.NDArray[np.intp]) -> list[list[int]]:
    return [spread(bounds[plane.through], BRAIN_SLICES) for plane in PLANES]


def _brain_figure(
    image: npt.NDArray[Any],
    brain: npt.NDArray[np.bool_],
    spacing: npt.NDArray[np.float64],
    window: tuple[float, float],
    notes: list[str],
) -> bytes:
    """Draw the slices through the brain with its contour."""
    bounds = bounds_of(brain)
    if not brain.any():
        notes.append("the brain mask is empty")
    scene = Scene(
        image=image,
        layers=(Layer("brain mask", brain, BRAIN_COLOUR),),
        voxel_size=spacing,
        centre=bounds.mean(axis=1),
        field=float(BRAIN_MARGIN * ((np.ptp(bounds, axis=1) + 1) * spacing).max()),
        window=window,
    )
    return _figure(scene, _brain_slices(bounds), BRAIN_SLICES, notes)


def _check(
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    voxel_size: Sequence[float] | npt.NDArray[np.floating],
) -> npt.NDArray[np.float64]:
    if image.ndim != 3 or image.shape != labels.shape or 0 in image.shape:
        raise ValueError(
            f"image and labels need the same three axes, got shapes {image.shape}, {labels.shape}"
        )
    spacing = np.asarray(voxel_size, dtype=np.float64)
    if spacing.shape != (3,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ValueError(f"voxel size needs three positive lengths in mm, got {spacing.tolist()}")
    return spacing


def bounds_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the first and last voxel of a mask per axis, (3, 2); of the array if it is empty."""
    return np.array([(part.start, part.stop - 1) for part in bounding_box(mask)])


def spread(bound: npt.NDArray[np.intp], count: int) -> list[int]:
    """Return up to `count` evenly spaced slices strictly inside `bound` where there is room."""
    # The outermost slices only graze the structure.
    positions = np.linspace(bound[0], bound[1], count + 2)[1:-1]
    return [int(position) for position in np.unique(np.rint(positions))]


def window_of(values: npt.NDArray[Any]) -> tuple[tuple[float, float], list[str]]:
    """Return the values to draw black and white, and the problems of the image."""
    # Zero is background in images without a skull.
    tissue = values[np.isfinite(values) & (values != 0)]
    low, high = np.percentile(tissue, (0.5, 99.5)) if tissue.size else (0.0, 0.0)
    if high <= low:
        return (low, low + 1.0), ["constant image"]
    return (float(low), float(high)), []


def _gaps(image: npt.NDArray[Any]) -> list[str]:
    share = 1 - np.count_nonzero(np.isfinite(image)) / image.size
    return [f"{share:.1%} of the voxels are not finite (black)"] if share else []


def _figure(scene: Scene, rows: list[list[int]], columns: int, notes: list[str]) -> bytes:
    """Draw the panels of each plane in a row, with a legend and `notes` below."""
    grid = PANEL * np.array([columns, len(rows)]) + GAP * np.array([columns - 1, len(rows) - 1])
    width, height = grid.tolist()
    canvas = Image.new("RGB", (width, height + LINE * (1 + len(notes)) + 2 * GAP))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(14)
    for row, (plane, positions) in enumerate(zip(PLANES, rows, strict=True)):
        for column, position in enumerate(positions):
            corner = (column * (PANEL + GAP), row * (PANEL + GAP))
            paste_slice(canvas, corner, scene, plane, position)
            annotate(draw, font, plane, position, corner)
    draw_legend(draw, font, scene, height + GAP)
    for line, note in enumerate(notes, start=1):
        draw.text((GAP, height + GAP + LINE * line), note, _ALERT, font)
    description = Image.Exif()
    description[Base.ImageDescription] = "; ".join([_CONVENTION, *notes])
    buffer = BytesIO()
    canvas.save(buffer, "WEBP", quality=_QUALITY, method=_EFFORT, exif=description)
    return buffer.getvalue()


def paste_slice(
    canvas: Image.Image, corner: tuple[int, int], scene: Scene, plane: Plane, position: int
) -> None:
    """Draw one slice and the contours of the masks in it."""
    low, high = scene.window
    section = section_of(scene.image, plane, position)
    grey = sample_section(scene, plane, section, Resampling.BICUBIC)
    canvas.paste(levels((grey - low) / (high - low)), corner)
    for layer in scene.layers:
        mask = section_of(layer.mask, plane, position)
        if mask.any():
            line = contour_line(
                sample_section(scene, plane, mask, Resampling.BILINEAR), layer.width
            )
            canvas.paste(layer.colour, (*corner, corner[0] + PANEL, corner[1] + PANEL), line)


def levels(values: FloatArray) -> Image.Image:
    """Return 0 to 1 as an 8-bit image, clipped."""
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def section_of(volume: npt.NDArray[Any], plane: Plane, position: int) -> npt.NDArray[Any]:
    """Return a slice as a view."""
    # A view; ndarray.take would first copy a volume that is not in C order.
    section: npt.NDArray[Any] = np.moveaxis(volume, plane.through, 0)[position]
    return section


def sample_section(
    scene: Scene, plane: Plane, section: npt.NDArray[Any], method: Resampling
) -> FloatArray:
    """Interpolate a slice at the pixels of a panel, (PANEL, PANEL), zero outside the image."""
    axes = [plane.across, plane.up]
    # Pillow's origin is the outer corner of the first pixel, that of voxels the centre.
    middle, half = scene.centre[axes] + 0.5, scene.field / scene.voxel_size[axes] / 2
    left, low = (int(edge) for edge in np.floor(middle - half) - 2)
    right, high = (int(edge) for edge in np.ceil(middle + half) + 2)
    tissue = np.where(np.isfinite(section), section, 0).T.astype(np.float32)
    # Pixels outside the image are zero after cropping.
    cropped = Image.fromarray(tissue).crop((left, low, right, high))
    first, last = middle - half - (left, low), middle + half - (left, low)
    return np.asarray(cropped.resize((PANEL, PANEL), method, (*first, *last)))[::-1]


def contour_line(mask: FloatArray, width: float) -> Image.Image:
    """Return the opacity of a line along the half level of a sampled mask.

    The distance from the level set is the value divided by the gradient, which gives the line
    subpixel accuracy and smooth edges.
    """
    down, across = np.gradient(mask)
    distance = np.abs(mask - 0.5) / np.maximum(np.hypot(down, across), 1e-6)
    return levels((width + 1) / 2 - distance)


def annotate(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    plane: Plane,
    position: int,
    corner: tuple[int, int],
) -> None:
    """Write the plane, the slice and its sides on a panel."""
    x, y = corner
    middle = y + PANEL / 2
    for place, text, anchor in (
        ((x + 6, y + 6), f"{plane.name} {position}", "la"),
        ((x + 6, middle), plane.sides[0], "lm"),
        ((x + PANEL - 6, middle), plane.sides[1], "rm"),
    ):
        draw.text(place, text, TEXT_COLOUR, font, anchor, stroke_width=2, stroke_fill=BLACK)


def draw_legend(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    scene: Scene,
    top: float,
) -> None:
    """Write one line: the colours, the scale and the convention."""
    middle, x = top + LINE / 2, float(2 * GAP)
    entries = [(layer.name, layer.colour, 20.0) for layer in scene.layers]
    scale = 20 if scene.field < 150 else 50
    entries.append((f"{scale} mm", TEXT_COLOUR, scale / scene.field * PANEL))
    for name, colour, length in entries:
        draw.line((x, middle, x + length, middle), colour, 2)
        draw.text((x + length + 6, middle), name, TEXT_COLOUR, font, anchor="lm")
        x += length + 24 + font.getlength(name)
    draw.text((x, middle), _CONVENTION, TEXT_COLOUR, font, anchor="lm")
