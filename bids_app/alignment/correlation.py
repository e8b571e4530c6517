"""Rigid registration by correlation within a brain mask.

ANTs' global correlation does not move from its start if a mask is given, hence this one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import AffineArray, about, apply_affine
from bids_app.images.volume import Volume

# Smoothing (SD) and spacing of the points compared, coarse to fine, in mm.
_LEVELS = ((4.0, 4.0), (1.6, 3.2))
_MOST_STEPS = 25
# Converged if no point of the brain moves further than this in a step (mm).
_CONVERGED = 0.005
_LONGEST_STEP = 4.0
# Radius of a brain (mm), at which rotations are measured as shifts.
_RADIUS = 70.0


def register_by_correlation(
    fixed: Volume, moving: Volume, mask: Volume, start: AffineArray
) -> AffineArray:
    """Find the rigid transform with the highest correlation of two images in a mask.

    Gauss-Newton steps: intensities of the fixed image are regressed on those of the moving one, on
    its derivatives by the six rigid parameters, and on a constant. As the regression includes the
    best linear scaling, the sum of squares that it minimises is 1 - r^2 of the fixed image's
    variance, so that the step maximises the squared correlation.

    Parameters
    ----------
    fixed, moving : Volume
        (X, Y, Z) finite.
    mask : Volume
        On the grid of ``fixed``; non-zero in the voxels that are compared.
    start : (4, 4) float64
        Initial transform, fixed world to moving world, mm, RAS.

    Returns
    -------
    (4, 4) float64
        World coordinates in the fixed image to those in the moving one, mm, RAS.

    Raises
    ------
    ValueError
        If the images do not overlap or the moving one does not vary.
    """
    transform = start
    for smoothing, spacing in _LEVELS:
        points, values = _points(_smoothed(fixed, smoothing), mask, spacing)
        blurred = _smoothed(moving, smoothing)
        gradient = _world_gradient(blurred)
        centre = points.mean(1)
        for _ in range(_MOST_STEPS):
            step = _step(values, points, centre, blurred, gradient, transform)
            transform = _rigid(step, apply_affine(transform, centre)) @ transform
            if np.abs(step).max() < _CONVERGED:
                break
    return transform


def _step(
    values: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    moving: Volume,
    gradient: npt.NDArray[np.float32],
    transform: AffineArray,
) -> npt.NDArray[np.float64]:
    """Compute the next step: shift in mm and rotation in mm at the radius of a brain, (6,)."""
    from scipy.ndimage import map_coordinates

    world = apply_affine(transform, points)
    voxels = apply_affine(np.linalg.inv(moving.affine), world)
    limits = np.array(moving.data.shape)[:, None] - 1
    inside = ((voxels >= 0) & (voxels <= limits)).all(0)
    # Fewer points do not determine the eight coefficients.
    if np.count_nonzero(inside) < 100:
        raise ValueError("the images do not overlap")
    intensity, *slopes = (
        map_coordinates(part, voxels[:, inside], order=1) for part in (moving.data, *gradient)
    )
    # A rotation by r about the centre moves a point by cross(r, arm).
    slope = np.array(slopes)
    arm = world[:, inside] - apply_affine(transform, centre)[:, None]
    turning = np.cross(arm.T, slope.T).T / _RADIUS
    columns = np.vstack([intensity, np.ones_like(intensity), slope, turning]).T
    scale, _, *derivatives = np.linalg.lstsq(columns, values[inside], rcond=None)[0]
    if scale == 0 or np.ptp(intensity) == 0:
        raise ValueError("the image does not vary within the brain")
    # The regression scales intensities, and the derivatives with them.
    step = np.array(derivatives) / scale
    # Far from the optimum the linear model does not hold for long steps.
    return np.asarray(step * min(1.0, _LONGEST_STEP / max(np.abs(step).max(), 1e-9)))


def _rigid(step: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]) -> AffineArray:
    """Make the rigid transform (4, 4) of a step that rotates about a centre (3,)."""
    from scipy.spatial.transform import Rotation

    matrix = about(centre, Rotation.from_rotvec(step[3:] / _RADIUS).as_matrix())
    matrix[:3, 3] += step[:3]
    return matrix


def _smoothed(volume: Volume, deviation: float) -> Volume:
    from scipy.ndimage import gaussian_filter

    data = np.asarray(volume.data, dtype=np.float32)
    return Volume(gaussian_filter(data, deviation / volume.voxel_size), volume.affine)


def _points(
    fixed: Volume, mask: Volume, spacing: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sample every n-th voxel of the mask: world coordinates (3, N) and values (N,)."""
    every = np.maximum(1, np.round(spacing / fixed.voxel_size)).astype(int)
    grid = tuple(slice(None, None, int(step)) for step in every)
    chosen = np.argwhere(mask.data[grid] != 0) * every
    if len(chosen) == 0:
        raise ValueError("the brain mask is empty")
    world = apply_affine(fixed.affine, chosen.T)
    return world, np.asarray(fixed.data[tuple(chosen.T)], dtype=np.float64)


def _world_gradient(volume: Volume) -> npt.NDArray[np.float32]:
    """Compute derivatives by the world axes, (3, X, Y, Z) per mm."""
    by_voxel = np.stack(np.gradient(np.asarray(volume.data, dtype=np.float32)))
    # Gradients transform by the inverse transpose.
    to_world = np.linalg.inv(volume.affine[:3, :3]).T
    return np.asarray(np.tensordot(to_world, by_voxel, 1), dtype=np.float32)
