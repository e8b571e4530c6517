"""Equations of the displacement of every node, from the images in a window around it.

In the window of a node the residual of an image (image - mean) is modelled as gradient x
displacement + offset + slope x mean. Offset and slope are eliminated: with C for the covariance
within the window,
normal = C(g, g) - C(g, m) C(m, g) / C(m, m), right = C(g, r) - C(g, m) C(m, r) / C(m, m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.alignment.nodes import BLOCK, blocked, slabs
from bids_app.images.resampling import FloatArray

# SD of the window within which tissue moves alike (nodes).
_WINDOW = 1.5
# Share of the mean squared gradient that is added in every direction: without an edge nothing
# moves.
_STIFFNESS = 0.02
# Share of the mean variance in a window that is added to it: in uniform tissue no slope of the
# relation between intensities can be determined.
_LEAST_VARIANCE = 0.02
# Rows and columns of the three components of the gradient and of the mean.
_PAIRS = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3))


@dataclass(frozen=True)
class Equations:
    """Normal equations of the displacement of every node.

    Attributes
    ----------
    normal : (3, 3, X, Y, Z) float32
    right : (3, X, Y, Z) float32
    """

    normal: FloatArray
    right: FloatArray

    def __add__(self, other: Equations) -> Equations:
        """Add the equations of another contrast."""
        return Equations(self.normal + other.normal, self.right + other.right)

    def solved(self, brain: npt.NDArray[np.bool_]) -> FloatArray:
        """Compute the displacements (mm) that reduce the residuals most, (3, X, Y, Z)."""
        normal = self.normal.copy()
        # Relative to the edges of the brain, hence independent of the intensities' scale.
        stiffness = _STIFFNESS * float(np.trace(normal)[brain].mean()) / 3
        for axis in range(3):
            normal[axis, axis] += stiffness
        return -_solved(normal, self.right)


def equations_of(
    mean: FloatArray, residual: FloatArray, compared: FloatArray, spacing: float, weight: float
) -> Equations:
    """Set up the normal equations of every node's displacement, for one image.

    Parameters
    ----------
    mean, residual : (X, Y, Z) float32
        Mean of all images, and difference of this one from it.
    compared : (X, Y, Z) float32
        Weight of every voxel.
    spacing : float
        Voxel size in mm.
    weight : float
        Weight of the image among those of other contrasts.

    Returns
    -------
    Equations
    """
    weights, averages, with_residual, products = _windows(mean, residual, compared, spacing)
    share = weights + np.float32(1e-6)
    residual_mean = averages[4] / share
    means = averages[:4] / share
    covariance = {
        pair: product / share - means[pair[0]] * means[pair[1]]
        for pair, product in zip(_PAIRS, products, strict=True)
    }
    to_residual = with_residual / share - means * residual_mean
    variance = covariance[3, 3]
    variance = variance + _LEAST_VARIANCE * variance[blocked(compared) > 0.5].mean()
    normal = np.empty((3, 3, *share.shape), dtype=np.float32)
    right = np.empty((3, *share.shape), dtype=np.float32)
    factor = share * np.float32(weight)
    for row in range(3):
        slope = covariance[row, 3] / variance
        right[row] = factor * (to_residual[row] - slope * to_residual[3])
        for column in range(row + 1):
            normal[row, column] = factor * (covariance[row, column] - slope * covariance[column, 3])
            normal[column, row] = normal[row, column]
    return Equations(normal, right)


def _windows(
    mean: FloatArray, residual: FloatArray, compared: FloatArray, spacing: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Average products of gradient, mean and residual in the window of every node.

    Returns
    -------
    weights : (X / 2, Y / 2, Z / 2) float32
    averages : (5, ...) float32
        Averages of the gradient, the mean and the residual.
    with_residual : (4, ...) float32
        Of gradient and mean, times the residual.
    products : (10, ...) float32
        Averages of the products of `_PAIRS`.
    """
    from scipy.ndimage import gaussian_filter

    count = 1 + 5 + 4 + len(_PAIRS)
    nodes = [n // BLOCK for n in mean.shape]
    sums = np.empty((count, *nodes), dtype=np.float32)
    for planes, padded, inner in slabs(len(mean)):
        # The gradient is that of the mean of both images.
        both = mean[padded] + residual[padded] * np.float32(0.5)
        gradient = [part[inner] for part in np.gradient(both, spacing)]
        terms = [*gradient, mean[planes]]
        rest, inside = residual[planes], compared[planes]
        values = [
            *terms,
            rest,
            *(term * rest for term in terms),
            *(terms[row] * terms[column] for row, column in _PAIRS),
        ]
        part = sums[:, planes.start // BLOCK : planes.stop // BLOCK]
        part[0] = blocked(inside)
        for place, value in zip(part[1:], values, strict=True):
            place[:] = blocked(value * inside)
    for each in sums:
        gaussian_filter(each, _WINDOW, output=each)
    return sums[0], sums[1:6], sums[6:10], sums[10:]


def _cofactors(matrix: FloatArray) -> FloatArray:
    """Compute the cofactors of 3 x 3 matrices, (3, 3, ...)."""
    cofactors = np.empty_like(matrix)
    for row in range(3):
        i, j = (row + 1) % 3, (row + 2) % 3
        for column in range(3):
            k, m = (column + 1) % 3, (column + 2) % 3
            cofactors[row, column] = matrix[i, k] * matrix[j, m] - matrix[i, m] * matrix[j, k]
    return cofactors


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve symmetric systems (3, 3, ...) by Cramer's rule, (3, ...)."""
    cofactors = _cofactors(matrix)
    determinant = (matrix[0] * cofactors[0]).sum(0)
    solved: FloatArray = np.einsum("ij...,j...->i...", cofactors, right) / determinant
    return solved
