"""Content of the viewer on a session page: slices of all contrasts, contours of all masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bids_app.report.contours import contour_paths
from bids_app.report.overlays import LEFT, PLANES, RIGHT, Plane, bounds_of
from bids_app.report.slices import (
    Field,
    Sprite,
    field_around,
    slices_of,
    sprite_of,
    window_in,
)

# Okabe & Ito's palette without the colours that are dark on grey, then repeated.
COLOURS = ("#e69f00", "#56b4e9", "#f0e442", "#2ecc9a", "#ff7a3d", "#e59ac6", "#ffffff")
# Letters at the top and bottom of a panel, by the axis that runs up.
_ENDS = {1: ("A", "P"), 2: ("S", "I")}


@dataclass(frozen=True, kw_only=True)
class View:
    """Slices of one plane.

    Attributes
    ----------
    plane : Plane
    slices : tuple of int
        Voxel index of each slice.
    sides : tuple of str
        ``L`` or ``R`` for each slice: the side of the head that a sagittal slice lies on; empty
        where both are in the slice.
    origin : tuple of int
        Voxel at the lower left corner, along the axes across and up.
    size : tuple of int
        Voxels across and up.
    extent : tuple of float
        Width and height, mm.
    sprites : mapping of str to Sprite
        By contrast.
    paths : mapping of str to tuple
        By segmentation: SVG paths of the left and of the right thalamus, one per slice.
    middle : int
        Place of the slice that is shown first.
    """

    plane: Plane
    slices: tuple[int, ...]
    sides: tuple[str, ...]
    origin: tuple[int, int]
    size: tuple[int, int]
    extent: tuple[float, float]
    sprites: Mapping[str, Sprite]
    paths: Mapping[str, tuple[list[str], list[str]]]
    middle: int

    @property
    def marks(self) -> tuple[str, str, str, str]:
        """Letters at the left, right, top and bottom."""
        return (*self.plane.sides, *_ENDS[self.plane.up])

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a slice in the sprites, pixels."""
        sprite = next(iter(self.sprites.values()))
        return sprite.width, sprite.height

    @property
    def first_paths(self) -> tuple[list[str], ...]:
        """Paths of the segmentation that is shown first."""
        return next(iter(self.paths.values()), ())

    def corner(self, number: int) -> tuple[int, int]:
        """Return the left and upper pixel of a slice in the sprites."""
        sprite = next(iter(self.sprites.values()))
        row, column = divmod(number, sprite.columns)
        return column * sprite.width, row * sprite.height


@dataclass(frozen=True)
class Viewer:
    """Content of the viewer of one scan.

    Attributes
    ----------
    contrasts, segmentations : tuple of str
        What can be chosen; the first of each is shown first.
    views : tuple of View
    affine : tuple of tuple of float
        First three rows: voxel indices to world coordinates in mm (RAS+).
    """

    contrasts: tuple[str, ...]
    segmentations: tuple[str, ...]
    views: tuple[View, ...]
    affine: tuple[tuple[float, ...], ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """Colour of each segmentation."""
        return tuple(COLOURS[number % len(COLOURS)] for number in range(len(self.segmentations)))

    @property
    def content(self) -> dict[str, object]:
        """What the script needs to know, for JSON."""
        return {
            "affine": self.affine,
            "planes": [
                {
                    "name": view.plane.name,
                    "axes": [view.plane.across, view.plane.up, view.plane.through],
                    "slices": view.slices,
                    "sides": view.sides,
                    "origin": view.origin,
                    "size": view.size,
                    "extent": view.extent,
                    "corners": [view.corner(number) for number in range(len(view.slices))],
                    "paths": [view.paths[name] for name in self.segmentations],
                }
                for view in self.views
            ],
        }


def viewer_of(
    images: Mapping[str, npt.NDArray[Any]],
    segmentations: Mapping[str, npt.NDArray[Any]],
    brain_mask: npt.NDArray[Any],
    affine: npt.NDArray[np.float64],
) -> Viewer:
    """Draw the slices through all thalami, and trace their contours.

    Parameters
    ----------
    images : mapping of str to (X, Y, Z) float32
        By contrast, on one grid; axes run right, anterior, superior.
    segmentations : mapping of str to (X, Y, Z) uint8
        By name: 1 left, 2 right thalamus.
    brain_mask : (X, Y, Z) bool or uint8
        Its middle separates left from right sagittal slices.
    affine : (4, 4) float64

    Returns
    -------
    Viewer
    """
    first = next(iter(images.values()))
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    thalami = np.zeros_like(brain_mask, dtype=bool)
    for labels in segmentations.values():
        np.logical_or(thalami, labels, out=thalami)
    field = field_around(thalami, spacing, first.shape)
    midline = float(bounds_of(brain_mask != 0)[0].mean())
    windows = {name: window_in(image, field) for name, image in images.items()}
    views = []
    for plane in PLANES:
        across, up = plane.across, plane.up
        slices = field.slices[plane.through]
        views.append(
            View(
                plane=plane,
                slices=slices,
                sides=tuple(
                    ("L" if place < midline else "R") if plane.through == 0 else ""
                    for place in slices
                ),
                origin=(int(field.low[across]), int(field.low[up])),
                size=(int(field.size[across]), int(field.size[up])),
                extent=(
                    float(field.size[across] * spacing[across]),
                    float(field.size[up] * spacing[up]),
                ),
                sprites={
                    name: sprite_of(image, field, plane, windows[name])
                    for name, image in images.items()
                },
                paths={
                    name: _sides(labels, field, plane) for name, labels in segmentations.items()
                },
                # Half-way across, the sagittal slice lies between the thalami.
                middle=len(slices) // (4 if plane.through == 0 else 2),
            )
        )
    rows = tuple(tuple(float(value) for value in row) for row in affine[:3].round(6))
    return Viewer(tuple(images), tuple(segmentations), tuple(views), rows)


def _sides(labels: npt.NDArray[Any], field: Field, plane: Plane) -> tuple[list[str], list[str]]:
    """Trace the left and the right thalamus on all slices of a plane."""
    cut = slices_of(labels, field, plane)
    return contour_paths(cut == LEFT), contour_paths(cut == RIGHT)
