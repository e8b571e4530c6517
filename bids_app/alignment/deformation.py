"""Smooth deformations of several scans of one subject towards the mean of all.

The scans are rigidly aligned (`bids_app.alignment.within_subject`); the remaining differences are
growth and loss. No scan is treated differently: the displacements of all sum to zero everywhere.

By the divergence theorem the integral of the Jacobian determinant over a structure is the flow
through its border: it depends only on how far that border has moved.

References
----------
Lucas BD, Kanade T. An iterative image registration technique with an application to stereo vision.
Proceedings of the 7th International Joint Conference on Artificial Intelligence 1981:674-679.

Lewis EB, Fox NC. Correction of differential intensity inhomogeneity in longitudinal MR images.
NeuroImage 2004;23:75-83. doi:10.1016/j.neuroimage.2004.04.030
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

# Voxel size in multiples of the finest, coarse to fine, and iterations on each.
_PYRAMID = ((4, 8), (2, 8), (1, 5))
# The finest (mm); that of the scans where they are coarser.
_FINEST = 1.0
# Displacements are defined at nodes, one for each block of so many voxels in each direction.
_BLOCK = 2
# SD of the window within which tissue moves alike (nodes), and of the blur of images (voxels).
_WINDOW, _BLUR = 1.0, 0.7
# Share of the mean squared gradient that is added in every direction: without an edge nothing
# moves.
_STIFFNESS = 0.02
# Margin around the brain (mm), in which skull or background delimit it.
_RIM = 3.0
# SD of the window over which local intensities are compared (mm): wider than a sulcus. Bias fields
# of two scans differ by percents over some centimetres; an uncorrected 1 % at the surface of the
# brain looks like a shift of 0.02 mm, that is, 0.3 % of the brain's volume.
_FIELD_SD, _FIELD_PASSES = 10.0, 10


@dataclass(frozen=True)
class Deformations:
    """Deformations of several scans to their mean.

    Attributes
    ----------
    displacements : tuple of Volume
        For each scan (3, X / 2, Y / 2, Z / 2) float32 in mm along the world axes, from a position
        in the mean to that of the same tissue in the scan. They sum to zero.
    mean : Volume
        (X, Y, Z) float32, relative to the mean intensity of the brain.
    """

    displacements: tuple[Volume, ...]
    mean: Volume

    def jacobian(self, scan: int) -> FloatArray:
        """Compute the volume in one scan relative to that in the mean, (X, Y, Z)."""
        spacing = float(self.mean.voxel_size[0])
        displacement = _unblocked(np.asarray(self.displacements[scan].data, dtype=np.float32))
        jacobian = np.stack([np.stack(np.gradient(part, spacing)) for part in displacement])
        for axis in range(3):
            jacobian[axis, axis] += 1
        return _determinant(jacobian)


def deform_to_mean(
    images: Sequence[Volume],
    brain_mask: Volume,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> Deformations:
    """Find the deformation of every scan towards the mean of all.

    Parameters
    ----------
    images : sequence of Volume
        (X, Y, Z), two or more, rigidly aligned, on one grid along the world axes, of one contrast.
    brain_mask : Volume
        Share of the scans whose brain holds the voxel, from 0 to 1, on the same grid.
    low, high : (3,) float64
        Corners of the field of view, world coordinates in mm.

    Returns
    -------
    Deformations
        Independent of the order of the scans.

    Raises
    ------
    BadDataError
        If fewer than two scans are given.
    """
    if len(images) < 2:
        raise BadDataError("a change over time needs two scans or more.")
    fields = [Volume(np.zeros((3, 2, 2, 2), dtype=np.float32), brain_mask.affine) for _ in images]
    # Voxels finer than the scans would add no information.
    finest = max(_FINEST, float(brain_mask.voxel_size.mean()))
    for factor, iterations in _PYRAMID:
        level = _Level(images, brain_mask, low, high, factor * finest)
        fields = level.deform(fields, iterations)
    return Deformations(tuple(fields), level.mean(fields))


def shared_mask(masks: Sequence[Volume]) -> Volume:
    """Average masks on one grid: the share of them, from 0 to 1, that holds a voxel."""
    covered: FloatArray = np.stack([item.data != 0 for item in masks]).mean(0, dtype=np.float32)
    return Volume(covered, masks[0].affine)


class _Level:
    """Scans at one resolution.

    Parameters
    ----------
    images : sequence of Volume
    mask : Volume
        Share of the scans whose brain holds the voxel.
    low, high : (3,) float64
        Corners of the field of view, world coordinates in mm.
    spacing : float
        Voxel size in mm.
    """

    def __init__(
        self,
        images: Sequence[Volume],
        mask: Volume,
        low: npt.NDArray[np.float64],
        high: npt.NDArray[np.float64],
        spacing: float,
    ) -> None:
        from scipy.ndimage import binary_dilation, gaussian_filter

        # Whole blocks: each has a node in its middle.
        nodes = np.ceil((high - low) / (spacing * _BLOCK)).astype(int)
        x, y, z = (int(count) for count in nodes * _BLOCK)
        self._spacing = spacing
        self._grid = Grid.around((low + high) / 2, (x, y, z), spacing)
        self._nodes = _nodes_of(self._grid)
        self._mask = resample(mask, self._grid)
        smooth = [gaussian_filter(resample(image, self._grid), _BLUR) for image in images]
        # Relative to the mean intensity of the brain.
        self._images = [image / image[self._mask > 0.5].mean() for image in smooth]
        reach = max(1, round(_RIM / spacing))
        self._compared = binary_dilation(self._mask > 0.5, iterations=reach).astype(np.float32)
        self._index = np.indices(self._grid.shape, dtype=np.float32)

    def deform(self, fields: Sequence[Volume], iterations: int) -> list[Volume]:
        """Move every scan towards the mean of all.

        Gauss-Newton steps with the mean of both images' gradients; the displacement of a node is
        the best fit in a window around it (Lucas and Kanade 1981).

        Parameters
        ----------
        fields : sequence of Volume
            Initial displacements (mm) of each scan, (3, X', Y', Z') on any nodes.
        iterations : int

        Returns
        -------
        list of Volume
            (3, X / 2, Y / 2, Z / 2) float32.
        """
        moved = [self._on_nodes(field) for field in fields]
        for _ in range(iterations):
            warped = self._equalised([self._warped(i, field) for i, field in enumerate(moved)])
            mean: FloatArray = np.stack(warped).mean(0)
            slope = self._gradient(mean)
            moved = [
                np.add(
                    field,
                    self._step(image - mean, (self._gradient(image) + slope) * np.float32(0.5)),
                )
                for field, image in zip(moved, warped, strict=True)
            ]
            # Only differences between the scans are defined: their mean stays put.
            common = np.mean(moved, axis=0)
            moved = [field - common for field in moved]
        return [Volume(field, self._nodes.affine) for field in moved]

    def mean(self, fields: Sequence[Volume]) -> Volume:
        """Average the deformed scans, relative to the mean intensity of the brain."""
        moved = [self._on_nodes(field) for field in fields]
        warped = self._equalised([self._warped(i, field) for i, field in enumerate(moved)])
        mean: FloatArray = np.stack(warped).mean(0)
        return Volume(mean, self._grid.affine)

    def _warped(self, image: int, field: FloatArray) -> FloatArray:
        """Deform an image by a field on the nodes."""
        from scipy.ndimage import map_coordinates

        index = self._index + _unblocked(field) / np.float32(self._spacing)
        warped: FloatArray = map_coordinates(self._images[image], index, order=1, mode="nearest")
        return warped

    def _equalised(self, images: Sequence[FloatArray]) -> list[FloatArray]:
        """Remove smooth differences between the intensities of the scans (Lewis and Fox 2004).

        The images are compared after the deformation, where they show the same tissue: shrunken
        tissue must not pass for darker tissue.
        """
        from scipy.ndimage import gaussian_filter

        sd = _FIELD_SD / (self._spacing * _BLOCK)
        nodes = [_blocked(image * self._mask) for image in images]
        gains = [np.ones_like(values) for values in nodes]
        # Near the border the window is one-sided; repeated passes remove the error that it leaves.
        for _ in range(_FIELD_PASSES):
            local = [
                gaussian_filter(values * gain, sd, truncate=3) + np.float32(1e-6)
                for values, gain in zip(nodes, gains, strict=True)
            ]
            mean = np.mean(local, axis=0)
            gains = [gain * (mean / level) for gain, level in zip(gains, local, strict=True)]
        smooth = [_unblocked(gain[None])[0] for gain in gains]
        return [image * gain for image, gain in zip(images, smooth, strict=True)]

    def _step(self, difference: FloatArray, gradient: FloatArray) -> FloatArray:
        """Compute the displacement of every node (mm) that reduces the difference most."""
        from scipy.ndimage import gaussian_filter

        def window(values: FloatArray) -> FloatArray:
            smooth: FloatArray = gaussian_filter(_blocked(values * self._compared), _WINDOW)
            return smooth

        normal = np.empty((3, 3, *self._nodes.shape), dtype=np.float32)
        for row in range(3):
            for column in range(row + 1):
                normal[row, column] = window(gradient[row] * gradient[column])
                normal[column, row] = normal[row, column]
        right = np.stack([window(part * difference) for part in gradient])
        # Relative to the edges of the brain, hence independent of the intensities' scale.
        brain = _blocked(self._compared) > 0.5
        stiffness = _STIFFNESS * float(np.trace(normal)[brain].mean()) / 3
        for axis in range(3):
            normal[axis, axis] += stiffness
        return -_solved(normal, right)

    def _gradient(self, image: FloatArray) -> FloatArray:
        """Compute central differences per mm, (3, X, Y, Z)."""
        return np.stack(np.gradient(image, self._spacing))

    def _on_nodes(self, field: Volume) -> FloatArray:
        """Resample a field at the nodes of this level."""
        parts = [Volume(part, field.affine) for part in field.data]
        return np.stack([resample(part, self._nodes) for part in parts])


def _nodes_of(grid: Grid) -> Grid:
    """Place a node in the middle of each block of voxels."""
    x, y, z = (n // _BLOCK for n in grid.shape)
    affine = grid.affine @ np.diag([_BLOCK, _BLOCK, _BLOCK, 1.0])
    affine[:3, 3] = (grid.affine @ [*[(_BLOCK - 1) / 2] * 3, 1])[:3]
    return Grid((x, y, z), np.asarray(affine))


def _blocked(values: FloatArray) -> FloatArray:
    """Average the block of voxels around each node."""
    x, y, z = (n // _BLOCK for n in values.shape)
    blocks: FloatArray = values.reshape(x, _BLOCK, y, _BLOCK, z, _BLOCK).mean((1, 3, 5))
    return blocks


def _unblocked(field: FloatArray) -> FloatArray:
    """Interpolate linearly between nodes: values at the voxels, (C, X, Y, Z)."""
    from scipy.ndimage import zoom

    parts = [zoom(part, _BLOCK, order=1, mode="nearest", grid_mode=True) for part in field]
    return np.stack(parts)


def _cofactors(matrix: FloatArray) -> FloatArray:
    """Compute the cofactors of 3 x 3 matrices, (3, 3, ...)."""
    cofactors = np.empty_like(matrix)
    for row in range(3):
        i, j = (row + 1) % 3, (row + 2) % 3
        for column in range(3):
            k, m = (column + 1) % 3, (column + 2) % 3
            cofactors[row, column] = matrix[i, k] * matrix[j, m] - matrix[i, m] * matrix[j, k]
    return cofactors


def _determinant(matrix: FloatArray) -> FloatArray:
    """Compute the determinants of 3 x 3 matrices, (3, 3, ...)."""
    determinant: FloatArray = (matrix[0] * _cofactors(matrix)[0]).sum(0)
    return determinant


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve symmetric systems (3, 3, ...) by Cramer's rule, (3, ...)."""
    cofactors = _cofactors(matrix)
    determinant = (matrix[0] * cofactors[0]).sum(0)
    solved: FloatArray = np.einsum("ij...,j...->i...", cofactors, right) / determinant
    return solved
