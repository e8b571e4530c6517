"""How well two images match: mutual information within the brain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

BINS = 32
# Intensities beyond these percentiles of the brain count as the outermost bins: a few bright
# vessels must not squeeze all tissue into some bins.
_PERCENTILES = (0.5, 99.5)


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
