"""How well two images match: mutual information in the brain, and whether its parts stay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

BINS = 32
# Intensities beyond these percentiles of the brain count as the outermost bins: a few bright
# vessels must not squeeze all tissue into some bins.
_PERCENTILES = (0.5, 99.5)
# Blocks that are moved one by one: their side, how far, and how full of brain they have to be.
_BLOCK_MM, _SEARCH_MM, _FULL_BLOCK = 16.0, 5.0, 0.5


def mutual_information(fixed: Array, moving: Array, mask: Mask) -> float:
    """Mutual information of two images in nats.

    From the joint histogram of 32 x 32 equal bins between the 0.5th and 99.5th percentile of
    each image in the mask, natural logarithm, without smoothing (Maes et al. 1997, IEEE Trans Med
    Imaging 16:187, eq. 1 to 4). With the 10^5 voxels of a brain the bias of the plug-in estimate,
    (BINS - 1)^2 / 2N, stays below 0.005.

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
        On one grid.
    mask : (X, Y, Z) bool
        Where to compare; voxels that the moving image does not cover are not in it.

    Returns
    -------
    float
        0 for independent images, at most ln 32 = 3.47; 0 too if the mask is empty or an image
        constant in it.
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


def gain_by_parts(
    fixed: Array, moving: Array, mask: Mask, voxel_size: npt.NDArray[np.float64]
) -> float:
    """How much better two images would match if parts of one could move on their own.

    Two images of one head, rightly aligned, match best where they lie, everywhere, and what they do
    not share is noise and contrast. Two heads do not share their folds, which other places match
    better. The brain is cut into blocks of 16 mm, and each is moved along one axis by up to 5 mm to
    where the correlation r of the two images is greatest (block matching; Ourselin et al. 2001,
    doi:10.1016/S0262-8856(00)00052-4). So that contrasts can be compared, each intensity of the
    moving image is replaced by the mean of the fixed one where it occurs.

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
        On one grid, finite.
    mask : (X, Y, Z) bool
        The brain that both cover.
    voxel_size : (3,) float
        In mm.

    Returns
    -------
    float
        Share of the variance not explained in place, 1 - r^2, that moving the blocks would explain;
        mean over the blocks. 1 if no block holds enough brain to compare.
    """
    moving = _as_in(fixed, moving, mask)
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
    least = 1e-6 * float(np.var(fixed[mask])) * float(np.var(moving[mask])) + 1e-30

    def explained(shifted: Array) -> npt.NDArray[np.float64]:
        weighted = weight * shifted
        total = block_sums(weighted)
        covariance = block_sums(first * shifted) - first_sum * total / number
        variance = block_sums(weighted * shifted) - total**2 / number
        product = first_variance * variance
        # Uniform blocks match nowhere; opposite contrast is no match.
        told = (product > least * number**2) & (covariance > 0)
        square: npt.NDArray[np.float64] = covariance**2 / np.where(told, product, 1.0)
        return np.where(told, square, 0.0)[compared]

    in_place = explained(moving)
    best = in_place
    for axis, size in enumerate(voxel_size):
        reach = max(1, int(_SEARCH_MM / size))
        for step in (*range(-reach, 0), *range(1, reach + 1)):
            best = np.maximum(best, explained(np.roll(moving, -step, axis)))
    return float(((best - in_place) / np.maximum(1 - in_place, 1e-3)).mean())


def _as_in(fixed: Array, moving: Array, mask: Mask) -> Array:
    """The moving image with the fixed one's contrast: the mean where an intensity occurs."""
    low, high = np.percentile(moving[mask], _PERCENTILES) if mask.any() else (0.0, 0.0)
    codes = np.clip((moving - low) * (BINS / max(high - low, 1e-6)), 0, BINS - 1).astype(np.int64)
    sums = np.bincount(codes[mask], fixed[mask], BINS)
    means = sums / np.maximum(np.bincount(codes[mask], minlength=BINS), 1)
    recoloured: Array = means.astype(np.float32)[codes]
    return recoloured


def _binned(values: Array) -> npt.NDArray[np.int64] | None:
    """Bin of every value; None if there is nothing to bin."""
    if values.size == 0:
        return None
    low, high = np.percentile(values, _PERCENTILES)
    if not high > low:
        return None
    codes: npt.NDArray[np.int64] = np.clip(
        (values - low) * (BINS / (high - low)), 0, BINS - 1
    ).astype(np.int64)
    return codes
