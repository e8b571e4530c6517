"""Where voxels lie: grids, affines, boxes.

Affines are (4, 4) float64 and lead from voxel indices to world coordinates in mm (RAS+), or from
one world to another. Points are columns, (3,) or (3, N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AffineArray = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]
# Axes count as sheared if the cosine of an angle between them is larger.
_LEAST_SHEAR = 0.005
Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxels without their values.

    Attributes
    ----------
    shape : (3,) int
        Number of voxels along each axis.
    affine : (4, 4) float64
        Voxel indices to world coordinates in mm (RAS+).
    """

    shape: Shape
    affine: AffineArray

    @classmethod
    def around(cls, centre: Points, shape: Shape, spacing: float) -> Grid:
        """Make a grid of cubic voxels along the world axes.

        Parameters
        ----------
        centre : (3,) float64
            World coordinates (mm) of its middle.
        shape : (3,) int
        spacing : float
            Side of a voxel in mm.

        Returns
        -------
        Grid
        """
        affine = np.diag([spacing, spacing, spacing, 1.0])
        # The affine's origin is the centre of the first voxel, not its corner.
        affine[:3, 3] = centre - spacing * (np.array(shape) - 1) / 2
        return cls(shape, affine)

    @classmethod
    def covering(cls, low: Points, high: Points, spacing: float) -> Grid:
        """Make a grid of cubic voxels along the world axes that holds a box.

        Parameters
        ----------
        low, high : (3,) float64
            Opposite corners of the box, world coordinates in mm.
        spacing : float
            Side of a voxel in mm.

        Returns
        -------
        Grid
            Around the middle of the box.
        """
        # Centres of the outermost voxels lie on or beyond the box.
        x, y, z = (int(np.ceil(side / spacing)) + 1 for side in high - low)
        return cls.around((low + high) / 2, (x, y, z), spacing)

    @property
    def voxel_size(self) -> npt.NDArray[np.float64]:
        """Sides of a voxel in mm, (3,)."""
        return voxel_size(self.affine)

    def corners(self) -> Points:
        """List the world coordinates (mm) of the centres of the eight outermost voxels, (3, 8)."""
        ends = np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")
        return apply_affine(self.affine, np.array(ends).reshape(3, -1))

    def crop(self, box: Sequence[slice]) -> Grid:
        """Cut out a part; its voxels stay where they are.

        Parameters
        ----------
        box : sequence of 3 slices
            Without steps.

        Returns
        -------
        Grid

        Examples
        --------
        >>> Grid((9, 9, 9), np.eye(4)).crop([slice(2, 5)] * 3).affine[:3, 3]
        array([2., 2., 2.])
        """
        ranges = [range(n)[part] for part, n in zip(box, self.shape, strict=True)]
        x, y, z = (len(part) for part in ranges)
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.array([part.start for part in ranges])
        return Grid((x, y, z), affine)

    def part_near(self, other: Grid) -> Box:
        """Find the box of voxels that another grid in the same world space covers.

        Examples
        --------
        >>> Grid((9, 9, 9), np.eye(4)).part_near(Grid((2, 3, 20), np.eye(4)))
        (slice(0, 2, None), slice(0, 3, None), slice(0, 9, None))
        """
        limits = np.array(self.shape)
        voxels = other.transformed(np.linalg.inv(self.affine)).corners()
        low = np.clip(np.floor(voxels.min(1)).astype(int), 0, limits)
        high = np.clip(np.ceil(voxels.max(1)).astype(int) + 1, low, limits)
        x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return x, y, z

    def transformed(self, transform: npt.NDArray[np.floating]) -> Grid:
        """Move the grid by an affine (4, 4) between world coordinates.

        A volume resampled on the grid moved by the transform from a fixed image to it is the
        volume on the fixed image's grid.
        """
        return Grid(self.shape, np.asarray(transform @ self.affine, dtype=np.float64))


def same_grid(first: Grid, second: Grid, tolerance: float = 1e-4) -> bool:
    """Check whether two grids have equal shapes, and affines that agree within ``tolerance`` mm."""
    return first.shape == second.shape and bool(
        np.allclose(first.affine, second.affine, rtol=0, atol=tolerance)
    )


def voxel_size(affine: AffineArray) -> npt.NDArray[np.float64]:
    """Measure the sides of a voxel (3,) in mm.

    Examples
    --------
    >>> voxel_size(np.diag([-1.0, 1.0, 3.0, 1.0]))
    array([1., 1., 3.])
    """
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def removed_shear(grid: Grid) -> AffineArray:
    """Find the world transform that makes the axes of a grid orthogonal.

    Scanners sample orthogonal grids: shear comes from programs that wrote an affine registration
    into the header, and deforms the head.

    Parameters
    ----------
    grid : Grid

    Returns
    -------
    (4, 4) float64
        World coordinates to those of the closest orthogonal grid with the same middle and the same
        volume of voxels (polar decomposition); the identity if angles differ from 90 degrees by
        less than 0.3.

    Examples
    --------
    >>> sheared = np.diag([1.0, 1.0, 2.0, 1.0])
    >>> sheared[0, 1] = 0.1
    >>> straight = removed_shear(Grid((9, 9, 9), sheared)) @ sheared
    >>> np.round(straight[:3, :3].T @ straight[:3, :3], 6).diagonal()
    array([0.996689, 1.006656, 3.986755])
    """
    linear = grid.affine[:3, :3]
    sides = grid.voxel_size
    directions = linear / sides
    if np.abs(directions.T @ directions - np.eye(3)).max() < _LEAST_SHEAR:
        return np.eye(4)
    left, singular, right = np.linalg.svd(directions)
    straight = left @ right * sides * singular.prod() ** (1 / 3)
    middle = apply_affine(grid.affine, (np.array(grid.shape) - 1) / 2)
    return about(middle, straight @ np.linalg.inv(linear))


def apply_affine(
    affine: npt.NDArray[np.floating], points: npt.NDArray[np.floating | np.integer]
) -> Points:
    """Move points by an affine.

    Parameters
    ----------
    affine : (4, 4) float64
    points : (3,) or (3, N) array

    Returns
    -------
    array shaped as ``points``, float64

    Examples
    --------
    >>> apply_affine(translation(np.array([10.0, 0.0, 0.0])), np.array([1, 2, 3]))
    array([11.,  2.,  3.])
    """
    offset = affine[:3, 3] if points.ndim == 1 else affine[:3, 3:]
    return np.asarray(affine[:3, :3] @ points + offset, dtype=np.float64)


def translation(shift: Points) -> AffineArray:
    """Make the affine (4, 4) that moves everything by a shift (3,) in mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix


def about(centre: Points, linear: npt.NDArray[np.float64]) -> AffineArray:
    """Make the affine (4, 4) of a linear map (3, 3) that leaves one point (3,) in place."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


def bounding_box(mask: npt.NDArray[np.bool_ | np.integer], least: float = 0.0) -> Box:
    """Find the smallest box that holds a mask.

    Parameters
    ----------
    mask : (X, Y, Z) bool or integers
        Labels are part of the mask where they are not zero.
    least : float
        Outer slices of which no larger share than this belongs to the mask are cut off.

    Returns
    -------
    tuple of 3 slices
        The whole array if the mask is empty.

    Examples
    --------
    >>> mask = np.zeros((5, 5, 5), dtype=bool)
    >>> mask[1:3, 2, 2:] = True
    >>> bounding_box(mask)
    (slice(1, 3, None), slice(2, 3, None), slice(2, 5, None))
    """
    box = [slice(None)] * 3
    # Outermost in memory first: what it cuts off is not read again.
    for axis in sorted(range(3), key=lambda axis: -abs(mask.strides[axis])):
        box[axis] = _occupied(mask if least else mask[tuple(box)], axis, least)
    x, y, z = box
    return x, y, z


def _occupied(mask: npt.NDArray[np.bool_ | np.integer], axis: int, least: float) -> slice:
    others = tuple(other for other in range(3) if other != axis)
    # Any voxel is enough in the usual case, which is faster than the share.
    filled = mask.mean(others) > least if least else mask.any(others)
    places = np.flatnonzero(filled)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, mask.shape[axis])


def widened(box: Box, margin: Sequence[int], shape: Sequence[int]) -> Box:
    """Widen a box by a margin in voxels on both sides of each axis, within a shape.

    Examples
    --------
    >>> widened((slice(1, 3), slice(2, 3), slice(2, 5)), (2, 1, 1), (5, 5, 5))
    (slice(0, 5, None), slice(1, 4, None), slice(1, 5, None))
    """
    x, y, z = (
        slice(max(0, part.start - extra), min(n, part.stop + extra))
        for part, extra, n in zip(box, margin, shape, strict=True)
    )
    return x, y, z


def centroid(mask: npt.NDArray[np.generic], affine: AffineArray) -> Points:
    """Find the world coordinates (3,) in mm of the middle of what is not zero, (X, Y, Z)."""
    return apply_affine(affine, np.argwhere(mask).mean(0))


def extent(mask: npt.NDArray[np.generic], affine: AffineArray) -> tuple[Points, Points]:
    """Find the lowest and highest world coordinates, (3,) each, of what is not zero, (X, Y, Z)."""
    places = apply_affine(affine, np.argwhere(mask).T)
    return places.min(1), places.max(1)
