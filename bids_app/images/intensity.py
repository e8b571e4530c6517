"""Scaling of intensities within a mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SCALED_MAXIMUM = 1000.0


def scaled_in_mask(
    data: npt.NDArray[np.generic], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Clip at the 99th percentile of the mask and scale linearly to 0-1000, zero outside.

    The scaling of R1 in Ibrahim et al. 2026, section 2.5. The lowest value in the mask becomes 0,
    the percentile 1000.

    Parameters
    ----------
    data : (X, Y, Z) array
        Finite.
    mask : (X, Y, Z) bool

    Returns
    -------
    (X, Y, Z) float32

    Raises
    ------
    ValueError
        If the mask is empty or the image constant in it.
    """
    # Fat and vessels would determine the percentile of the whole image.
    inside = np.asarray(data[mask], dtype=np.float32)
    low, high = (inside.min(), np.percentile(inside, 99)) if inside.size else (0.0, 0.0)
    if not high > low:
        raise ValueError("the image is constant within the mask")
    scaled = np.zeros(data.shape, dtype=np.float32)
    shares = (np.minimum(inside, high) - low) / (high - low)
    # Rounding must not exceed the range.
    scaled[mask] = SCALED_MAXIMUM * np.minimum(shares, 1.0)
    return scaled
