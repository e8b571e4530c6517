"""Smooth deformations of several visits of one subject to the mean of all.

The visits are rigidly aligned (`bids_app.alignment.within_subject`); the remaining differences are
growth and loss. No visit is treated differently: the displacements of all sum to zero everywhere.

By the divergence theorem the integral of the Jacobian determinant over a structure is the flow
through its border: it depends only on how far that border has moved.

Two scans of one head also differ in contrast, in the pulsation of fluid and in the sensitivity of
the coil. Next to the border of a structure, fluid that is 2 % brighter would pass for a structure
that has grown. In every window the displacement is therefore estimated together with a linear
relation of the intensities of scan and mean: only what neither a gain nor an offset of the window
explains is a displacement. That is the criterion of local correlation (Cachier and Pennec 2000;
Avants et al. 2008), solved as by Lucas and Kanade.

References
----------
Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image registration with
cross-correlation. Medical Image Analysis 2008;12:26-41. doi:10.1016/j.media.2007.06.004

Cachier P, Pennec X. 3D non-rigid registration by gradient descent on a Gaussian-windowed similarity
measure using convolutions. IEEE Workshop on Mathematical Methods in Biomedical Image Analysis
2000:182-189. doi:10.1109/MMBIA.2000.852376

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
_WINDOW, _BLUR = 1.5, 0.7
# Share of the mean squared gradient that is added in every direction: without an edge nothing
# moves.
_STIFFNESS = 0.02
# Share of the mean variance in a window that is added to it: in uniform tissue no slope of the
# relation between intensities can be determined.
_LEAST_VARIANCE = 0.02
# Margin around the brain (mm), in which skull or background delimit it.
_RIM = 3.0
# Share of the mean intensity of the brain below which an image is empty.
_EMPTY = 0.02
# SD of the window over which local intensities are compared (mm): wider than a sulcus. Bias fields
# of two scans differ by percents over some centimetres; an uncorrected 1 % at the surface of the
# brain looks like a shift of 0.02 mm, that is, 0.3 % of the brain's volume.
_FIELD_SD, _FIELD_PASSES = 10.0, 10


@dataclass(frozen=True)
class Deformations:
    """Deformations of several visits to their mean.

    Attributes
    ----------
    displacements : tuple of Volume
        For each visit (3, X / 2, Y / 2, Z / 2) float32 in mm along the world axes, from a position
        in the mean to that of the same tissue in the visit. They sum to zero.
    mean : Volume
        (X, Y, Z) float32, of the first contrast, relative to the mean intensity of the brain.
    """

    displacements: tuple[Volume, ...]
    mean: Volume

    def jacobian(self, visit: int) -> FloatArray:
        """Compute the volume in one visit relative to that in the mean, (X, Y, Z)."""
        spacing = float(self.mean.voxel_size[0])
        displacement = _unblocked(np.asarray(self.displacements[visit].data, dtype=np.float32))
        rows = [np.gradient(part, spacing) for part in displacement]
        for axis, row in enumerate(rows):
            np.add(row[axis], 1, out=row[axis])
        return _determinant(rows)


def deform_to_mean(
    contrasts: Sequence[Sequence[Volume]],
    brain_mask: Volume,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> Deformations:
    """Find the deformation of every visit to the mean of all.

    Parameters
    ----------
    contrasts : sequence of sequence of Volume
        For each contrast one image a visit, (X, Y, Z), of two visits or more, in one order. All
        are rigidly aligned and lie on one grid along the world axes. Contrasts determine the
        displacement together, each weighted by the inverse variance of its residuals.
    brain_mask : Volume
        Share of the visits whose brain holds the voxel, from 0 to 1, on the same grid.
    low, high : (3,) float64
        Corners of the field of view, world coordinates in mm.

    Returns
    -------
    Deformations
        Independent of the order of the visits.

    Raises
    ------
    BadDataError
        If fewer than two visits are given.
    """
    visits = min(len(images) for images in contrasts)
    if visits < 2:
        raise BadDataError("a change over time needs two scans or more.")
    still = Volume(np.zeros((3, 2, 2, 2), dtype=np.float32), brain_mask.affine)
    fields = [still] * visits
    # Voxels finer than the scans would add no information.
    finest = max(_FINEST, float(brain_mask.voxel_size.mean()))
    for factor, iterations in _PYRAMID:
        level = _Level(contrasts, brain_mask, low, high, factor * finest)
        fields = level.deform(fields, iterations)
    return Deformations(tuple(fields), level.mean(fields))


def shared_mask(masks: Sequence[Volume]) -> Volume:
    """Average masks on one grid: the share of them, from 0 to 1, that holds a voxel."""
    covered: FloatArray = np.stack([item.data != 0 for item in masks]).mean(0, dtype=np.float32)
    return Volume(covered, masks[0].affine)


class _Level:
    """Visits at one resolution.

    Parameters
    ----------
    contrasts : sequence of sequence of Volume
    mask : Volume
        Share of the visits whose brain holds the voxel.
    low, high : (3,) float64
        Corners of the field of view, world coordinates in mm.
    spacing : float
        Voxel size in mm.
    """

    def __init__(
        self,
        contrasts: Sequence[Sequence[Volume]],
        mask: Volume,
        low: npt.NDArray[np.float64],
        high: npt.NDArray[np.float64],
        spacing: float,
    ) -> None:
        # Whole blocks: each has a node in its middle.
        nodes = np.ceil((high - low) / (spacing * _BLOCK)).astype(int)
        x, y, z = (int(count) for count in nodes * _BLOCK)
        self._spacing = spacing
        self._grid = Grid.around((low + high) / 2, (x, y, z), spacing)
        self._nodes = _nodes_of(self._grid)
        self._mask = resample(mask, self._grid)
        self._contrasts = [[self._read(image) for image in images] for images in contrasts]
        self._compared = self._where_all_hold()

    def deform(self, fields: Sequence[Volume], iterations: int) -> list[Volume]:
        """Move every visit towards the mean of all.

        Gauss-Newton steps with the mean of both images' gradients; the displacement of a node is
        the best fit in a window around it (Lucas and Kanade 1981).

        Parameters
        ----------
        fields : sequence of Volume
            Initial displacements (mm) of each visit, (3, X', Y', Z') on any nodes.
        iterations : int

        Returns
        -------
        list of Volume
            (3, X / 2, Y / 2, Z / 2) float32.
        """
        moved = [self._on_nodes(field) for field in fields]
        for _ in range(iterations):
            equations = [_Equations.empty(self._nodes.shape) for _ in moved]
            for images in self._contrasts:
                warped = self._warped(images, moved)
                mean: FloatArray = np.stack(warped).mean(0)
                residuals = [image - mean for image in warped]
                inside = self._mask > 0.5
                weight = 1 / max(float(np.mean([r[inside].var() for r in residuals])), 1e-12)
                for visit, residual in enumerate(residuals):
                    # That of the mean of both images.
                    gradient = self._gradient(mean + residual * np.float32(0.5))
                    equations[visit] += self._equations(mean, residual, gradient, weight)
            stiff = _blocked(self._compared) > 0.5
            moved = [
                np.add(field, each.solved(stiff))
                for field, each in zip(moved, equations, strict=True)
            ]
            # Only differences between the visits are defined: their mean stays put.
            common = np.mean(moved, axis=0)
            moved = [field - common for field in moved]
        return [Volume(field, self._nodes.affine) for field in moved]

    def mean(self, fields: Sequence[Volume]) -> Volume:
        """Average the deformed images of the first contrast."""
        warped = self._warped(self._contrasts[0], [self._on_nodes(field) for field in fields])
        mean: FloatArray = np.stack(warped).mean(0)
        return Volume(mean, self._grid.affine)

    def _read(self, image: Volume) -> FloatArray:
        """Resample an image, relative to the mean intensity of the brain."""
        from scipy.ndimage import gaussian_filter

        smooth: FloatArray = gaussian_filter(resample(image, self._grid), _BLUR)
        smooth /= smooth[self._mask > 0.5].mean()
        return smooth

    def _where_all_hold(self) -> FloatArray:
        """Mark the brain and a rim around it, where no image is empty.

        The brain of a scan may have been extracted, of each visit a little differently: where one
        is empty at the surface there is nothing to compare. Fluid may be as dark (FLAIR), but not
        at the edge of an image.
        """
        from scipy.ndimage import binary_dilation, binary_erosion

        brain = self._mask > 0.5
        reach = max(1, round(_RIM / self._spacing))
        empty = np.any([i < _EMPTY for images in self._contrasts for i in images], axis=0)
        empty &= ~binary_erosion(brain, iterations=reach)
        near = binary_dilation(brain, iterations=reach)
        return np.asarray(near & ~binary_dilation(empty), dtype=np.float32)

    def _warped(
        self, images: Sequence[FloatArray], fields: Sequence[FloatArray]
    ) -> list[FloatArray]:
        """Deform the images of one contrast by fields on the nodes, and equalise them."""
        from scipy.ndimage import map_coordinates

        warped = []
        for image, field in zip(images, fields, strict=True):
            index = _unblocked(field)
            index /= np.float32(self._spacing)
            for axis, length in enumerate(self._grid.shape):
                places = np.arange(length, dtype=np.float32)
                index[axis] += places.reshape([-1 if axis == other else 1 for other in range(3)])
            warped.append(map_coordinates(image, index, order=1, mode="nearest"))
        return self._equalised(warped)

    def _equalised(self, images: Sequence[FloatArray]) -> list[FloatArray]:
        """Remove smooth differences between the intensities of the visits (Lewis and Fox 2004).

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

    def _equations(
        self, mean: FloatArray, residual: FloatArray, gradient: FloatArray, weight: float
    ) -> _Equations:
        """Set up the normal equations of every node's displacement, for one image.

        In the window of a node the residual is modelled as gradient x displacement + offset + slope
        x mean. Offset and slope are eliminated: with C for the covariance within the window,
        normal = C(g, g) - C(g, m) C(m, g) / C(m, m), right = C(g, r) - C(g, m) C(m, r) / C(m, m).
        """
        from scipy.ndimage import gaussian_filter

        def window(values: FloatArray) -> FloatArray:
            smooth: FloatArray = gaussian_filter(_blocked(values * self._compared), _WINDOW)
            return smooth

        share = window(np.ones_like(mean)) + np.float32(1e-6)
        terms = (*gradient, mean)
        means = [window(term) / share for term in terms]

        def covariance(row: int, column: int) -> FloatArray:
            product = window(terms[row] * terms[column]) / share
            return np.asarray(product - means[row] * means[column])

        with_residual = [
            window(term * residual) / share - average * (window(residual) / share)
            for term, average in zip(terms, means, strict=True)
        ]
        variance = covariance(3, 3)
        brain = _blocked(self._compared) > 0.5
        variance = variance + _LEAST_VARIANCE * variance[brain].mean()
        with_mean = [covariance(row, 3) for row in range(3)]
        normal = np.empty((3, 3, *self._nodes.shape), dtype=np.float32)
        right = np.empty((3, *self._nodes.shape), dtype=np.float32)
        factor = share * np.float32(weight)
        for row in range(3):
            slope = with_mean[row] / variance
            right[row] = factor * (with_residual[row] - slope * with_residual[3])
            for column in range(row + 1):
                normal[row, column] = factor * (covariance(row, column) - slope * with_mean[column])
                normal[column, row] = normal[row, column]
        return _Equations(normal, right)

    def _gradient(self, image: FloatArray) -> FloatArray:
        """Compute central differences per mm, (3, X, Y, Z)."""
        return np.stack(np.gradient(image, self._spacing))

    def _on_nodes(self, field: Volume) -> FloatArray:
        """Resample a field at the nodes of this level."""
        parts = [Volume(part, field.affine) for part in field.data]
        return np.stack([resample(part, self._nodes) for part in parts])


@dataclass(frozen=True)
class _Equations:
    """Normal equations of the displacement of every node.

    Attributes
    ----------
    normal : (3, 3, X, Y, Z) float32
    right : (3, X, Y, Z) float32
    """

    normal: FloatArray
    right: FloatArray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> _Equations:
        """Start a sum."""
        return cls(np.zeros((3, 3, *shape), np.float32), np.zeros((3, *shape), np.float32))

    def __add__(self, other: _Equations) -> _Equations:
        """Add the equations of another contrast."""
        return _Equations(self.normal + other.normal, self.right + other.right)

    def solved(self, brain: npt.NDArray[np.bool_]) -> FloatArray:
        """Compute the displacements (mm) that reduce the residuals most, (3, X, Y, Z)."""
        normal = self.normal.copy()
        # Relative to the edges of the brain, hence independent of the intensities' scale.
        stiffness = _STIFFNESS * float(np.trace(normal)[brain].mean()) / 3
        for axis in range(3):
            normal[axis, axis] += stiffness
        return -_solved(normal, self.right)


def _nodes_of(grid: Grid) -> Grid:
    """Place a node in the middle of each block of voxels."""
    x, y, z = (n // _BLOCK for n in grid.shape)
    affine = grid.affine @ np.diag([_BLOCK, _BLOCK, _BLOCK, 1.0])
    affine[:3, 3] = (grid.affine @ [*[(_BLOCK - 1) / 2] * 3, 1])[:3]
    return Grid((x, y, z), np.asarray(affine))


def _blocked(values: FloatArray) -> FloatArray:
    """Average the block of voxels around each node."""
    # Axis by axis, which takes a fifth of the time of one mean over three axes.
    for axis in range(3):
        parts = np.moveaxis(values, axis, 0)
        total: FloatArray = np.sum([parts[i::_BLOCK] for i in range(_BLOCK)], axis=0)
        values = np.moveaxis(total, 0, axis)
    blocks: FloatArray = values * np.float32(_BLOCK**-3)
    return blocks


def _unblocked(field: FloatArray) -> FloatArray:
    """Interpolate linearly between nodes: values at the voxels, (C, X, Y, Z)."""
    # Voxels lie at these distances from the node of their block, in nodes.
    places = (np.arange(_BLOCK, dtype=np.float32) + np.float32(0.5)) / _BLOCK - np.float32(0.5)
    for axis in (1, 2, 3):
        nodes = np.moveaxis(field, axis, 0)
        before = np.concatenate([nodes[:1], nodes[:-1]])
        after = np.concatenate([nodes[1:], nodes[-1:]])
        voxels = np.empty((_BLOCK * len(nodes), *nodes.shape[1:]), dtype=np.float32)
        for i, place in enumerate(places):
            voxels[i::_BLOCK] = nodes + abs(place) * ((before if place < 0 else after) - nodes)
        field = np.moveaxis(voxels, 0, axis)
    return np.ascontiguousarray(field)


def _cofactors(matrix: FloatArray) -> FloatArray:
    """Compute the cofactors of 3 x 3 matrices, (3, 3, ...)."""
    cofactors = np.empty_like(matrix)
    for row in range(3):
        i, j = (row + 1) % 3, (row + 2) % 3
        for column in range(3):
            k, m = (column + 1) % 3, (column + 2) % 3
            cofactors[row, column] = matrix[i, k] * matrix[j, m] - matrix[i, m] * matrix[j, k]
    return cofactors


def _determinant(rows: Sequence[Sequence[FloatArray]]) -> FloatArray:
    """Compute the determinants of 3 x 3 matrices, (...), from their rows of (...) each."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    determinant: FloatArray = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return determinant


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve symmetric systems (3, 3, ...) by Cramer's rule, (3, ...)."""
    cofactors = _cofactors(matrix)
    determinant = (matrix[0] * cofactors[0]).sum(0)
    solved: FloatArray = np.einsum("ij...,j...->i...", cofactors, right) / determinant
    return solved
