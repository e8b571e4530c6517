"""Alignment of all scans of one subject in a common space half-way between them.

Change is measured without bias only if all scans are treated alike: registering the second visit
to the first interpolates only one of them, and the blur looks like change (Reuter and Fischl
2011). Here every scan moves, the motions of all scans sum to zero, and each is interpolated once,
in the same way, on the same grid (Reuter et al. 2012).

References
----------
Reuter M, Fischl B. Avoiding asymmetry-induced bias in longitudinal image processing. NeuroImage
2011;57:19-21. doi:10.1016/j.neuroimage.2011.02.076

Reuter M, Schmansky NJ, Rosas HD, Fischl B. Within-subject template estimation for unbiased
longitudinal image analysis. NeuroImage 2012;61:1402-1418. doi:10.1016/j.neuroimage.2012.02.084

Lewis EB, Fox NC. Correction of differential intensity inhomogeneity in longitudinal MR images.
NeuroImage 2004;23:75-83. doi:10.1016/j.neuroimage.2004.04.030
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError, BadImageError
from bids_app.images.geometry import (
    AffineArray,
    Grid,
    apply_affine,
    centroid,
    extent,
    translation,
)
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume

# Grid spacings in mm, coarse to fine, and the maximum number of iterations on each.
_PYRAMID = ((4.0, 20), (2.0, 8))
# Motion of a point at the brain's surface (mm) below which the alignment has converged.
_CONVERGED = 0.01
_BRAIN_RADIUS = 70.0
# Tukey's constant: 95 % efficiency where residuals are normal (Holland and Welsch 1977).
_TUKEY = 4.685
# Window over which local intensities are averaged (mm): wider than any sulcus or lesion.
_FIELD_SD, _FIELD_SPACING = 20.0, 4.0
# Least SD of the blur (mm), so that interpolation favours no position between voxels.
_LEAST_BLUR = 0.7
# Aligned T1w scans of one head correlate with 0.8 or more; those of two heads with 0.6 at most.
_LEAST_CORRELATION = 0.7


@dataclass(frozen=True)
class WithinSubject:
    """Scans of one subject in their common space.

    Attributes
    ----------
    transforms : tuple of (4, 4) float64
        For each scan, rigid, from world coordinates (mm) of the common space to those of the
        scan. Rotation vectors sum to zero.
    images : tuple of Volume
        Scans on the common grid, float32, with equalised intensities.
    correlations : tuple of float
        Pearson correlation of each aligned scan with the mean of the others within the brain.
    """

    transforms: tuple[AffineArray, ...]
    images: tuple[Volume, ...]
    correlations: tuple[float, ...]


def align_within_subject(
    images: Sequence[Volume], brain_masks: Sequence[Volume], *, threads: int = 1
) -> WithinSubject:
    """Align scans of one subject in the space half-way between them.

    Parameters
    ----------
    images : sequence of Volume
        (X, Y, Z), two or more, of one contrast; grids and voxel sizes may differ.
    brain_masks : sequence of Volume
        Non-zero in the brain, each on the grid of its scan. Parts that move against the brain
        (scalp, neck, jaw) have no influence.
    threads : int
        Scans that are interpolated at a time; their number does not change the result.

    Returns
    -------
    WithinSubject
        On an isotropic grid along the world axes with the voxel size of the finest scan;
        independent of the order of the scans.

    Raises
    ------
    BadDataError
        If fewer than two scans are given, a mask is empty, or a scan cannot be aligned
        (BadImageError, with its index).
    """
    if len(images) < 2:
        raise BadDataError("a within-subject space needs two scans or more.")
    if not all(mask.data.any() for mask in brain_masks):
        raise BadDataError("a brain mask is empty: there is nothing to align.")
    centres = [centroid(mask.data, mask.affine) for mask in brain_masks]
    fields = [_field(image, mask) for image, mask in zip(images, brain_masks, strict=True)]
    motions = [np.zeros(6) for _ in images]
    for spacing, iterations in _PYRAMID:
        level = _Level(images, brain_masks, fields, centres, spacing, threads=threads)
        motions, correlations = _align_level(level, motions, iterations)
    worst = int(np.argmin(correlations))
    if correlations[worst] < _LEAST_CORRELATION:
        raise BadImageError(
            f"scan {worst + 1} of {len(images)} cannot be aligned with the others: correlation "
            f"{correlations[worst]:.2f}, expected at least {_LEAST_CORRELATION}. Do all show the "
            "same person in the same contrast?",
            worst,
        )
    middle = np.mean(centres, axis=0)
    transforms = tuple(
        translation(centre) @ _matrix(motion) @ translation(-middle)
        for centre, motion in zip(centres, motions, strict=True)
    )
    aligned = _on_common_grid(images, fields, transforms, threads)
    return WithinSubject(transforms, aligned, correlations)


class _Level:
    """Scans at one resolution; the origin of their common space is the middle of the brain.

    Parameters
    ----------
    images, brain_masks, fields : sequence of Volume
    centres : sequence of (3,) float64
        World coordinates of the middle of each brain.
    spacing : float
        Voxel size in mm.
    threads : int
    """

    def __init__(
        self,
        images: Sequence[Volume],
        brain_masks: Sequence[Volume],
        fields: Sequence[Volume],
        centres: Sequence[npt.NDArray[np.float64]],
        spacing: float,
        *,
        threads: int,
    ) -> None:
        from scipy.ndimage import gaussian_filter

        self._threads = threads
        self._centres = centres
        self._masks = brain_masks
        half = max(_reach(mask, centre) for mask, centre in zip(brain_masks, centres, strict=True))
        side = 2 * int(np.ceil(half / spacing)) + 1
        self.grid = Grid.around(np.zeros(3), (side, side, side), spacing)
        self.spacing = spacing
        blur = max(spacing / 2, _LEAST_BLUR)
        self._images = []
        for image, field in zip(images, fields, strict=True):
            smooth = gaussian_filter(_relative(image, field), blur / image.voxel_size)
            # After this blur, every other voxel (or third, ...) holds all detail.
            steps = np.maximum(1, np.floor(spacing / image.voxel_size + 0.05)).astype(int)
            thinned = smooth[tuple(slice(None, None, step) for step in steps)]
            self._images.append(Volume(thinned, image.affine @ np.diag([*steps, 1.0])))

    def images(self, motions: Sequence[npt.NDArray[np.float64]]) -> list[FloatArray]:
        """Resample every scan after its motion."""
        return self._resampled(self._images, motions)

    def masks(self, motions: Sequence[npt.NDArray[np.float64]]) -> list[FloatArray]:
        """Resample the brain mask of every scan after its motion."""
        return self._resampled(self._masks, motions)

    def _resampled(
        self, volumes: Sequence[Volume], motions: Sequence[npt.NDArray[np.float64]]
    ) -> list[FloatArray]:
        grids = [
            self.grid.transformed(translation(centre) @ _matrix(motion))
            for centre, motion in zip(self._centres, motions, strict=True)
        ]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(resample, volumes, grids))


def _align_level(
    level: _Level, motions: list[npt.NDArray[np.float64]], iterations: int
) -> tuple[list[npt.NDArray[np.float64]], tuple[float, ...]]:
    """Move every scan towards the mean of all, until convergence.

    Iteratively reweighted Gauss-Newton steps with the mean of both images' gradients, which
    converge with second order (efficient second-order minimisation, Malis 2004). Differences that
    motion does not explain, such as atrophy, are downweighted (Tukey's biweight), as in Reuter et
    al. 2010 (NeuroImage 53:1181-1196).
    """
    inside = np.mean(level.masks(motions), axis=0) > 0.5
    points = apply_affine(level.grid.affine, np.argwhere(inside).T)
    for _ in range(iterations):
        images = level.images(motions)
        mean = np.mean(images, axis=0)
        mean_gradient = _gradient(mean, inside, level.spacing)
        residuals = [(image - mean)[inside] for image in images]
        # Median absolute deviation, scaled to the SD of normally distributed residuals.
        scale = 1.4826 * float(np.median(np.abs(residuals))) + 1e-9
        steps = []
        for image, residual in zip(images, residuals, strict=True):
            gradient = (_gradient(image, inside, level.spacing) + mean_gradient) / 2
            # A rotation by r moves a point x by cross(r, x); its product with g is r cross(x, g).
            jacobian = np.concatenate([np.cross(points, gradient, axis=0), gradient])
            weight = np.clip(1 - (residual / (_TUKEY * scale)) ** 2, 0, None) ** 2
            normal = (jacobian * weight) @ jacobian.T
            steps.append(-np.linalg.solve(normal, jacobian @ (weight * residual)))
        moved = [
            _parameters(_matrix(motion) @ _matrix(step))
            for motion, step in zip(motions, steps, strict=True)
        ]
        moved = _centred(moved)
        change = max(
            np.linalg.norm(new[3:] - old[3:]) + _BRAIN_RADIUS * np.linalg.norm(new[:3] - old[:3])
            for new, old in zip(moved, motions, strict=True)
        )
        motions = moved
        if change < _CONVERGED:
            break
    return motions, _correlations([image[inside] for image in level.images(motions)])


def _centred(motions: list[npt.NDArray[np.float64]]) -> list[npt.NDArray[np.float64]]:
    """Shift the common space so that rotations and shifts of all motions sum to zero."""
    # Rotation vectors are not additive: a few repetitions make their sum vanish.
    for _ in range(5):
        back = np.linalg.inv(_matrix(np.mean(motions, axis=0)))
        motions = [_parameters(_matrix(motion) @ back) for motion in motions]
    return motions


def _correlations(images: Sequence[FloatArray]) -> tuple[float, ...]:
    """Correlate each image (N,) with the mean of the others."""
    total = np.sum(images, axis=0)
    return tuple(float(np.corrcoef(image, total - image)[0, 1]) for image in images)


def _gradient(
    image: FloatArray, inside: npt.NDArray[np.bool_], spacing: float
) -> npt.NDArray[np.float64]:
    """Compute central differences per mm at the points inside, (3, N)."""
    return np.stack([part[inside] for part in np.gradient(image, spacing)]).astype(np.float64)


def _matrix(motion: npt.NDArray[np.float64]) -> AffineArray:
    """Convert a rotation vector (rad) and translation (mm), (6,), to a matrix (4, 4)."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(motion[:3]).as_matrix()
    matrix[:3, 3] = motion[3:]
    return matrix


def _parameters(matrix: AffineArray) -> npt.NDArray[np.float64]:
    """Convert a rigid matrix (4, 4) to its rotation vector and translation, (6,)."""
    from scipy.spatial.transform import Rotation

    return np.concatenate([Rotation.from_matrix(matrix[:3, :3]).as_rotvec(), matrix[:3, 3]])


def _reach(mask: Volume, centre: npt.NDArray[np.float64]) -> float:
    """Measure the largest distance along a world axis (mm) of a mask from its middle."""
    low, high = extent(mask.data, mask.affine)
    return float(max((centre - low).max(), (high - centre).max()))


def _field(image: Volume, mask: Volume) -> Volume:
    """Estimate the local mean intensity of the brain, smooth, and extended beyond it.

    The ratio of an image to it has no bias field and no scaling; the ratio of the fields of two
    scans is their differential bias (Lewis and Fox 2004).
    """
    from scipy.ndimage import gaussian_filter

    corners = image.grid.corners()
    grid = Grid.covering(corners.min(1), corners.max(1), _FIELD_SPACING)
    brain = (mask.data != 0).astype(np.float32)
    weighted = Volume(np.asarray(image.data, dtype=np.float32) * brain, image.affine)
    sigma = _FIELD_SD / _FIELD_SPACING
    total = gaussian_filter(resample(weighted, grid), sigma, truncate=3)
    weight = gaussian_filter(resample(Volume(brain, mask.affine), grid), sigma, truncate=3)
    # Far from the brain the field tends to the mean over the brain.
    least = 1e-3
    mean = total.sum() / weight.sum()
    return Volume((total + least * mean) / (weight + least), grid.affine)


def _relative(image: Volume, field: Volume) -> FloatArray:
    """Divide an image by the local mean intensity of its brain."""
    on_grid = _sampled(field, image.grid)
    return np.asarray(image.data, dtype=np.float32) / on_grid


def _sampled(field: Volume, grid: Grid) -> FloatArray:
    """Resample a smooth field on a grid; it is extended beyond its edge by the nearest value."""
    from scipy.ndimage import affine_transform

    matrix = np.linalg.inv(field.affine) @ grid.affine
    sampled = affine_transform(
        np.asarray(field.data, dtype=np.float32),
        matrix[:3, :3],
        matrix[:3, 3].tolist(),
        output_shape=grid.shape,
        order=1,
        mode="nearest",
    )
    return np.asarray(np.maximum(sampled, 1e-6 * float(sampled.max())), dtype=np.float32)


def place_on_common_grid(
    images: Sequence[Volume],
    brain_masks: Sequence[Volume],
    transforms: Sequence[AffineArray],
    grid: Grid,
    *,
    threads: int = 1,
) -> tuple[Volume, ...]:
    """Interpolate scans of another contrast on the grid of scans that have been aligned.

    Parameters
    ----------
    images : sequence of Volume
        (X, Y, Z), of one contrast, each in the world space of the aligned scan of its visit.
    brain_masks : sequence of Volume
        Non-zero in the brain, each on the grid of its image.
    transforms : sequence of (4, 4) float64
        As in `WithinSubject`.
    grid : Grid
    threads : int
        Scans that are interpolated at a time; their number does not change the result.

    Returns
    -------
    tuple of Volume
        float32, with equalised intensities.
    """
    fields = [_field(image, mask) for image, mask in zip(images, brain_masks, strict=True)]
    return _interpolated(images, fields, transforms, grid, threads)


def _on_common_grid(
    images: Sequence[Volume],
    fields: Sequence[Volume],
    transforms: Sequence[AffineArray],
    threads: int,
) -> tuple[Volume, ...]:
    """Interpolate every scan on a grid that covers them all."""
    corners = np.concatenate(
        [
            image.grid.transformed(np.linalg.inv(transform)).corners()
            for image, transform in zip(images, transforms, strict=True)
        ],
        axis=1,
    )
    # Side of a cube with the volume of the smallest voxel.
    spacing = min(image.voxel_volume ** (1 / 3) for image in images)
    grid = Grid.covering(corners.min(1), corners.max(1), spacing)
    return _interpolated(images, fields, transforms, grid, threads)


def _interpolated(
    images: Sequence[Volume],
    fields: Sequence[Volume],
    transforms: Sequence[AffineArray],
    grid: Grid,
    threads: int,
) -> tuple[Volume, ...]:
    """Interpolate every scan once (cubic spline) and equalise their bias fields."""
    from scipy.ndimage import affine_transform

    def interpolated(image: Volume, transform: AffineArray) -> FloatArray:
        """Resample an image on the common grid."""
        matrix = np.linalg.inv(image.affine) @ transform @ grid.affine
        data = np.asarray(image.data, dtype=np.float32)
        on_grid = affine_transform(
            data, matrix[:3, :3], matrix[:3, 3].tolist(), output_shape=grid.shape, order=3
        )
        # Splines overshoot at sharp edges; intensities stay within the range of the image.
        return np.clip(on_grid, data.min(), data.max(), out=on_grid)

    with ThreadPoolExecutor(threads) as pool:
        grids = [grid.transformed(transform) for transform in transforms]
        local = list(pool.map(_sampled, fields, grids))
        resampled = list(pool.map(interpolated, images, transforms))
    # Geometric mean: gains of the scans are ratios.
    mean = np.exp(np.mean(np.log(local), axis=0))
    return tuple(
        Volume((on_grid * mean / field).astype(np.float32), grid.affine)
        for on_grid, field in zip(resampled, local, strict=True)
    )
