"""Relative scale of several visits of one subject: geometry that the scanner has changed.

Gradients drift and are replaced; a head that has not changed may then appear larger by some tenths
of a percent, and every structure in it with it. The scale of a visit is the determinant of the
affine transform that remains between rigidly aligned images. Where the skull is in view it comes
from skull and scalp, which do not shrink with the brain; else from the brain, where a loss that
the whole brain shares cannot be distinguished from a scale.

References
----------
Smith SM, Zhang Y, Jenkinson M, et al. Accurate, robust, and automated longitudinal and
cross-sectional brain change analysis. NeuroImage 2002;17:479-489. doi:10.1006/nimg.2002.1040
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray, Grid, apply_affine, extent
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

Array = npt.NDArray[np.float64]

# Voxel size at which images are compared, and SD of their blur (mm).
_SPACING, _BLUR = 2.0, 1.0
# Skull and scalp lie between these distances from the brain (mm).
_NEAR, _FAR = 4.0, 20.0
# Edge of the brain that is not compared (mm): extraction differs between visits.
_EDGE = 4.0
# Share of the mean intensity of the brain that tissue exceeds, and least share of such voxels
# around the brain where there is a skull.
_TISSUE, _LEAST_TISSUE = 0.15, 0.3
_ITERATIONS = 4
# Tukey's constant: 95 % efficiency where residuals are normal (Holland and Welsch 1977).
_TUKEY = 4.685
# Lengths (mm) that positions are divided by in polynomials of the bias field.
_RADIUS = 70.0


class Source(StrEnum):
    """What a scale was found from."""

    SKULL = "skull"
    BRAIN = "brain"


@dataclass(frozen=True, eq=False)
class Scales:
    """Relative scales of visits.

    Attributes
    ----------
    volumes : (N,) float64
        Volume that the same head has in each visit; their geometric mean is 1.
    standard_errors : (N,) float64
        Standard errors of ``volumes``, by a delete-one jackknife over the octants of the head.
    source : Source
    """

    volumes: Array
    standard_errors: Array
    source: Source


def relative_scales(images: Sequence[Volume], brain_masks: Sequence[Volume]) -> Scales:
    """Find how much larger or smaller the same head is in each of several visits.

    Gauss-Newton steps of an affine transform of each image towards the mean of all, with Tukey's
    biweight. Each step also fits the bias field (of second order in the brain, first around it)
    and a relation of intensities of third order, so that neither passes for a displacement.

    Parameters
    ----------
    images : sequence of Volume
        (X, Y, Z), two or more, rigidly aligned, on one grid along the world axes, of one contrast.
    brain_masks : sequence of Volume
        Non-zero in the brain, on the same grid.

    Returns
    -------
    Scales

    Raises
    ------
    BadDataError
        If fewer than two images are given, or the masks do not overlap.
    """
    if len(images) < 2:
        raise BadDataError("a relative scale needs two scans or more.")
    compared = _Compared(images, brain_masks)
    transforms = [np.zeros((4, 4)) for _ in images]
    for _ in range(_ITERATIONS):
        systems = compared.systems(transforms)
        steps = [_step(*(part.sum(0) for part in system)) for system in systems]
        moved = [old + step for old, step in zip(transforms, steps, strict=True)]
        common = np.mean(moved, axis=0)
        transforms = [each - common for each in moved]
    logarithms = np.array([np.trace(each[:3, :3]) for each in transforms])
    errors = [_jackknife(*system) for system in systems]
    return Scales(np.exp(logarithms), np.array(errors), compared.source)


class _Compared:
    """Images on a coarse grid, at the points that are compared.

    Parameters
    ----------
    images, brain_masks : sequence of Volume
    """

    def __init__(self, images: Sequence[Volume], brain_masks: Sequence[Volume]) -> None:
        from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

        low, high = extent(
            np.any([mask.data != 0 for mask in brain_masks], axis=0), images[0].affine
        )
        grid = Grid.covering(low - _FAR, high + _FAR, _SPACING)
        brain = np.min([resample(mask, grid) for mask in brain_masks], axis=0) > 0.5
        if not brain.any():
            raise BadDataError("the brain masks do not overlap: there is no head to compare.")
        self._images: list[FloatArray] = []
        for image in images:
            smooth = gaussian_filter(resample(image, grid), _BLUR / _SPACING)
            self._images.append(smooth / smooth[brain].mean())
        distance = distance_transform_edt(~brain, sampling=_SPACING)
        around = (distance > _NEAR) & (distance < _FAR)
        tissue = np.min(self._images, axis=0) > _TISSUE
        self.source = Source.BRAIN
        inside = distance_transform_edt(brain, sampling=_SPACING) > _EDGE
        if tissue[around].mean() > _LEAST_TISSUE:
            # Background has no edges, and its weak residuals would make those of edges outliers.
            self.source, inside = Source.SKULL, around & binary_dilation(tissue)
        index = np.argwhere(inside).T
        world = apply_affine(grid.affine, index)
        self._points = world - world.mean(1, keepdims=True)
        self._index = index.astype(np.float64)
        self._octants = (self._points > 0).T @ np.array([1, 2, 4])

    def systems(self, transforms: Sequence[AffineArray]) -> list[tuple[Array, Array]]:
        """Set up the normal equations of every image, for each octant of the head.

        Returns
        -------
        list of ((8, P, P) float64, (8, P) float64)
            Parameters are the affine transform, row by row, then intensities.
        """
        moved = [self._moved(*each) for each in zip(self._images, transforms, strict=True)]
        mean = np.mean([values for values, _ in moved], axis=0)
        slope = np.mean([gradient for _, gradient in moved], axis=0)
        intensities = _intensities(mean, self._points / _RADIUS, self.source)
        systems = []
        for values, gradient in moved:
            edges = (gradient + slope) / 2
            affine = np.vstack([*(edges[row] * self._points for row in range(3)), edges])
            systems.append(self._system(np.vstack([affine, intensities]), values - mean))
        return systems

    def _moved(self, image: FloatArray, transform: AffineArray) -> tuple[Array, Array]:
        """Interpolate an image and its gradient (per mm) after its transform."""
        from scipy.ndimage import map_coordinates

        shift = transform[:3, :3] @ self._points + transform[:3, 3:]
        places = self._index + shift / _SPACING
        gradient = [
            map_coordinates(part, places, order=1, mode="nearest")
            for part in np.gradient(image, _SPACING)
        ]
        values = map_coordinates(image, places, order=1, mode="nearest")
        return np.asarray(values, dtype=np.float64), np.array(gradient, dtype=np.float64)

    def _system(self, columns: Array, residual: Array) -> tuple[Array, Array]:
        weight = np.ones_like(residual)
        for _ in range(2):
            solution = np.linalg.solve(
                (columns * weight) @ columns.T, (columns * weight) @ residual
            )
            unexplained = residual - solution @ columns
            scale = 1.4826 * float(np.median(np.abs(unexplained))) + 1e-9
            weight = np.clip(1 - (unexplained / (_TUKEY * scale)) ** 2, 0, None) ** 2
        normal, right = [], []
        for octant in range(8):
            here = self._octants == octant
            weighted = columns[:, here] * weight[here]
            normal.append(weighted @ columns[:, here].T)
            right.append(weighted @ residual[here])
        return np.array(normal), np.array(right)


def _intensities(mean: Array, points: Array, source: Source) -> Array:
    """List what intensities may differ by: relation of contrasts, and bias field."""
    relation = [np.ones_like(mean), mean, mean**2, mean**3]
    linear = [mean * axis for axis in points]
    square = [mean * points[i] * points[j] for i in range(3) for j in range(i, 3)]
    # In a thin shell, the skull, a scale would pass for a quadratic field.
    return np.stack([*relation, *linear, *(square if source is Source.BRAIN else ())])


def _step(normal: Array, right: Array) -> AffineArray:
    """Solve for the change of the transform, (4, 4), less the identity."""
    solution = -np.linalg.solve(normal, right)
    step = np.zeros((4, 4))
    step[:3, :3] = solution[:9].reshape(3, 3)
    step[:3, 3] = solution[9:12]
    return step


def _jackknife(normal: Array, right: Array) -> float:
    """Estimate the standard error of a scale by omitting one octant at a time."""
    without = [
        np.trace(_step(normal.sum(0) - each, right.sum(0) - its)[:3, :3])
        for each, its in zip(normal, right, strict=True)
    ]
    count = len(without)
    return float(np.sqrt((count - 1) * np.var(without)))
