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

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from bids_app.alignment.local_equations import Equations, equations_of
from bids_app.alignment.nodes import BLOCK, blocked, nodes_of, slabs, unblocked
from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

T = TypeVar("T")
U = TypeVar("U")

# Voxel size in multiples of the finest, coarse to fine, and iterations on each.
_PYRAMID = ((4, 5), (2, 5), (1, 3))
# The finest (mm); that of the scans where they are coarser.
_FINEST = 1.0
# SD of the blur of images (voxels).
_BLUR = 0.7
# Order of the splines by which images are interpolated. Between the samples of an edge, linear
# interpolation changes by less than the edge does: a shift of a tenth of a voxel would be
# overestimated by a tenth.
_ORDER: Final = 3
# Margin around the brain (mm), in which skull or background delimit it.
_RIM = 3.0
# Least share of the weights of a blurred voxel that is not empty, where images are compared.
_HELD = 0.99
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
        displacement = unblocked(np.asarray(self.displacements[visit].data, dtype=np.float32))
        return relative_volume(displacement, float(self.mean.voxel_size[0]))


def relative_volume(displacement: FloatArray, spacing: float = 1.0) -> FloatArray:
    """Compute the Jacobian determinant of a deformation, by central differences.

    Parameters
    ----------
    displacement : (3, X, Y, Z) float32
    spacing : float
        Side of a voxel, in the unit of the displacement.

    Returns
    -------
    (X, Y, Z) float32
        Volume after the deformation relative to that before.
    """
    jacobian = np.empty(displacement.shape[1:], dtype=np.float32)
    # The nine derivatives of all voxels would fill the memory.
    for planes, padded, inner in slabs(len(jacobian)):
        rows = [np.gradient(part[padded], spacing) for part in displacement]
        for axis, row in enumerate(rows):
            np.add(row[axis], 1, out=row[axis])
        jacobian[planes] = _determinant(rows)[inner]
    return jacobian


def deform_to_mean(
    contrasts: Sequence[Sequence[Volume]],
    brain_mask: Volume,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    *,
    threads: int = 1,
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
    threads : int
        Visits that are computed at a time; their number does not change the result.

    Returns
    -------
    Deformations
        Independent of the order of the visits.

    Raises
    ------
    BadDataError
        If fewer than two visits are given, or have nothing in common.
    """
    visits = min(len(images) for images in contrasts)
    if visits < 2:
        raise BadDataError("a change over time needs two scans or more.")
    still = Volume(np.zeros((3, 2, 2, 2), dtype=np.float32), brain_mask.affine)
    fields = [still] * visits
    # Voxels finer than the scans would add no information.
    finest = max(_FINEST, float(brain_mask.voxel_size.mean()))
    for factor, iterations in _PYRAMID:
        level = _Level(contrasts, brain_mask, low, high, factor * finest, threads=threads)
        # In a small brain all coarse voxels may reach beyond an edge.
        if level.is_comparable:
            fields = level.deform(fields, iterations)
    if not level.is_comparable:
        raise BadDataError("the visits share no part of the brain in which they can be compared.")
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
    threads : int
    """

    def __init__(
        self,
        contrasts: Sequence[Sequence[Volume]],
        mask: Volume,
        low: npt.NDArray[np.float64],
        high: npt.NDArray[np.float64],
        spacing: float,
        *,
        threads: int,
    ) -> None:
        self._threads = threads
        # Whole blocks of nodes, and a node in the middle of each block of voxels.
        blocks = np.ceil((high - low) / (spacing * BLOCK**2)).astype(int)
        x, y, z = (int(count) for count in blocks * BLOCK**2)
        self._spacing = spacing
        self._grid = Grid.around((low + high) / 2, (x, y, z), spacing)
        self._nodes = nodes_of(self._grid)
        self._mask = resample(mask, self._grid)
        brain = np.asarray(mask.data) > 0.5
        read = [[self._read(image, brain) for image in images] for images in contrasts]
        self._compared, self._warps = self._where_all_hold(
            share for each in read for _, share in each
        )
        self._contrasts = [[_coefficients(image) for image, _ in images] for images in read]

    @property
    def is_comparable(self) -> bool:
        """Whether there is anything to compare around any node."""
        return bool((blocked(self._compared) > 0.5).any())

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
        stiff = blocked(self._compared) > 0.5
        for _ in range(iterations):
            of_contrasts = [
                self._equations(self._warped(images, moved)) for images in self._contrasts
            ]
            equations = [
                functools.reduce(Equations.__add__, each)
                for each in zip(*of_contrasts, strict=True)
            ]
            moved = [
                np.add(field, each.solved(stiff))
                for field, each in zip(moved, equations, strict=True)
            ]
            # Only differences between the visits are defined: their mean stays put.
            common = np.mean(moved, axis=0)
            moved = [field - common for field in moved]
        return [Volume(field, self._nodes.affine) for field in moved]

    def _equations(self, images: Sequence[FloatArray]) -> list[Equations]:
        """Set up the equations of every visit by the warped images of one contrast."""
        mean: FloatArray = np.mean(images, axis=0)
        residuals = [np.subtract(image, mean, out=image) for image in images]
        inside = self._mask > 0.5
        weight = 1 / max(float(np.mean([each[inside].var() for each in residuals])), 1e-12)
        return self._of_each(
            lambda residual: equations_of(mean, residual, self._compared, self._spacing, weight),
            residuals,
        )

    def _of_each(self, compute: Callable[[T], U], visits: Sequence[T]) -> list[U]:
        """Compute something of every visit, several at a time; NumPy and SciPy release the lock."""
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(compute, visits))

    def mean(self, fields: Sequence[Volume]) -> Volume:
        """Average the deformed images of the first contrast."""
        warped = self._warped(self._contrasts[0], [self._on_nodes(field) for field in fields])
        mean: FloatArray = np.stack(warped).mean(0)
        return Volume(mean, self._grid.affine)

    def _read(self, image: Volume, brain: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        """Blur and resample an image, relative to the mean intensity of the brain.

        The brain of a scan may have been extracted, of each visit a little differently. Blur does
        not mix tissue with the emptiness around it: the edge of an extraction is none of tissue.

        Returns
        -------
        blurred : (X, Y, Z) float32
        share : (X, Y, Z) float32
            Share of every voxel's weights that is not empty.
        """
        from scipy.ndimage import binary_erosion, gaussian_filter

        data = np.asarray(image.data, dtype=np.float32)
        # Fluid may be as dark (FLAIR), but not at the edge of an image.
        reach = max(1, round(_RIM / float(image.voxel_size.mean())))
        empty = (data < _EMPTY * data[brain].mean()) & ~binary_erosion(brain, iterations=reach)
        held = np.asarray(~empty, dtype=np.float32)
        # Before it is sampled: an edge between coarse samples would seem to move in steps.
        blur = _BLUR * self._spacing / image.voxel_size
        share: FloatArray = gaussian_filter(held, blur)
        data = gaussian_filter(data * held, blur) / np.maximum(share, np.float32(0.01))
        blurred = resample(Volume(data, image.affine), self._grid)
        blurred /= blurred[self._mask > 0.5].mean()
        return blurred, resample(Volume(share, image.affine), self._grid)

    def _where_all_hold(
        self, shares: Iterable[FloatArray]
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Mark the brain and a rim around it, where no image is empty.

        Returns
        -------
        compared : (X, Y, Z) float32
            1 where images are compared.
        warped : (X, Y, Z) bool
            Where they are needed for it.
        """
        from scipy.ndimage import binary_dilation

        reach = max(1, round(_RIM / self._spacing))
        near = binary_dilation(self._mask > 0.5, iterations=reach)
        cut = np.any([share < _HELD for share in shares], axis=0)
        # Gradients reach one voxel further.
        compared = np.asarray(near & ~binary_dilation(cut), dtype=np.float32)
        return compared, binary_dilation(near) | (self._mask > 0)

    def _warped(
        self, images: Sequence[FloatArray], fields: Sequence[FloatArray]
    ) -> list[FloatArray]:
        """Deform the images of one contrast by fields on the nodes, and equalise them."""
        pairs = list(zip(images, fields, strict=True))
        return self._equalised(self._of_each(lambda pair: self._moved(*pair), pairs))

    def _moved(self, image: FloatArray, field: FloatArray) -> FloatArray:
        """Deform an image by a field on the nodes."""
        from scipy.ndimage import map_coordinates

        index = np.empty((3, np.count_nonzero(self._warps)), dtype=np.float32)
        for axis, length in enumerate(self._grid.shape):
            places = np.arange(length, dtype=np.float32)
            places = places.reshape([-1 if axis == other else 1 for other in range(3)])
            shifted = unblocked(field[axis])
            shifted /= np.float32(self._spacing)
            shifted += places
            index[axis] = shifted[self._warps]
        moved: FloatArray = np.zeros(self._grid.shape, dtype=np.float32)
        moved[self._warps] = map_coordinates(
            image, index, order=_ORDER, mode="nearest", prefilter=False
        )
        return moved

    def _equalised(self, images: Sequence[FloatArray]) -> list[FloatArray]:
        """Remove smooth differences between the visits, in place (Lewis and Fox 2004).

        The images are compared after the deformation, where they show the same tissue: shrunken
        tissue must not pass for darker tissue.
        """
        from scipy.ndimage import gaussian_filter

        # The field is smooth enough for blocks of nodes.
        sd = _FIELD_SD / (self._spacing * BLOCK**2)
        where = self._mask * self._compared
        blocks = [blocked(blocked(image * where)) for image in images]
        gains = [np.ones_like(values) for values in blocks]
        # Near the border the window is one-sided; repeated passes remove the error that it leaves.
        for _ in range(_FIELD_PASSES):
            local = [
                gaussian_filter(values * gain, sd, truncate=3) + np.float32(1e-6)
                for values, gain in zip(blocks, gains, strict=True)
            ]
            mean = np.mean(local, axis=0)
            gains = [gain * (mean / level) for gain, level in zip(gains, local, strict=True)]
        return [
            np.multiply(image, unblocked(unblocked(gain)), out=image)
            for image, gain in zip(images, gains, strict=True)
        ]

    def _on_nodes(self, field: Volume) -> FloatArray:
        """Resample a field at the nodes of this level."""
        parts = [Volume(part, field.affine) for part in field.data]
        return np.stack([resample(part, self._nodes) for part in parts])


def _coefficients(image: FloatArray) -> FloatArray:
    """Compute the spline coefficients by which an image is interpolated."""
    from scipy.ndimage import spline_filter

    coefficients: FloatArray = spline_filter(image, _ORDER, output=np.float32, mode="nearest")
    return coefficients


def _determinant(rows: Sequence[Sequence[FloatArray]]) -> FloatArray:
    """Compute the determinants of 3 x 3 matrices, (...), from their rows of (...) each."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    determinant: FloatArray = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return determinant
