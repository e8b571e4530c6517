"""Two visits of a subject on the same slices, and where the border between them shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from bids_app.report.overlays import (
    GAP,
    LEFT,
    LEFT_COLOUR,
    LINE,
    PANEL,
    PLANES,
    RIGHT,
    RIGHT_COLOUR,
    TEXT_COLOUR,
    THALAMUS_FIELD,
    FloatArray,
    Layer,
    Plane,
    Scene,
    annotate,
    bounds_of,
    contour_line,
    draw_legend,
    paste_slice,
    sample_section,
    section_of,
    spread,
    window_of,
)

# Shift that has the full colour, mm.
FULL_SHIFT = 0.5
# Labels are smoothed by it (SD, mm), so that their steps of whole voxels give no shifts.
_SMOOTHING = 1.0
# Smoothed labels that are nearer to 0 or 1 are far from the border.
_FAR = 0.01
_BAND_WIDTH = 6.0
_DIMMED = 0.55
# Vermilion, white, blue: distinguishable with any common colour vision deficiency.
_INWARD, _STILL, _OUTWARD = (240.0, 95.0, 15.0), (245.0, 245.0, 245.0), (45.0, 125.0, 255.0)
_BAR = (160, 12)
# Lines of the two visits, pixels: where they coincide, the later one lies within the earlier one.
_LINES = (3.0, 1.0)
# Of the sagittal slices.
_SIDES = ("left", "right")
_GREYS, _HUES, _BLENDS = 64, 33, 5


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit on the grid that it shares with another.

    Attributes
    ----------
    name : str
        Such as ``ses-01``.
    image : (X, Y, Z) array
        Axes run right, anterior, superior.
    dseg : (X, Y, Z) uint8
        Label image: 1 left thalamus, 2 right thalamus.
    """

    name: str
    image: npt.NDArray[Any]
    dseg: npt.NDArray[Any]


def border_shift(
    first: npt.NDArray[np.bool_], later: npt.NDArray[np.bool_], spacing: npt.NDArray[np.float64]
) -> FloatArray:
    """Compute the shift of a border along its normal.

    Parameters
    ----------
    first, later : (X, Y, Z) bool
    spacing : (3,) float64
        Size of a voxel along each axis, mm.

    Returns
    -------
    (X, Y, Z) float32
        In mm, outward positive; valid at the border, 0 far from it.
    """
    # Across a straight border, smoothed labels are the normal distribution of the distance to it.
    before, after = (
        ndtri(np.clip(_smoothed(mask, spacing), _FAR, 1 - _FAR)) for mask in (first, later)
    )
    shift: FloatArray = (_SMOOTHING * (after - before)).astype(np.float32)
    return shift


def border_weight(
    first: npt.NDArray[np.bool_], later: npt.NDArray[np.bool_], spacing: npt.NDArray[np.float64]
) -> FloatArray:
    """Mark where `border_shift` is valid.

    Parameters
    ----------
    first, later : (X, Y, Z) bool
    spacing : (3,) float64
        Size of a voxel along each axis, mm.

    Returns
    -------
    (X, Y, Z) float32
        1 within about 1.3 mm of the border (10 to 90 % of the smoothed masks), else 0.
    """
    mean = np.mean([_smoothed(mask, spacing) for mask in (first, later)], axis=0)
    near: FloatArray = ((mean > 0.1) & (mean < 0.9)).astype(np.float32)
    return near


def visits_figure(first: Visit, later: Visit, spacing: npt.NDArray[np.float64]) -> bytes:
    """Draw both visits and the shift between them on the same six slices.

    Two axial and two coronal slices, and one sagittal slice through either thalamus; of each, the
    earlier visit, the later one, both with both contours, and the shift of the border.

    Parameters
    ----------
    first, later : Visit
        On one grid.
    spacing : (3,) float64
        Size of a voxel along each axis, mm.

    Returns
    -------
    bytes
        PNG.
    """
    bounds = bounds_of((first.dseg != 0) | (later.dseg != 0))
    half = THALAMUS_FIELD / 2 / spacing
    start = np.maximum(bounds.mean(axis=1) - half, 0).astype(int)
    stop = np.ceil(bounds.mean(axis=1) + half).astype(int) + 1
    part = tuple(map(slice, start, stop))
    visits = [
        Visit(each.name, np.asarray(each.image[part]), np.asarray(each.dseg[part]))
        for each in (first, later)
    ]
    scenes = _scenes(visits, spacing, bounds.mean(axis=1) - start)
    masks = [each.dseg != 0 for each in visits]
    shift = border_shift(masks[0], masks[1], spacing)
    border: FloatArray = np.mean([_smoothed(mask, spacing) for mask in masks], axis=0)
    width = 6 * PANEL + 5 * GAP
    height = 3 * (PANEL + GAP)
    canvas = Image.new("RGB", (width, height + 2 * LINE))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(14)
    names = [*(each.name for each in visits), "shift"]
    for row, (plane, positions) in enumerate(
        zip(PLANES, _positions(bounds, first.dseg), strict=True)
    ):
        for column, position in enumerate(np.repeat(positions, 3).tolist()):
            corner = (column * (PANEL + GAP), row * (PANEL + GAP))
            inside = position - int(start[plane.through])
            if column % 3 < 2:
                paste_slice(canvas, corner, scenes[column % 3], plane, inside)
            else:
                _paste_shift(canvas, corner, scenes[1], (border, shift), plane, inside)
            annotate(draw, font, plane, position, corner)
            labels = [(corner[0] + 6, corner[1] + PANEL - 6, names[column % 3], "ls")]
            if plane.through == 0:
                # Its own sides are front and back.
                labels.append((corner[0] + PANEL - 6, corner[1] + 6, _SIDES[column // 3], "ra"))
            for x, y, text, anchor in labels:
                draw.text((x, y), text, TEXT_COLOUR, font, anchor, stroke_width=2, stroke_fill=0)
    draw_legend(draw, font, scenes[0], height)
    _draw_scale(canvas, draw, font, height + LINE)
    buffer = BytesIO()
    # A palette halves the file.
    few = canvas.quantize(palette=_palette(), dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _scenes(
    visits: Sequence[Visit],
    spacing: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
) -> list[Scene]:
    """Prepare the image of each visit with the contours of both."""
    layers = tuple(
        Layer(f"border at {each.name}", each.dseg != 0, colour, width)
        for each, colour, width in zip(visits, (LEFT_COLOUR, RIGHT_COLOUR), _LINES, strict=True)
    )
    return [
        Scene(
            image=each.image,
            layers=layers,
            voxel_size=spacing,
            centre=centre,
            field=THALAMUS_FIELD,
            window=window_of(each.image)[0],
        )
        for each in visits
    ]


def _positions(bounds: npt.NDArray[np.intp], dseg: npt.NDArray[Any]) -> list[list[int]]:
    """Choose two slices of each plane; sagittal ones through the left and the right thalamus."""
    thirds = [spread(bounds[axis], 2) for axis in (2, 1)]
    sides = [spread(bounds_of(dseg == label)[0], 1)[0] for label in (LEFT, RIGHT)]
    # Flat thalami have one slice only.
    return [*([each[0], each[-1]] for each in thirds), sides]


def _smoothed(mask: npt.NDArray[np.bool_], spacing: npt.NDArray[np.float64]) -> FloatArray:
    smooth: FloatArray = gaussian_filter(mask.astype(np.float32), _SMOOTHING / spacing)
    return smooth


def _paste_shift(
    canvas: Image.Image,
    corner: tuple[int, int],
    scene: Scene,
    maps: tuple[FloatArray, FloatArray],
    plane: Plane,
    position: int,
) -> None:
    """Draw a slice with the border coloured by its shift; `maps` are border and shift."""
    low, high = scene.window
    section = section_of(scene.image, plane, position)
    grey = sample_section(scene, plane, section, Resampling.BICUBIC)
    dimmed = np.clip((grey - low) / (high - low), 0, 1) * (255 * _DIMMED)
    canvas.paste(Image.fromarray(dimmed.astype(np.uint8)), corner)
    border, shift = (
        sample_section(scene, plane, section_of(each, plane, position), Resampling.BILINEAR)
        for each in maps
    )
    # At an empty map every pixel is as far from the border.
    if border.max() > 0.5:
        canvas.paste(_coloured(shift / FULL_SHIFT), corner, contour_line(border, _BAND_WIDTH))


def _coloured(values: npt.NDArray[np.floating]) -> Image.Image:
    """Colour -1 to 1 from inward to outward."""
    channels = [
        np.interp(values, (-1, 0, 1), (inward, still, outward)).astype(np.uint8)
        for inward, still, outward in zip(_INWARD, _STILL, _OUTWARD, strict=True)
    ]
    return Image.fromarray(np.stack(channels, axis=-1))


def _palette() -> Image.Image:
    """Return an image with the colours of the figure: greys, the scale, lines on three greys."""
    greys = np.repeat(np.linspace(0, 255, _GREYS)[:, None], 3, axis=1)
    scale = np.asarray(_coloured(np.linspace(-1, 1, _HUES)[None]))[0]
    weights = np.linspace(0, 1, _BLENDS + 1)[1:, None]
    lines = [
        weights * np.array(colour) + (1 - weights) * grey
        for colour in (LEFT_COLOUR, RIGHT_COLOUR)
        for grey in (60, 128, 200)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([greys, scale, *lines]).astype(np.uint8).tobytes())
    return palette


def _draw_scale(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    top: int,
) -> None:
    """Write the scale of the shift."""
    width, height = _BAR
    middle, x = top + LINE // 2, 2 * GAP
    text = f"shift of the border: inward {FULL_SHIFT} mm"
    draw.text((x, middle), text, TEXT_COLOUR, font, anchor="lm")
    x += round(font.getlength(text)) + 8
    bar = _coloured(np.tile(np.linspace(-1, 1, width), (height, 1)))
    canvas.paste(bar, (x, middle - height // 2))
    draw.text((x + width + 8, middle), f"outward {FULL_SHIFT} mm", TEXT_COLOUR, font, anchor="lm")
