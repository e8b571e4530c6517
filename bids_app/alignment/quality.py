"""Quality of an alignment: mutual information in the brain, and local block matching."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

BINS = 32
# Intensities beyond these percentiles of the brain belong to the outermost bins, so that a few
# bright vessels do not compress all tissue into some bins.
_PERCENTILES = (0.5, 99.5)
# Block matching: side of a block, range of the search, least share of brain in a block.
_BLOCK_MM, _SEARCH_MM, _FULL_BLOCK = 16.0, 5.0, 0.5


def mutual_information(fixed: Array, moving: Array, mask: Mask) -> float:
    """Compute the mutual information of two images in nats.

    The joint histogram has 32 x 32 equal bins between the 0.5th and 99.5th percentile of each image
    in the mask and is not smoothed; logarithms are natural (Maes et al. 1997, IEEE Trans Med
    Imaging 16:187, eq. 1 to 4). With the 10^5 voxels of a brain the bias of the plug-in estimate,
    (BINS - 1)^2 / 2N, is below 0.005.

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
        On one grid.
    mask : (X, Y, Z) bool
        Voxels to compare, within the field of view of both images.

    Returns
    -------
    float
        0 for independent images, at most ln 32 = 3.47; also 0 if the mask is empty or an image
        is constant in it.
    """
    codes = [_binned(image[mask]) for image in (fixed, moving)]
    if any(code is None for code in codes):
        return 0.0
    first, second = (np.asarray(code) for code in codes)
    joint = np.bincount(BINS * first + second, minlength=BINS * BINS).reshape(BINS, BINS)
    shares = joint / joint.sum()
    product = shares.sum(1, keepdims=True) * shares.sum(0, keepdims=True)
    present = shares > 0
    return float((shares[present] * np.log(shares[present] / product[present])).sum())


def block_matching_gain(
    fixed: Array, moving: Array, mask: Mask, voxel_size: npt.NDArray[np.float64]
) -> float:
    """Measure how much of the residual variance local block matching would explain.

    Correctly aligned images of one head match best in place, everywhere, and differ by noise and
    contrast. The folds of two heads differ, so that shifted blocks match better. The brain is
    divided into blocks of 16 mm, and each is moved along one axis by up to 5 mm to where the
    correlation r of the two images is greatest (block matching; Ourselin et al. 2001,
    doi:10.1016/S0262-8856(00)00052-4). To compare contrasts, each intensity of the moving image is
    replaced by the mean intensity of the fixed image in the voxels with that intensity.

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
        On one grid, finite.
    mask : (X, Y, Z) bool
        Brain within the field of view of both.
    voxel_size : (3,) float
        In mm.

    Returns
    -------
    float
        Share of the variance not explained in place, 1 - r^2, that shifted blocks would explain;
        mean over the blocks. 1 if no block holds enough brain.
    """
    # Correlation needs one contrast.
    moving = recoloured(fixed, moving, mask)
    sides = np.maximum(2, np.round(_BLOCK_MM / voxel_size)).astype(int)
    counts = np.array(fixed.shape) // sides
    extent = tuple(slice(0, int(n * side)) for n, side in zip(counts, sides, strict=True))
    shape = [int(part) for pair in zip(counts, sides, strict=True) for part in pair]

    def block_sums(image: Array) -> npt.NDArray[np.float64]:
        sums: npt.NDArray[np.float64] = image[extent].reshape(shape).sum((1, 3, 5), dtype=float)
        return sums

    weight = mask.astype(np.float32)
    number = block_sums(weight)
    compared = number >= _FULL_BLOCK * np.prod(sides)
    if not compared.any():
        return 1.0
    number = np.maximum(number, 1)
    first = weight * fixed
    first_sum = block_sums(first)
    first_variance = block_sums(first * fixed) - first_sum**2 / number
    # Blocks without structure have no correlation.
    least = 1e-6 * float(np.var(fixed[mask])) * float(np.var(moving[mask])) + 1e-30

    def explained(shifted: Array) -> npt.NDArray[np.float64]:
        """Return the share of the variance of each block that the moving image explains, r²."""
        weighted = weight * shifted
        total = block_sums(weighted)
        covariance = block_sums(first * shifted) - first_sum * total / number
        variance = block_sums(weighted * shifted) - total**2 / number
        product = first_variance * variance
        # Uniform blocks match nowhere; opposite contrast is no match.
        defined = (product > least * number**2) & (covariance > 0)
        square = np.where(defined, covariance**2 / np.where(defined, product, 1.0), 0.0)
        return np.asarray(square[compared])

    in_place = explained(moving)
    best = in_place
    for axis, size in enumerate(voxel_size):
        reach = max(1, int(_SEARCH_MM / size))
        for step in (*range(-reach, 0), *range(1, reach + 1)):
            # Voxels that np.roll wraps around lie outside the brain, which has a margin.
            best = np.maximum(best, explained(np.roll(moving, -step, axis)))
    return float(((best - in_place) / np.maximum(1 - in_place, 1e-3)).mean())


def recoloured(fixed: Array, moving: Array, mask: Mask) -> Array:
    """Give the moving image the contrast of the fixed one, by the mean for each intensity.

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
        On one grid, finite.
    mask : (X, Y, Z) bool
        Voxels that are compared.

    Returns
    -------
    (X, Y, Z) float32
    """
    low, high = np.percentile(moving[mask], _PERCENTILES) if mask.any() else (0.0, 0.0)
    codes = np.clip((moving - low) * (BINS / max(high - low, 1e-6)), 0, BINS - 1).astype(np.int64)
    sums = np.bincount(codes[mask], fixed[mask], BINS)
    means = sums / np.maximum(np.bincount(codes[mask], minlength=BINS), 1)
    recoloured: Array = means.astype(np.float32)[codes]
    return recoloured


def _binned(values: Array) -> npt.NDArray[np.int64] | None:
    """Assign every value to a bin; None if there is no value, or they are constant."""
    if values.size == 0:
        return None
    low, high = np.percentile(values, _PERCENTILES)
    if not high > low:
        return None
    codes: npt.NDArray[np.int64] = np.clip(
        (values - low) * (BINS / (high - low)), 0, BINS - 1
    ).astype(np.int64)
    return codes
