"""What surrounds an image: its own background, or padding by another program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from bids_app.images.masks import connected_to_border

# A value that is as frequent as this is a constant: masked or padded.
_CONSTANT_SHARE = 0.5
# Air is the darkest of an image: it starts at its lowest value, within this share of the range.
_DARKEST_AIR = 0.05
# Padding differs from the background by more than this share of the range; ringing of resampled
# images does not.
_LEAST_DIFFERENCE = 0.2


def dominant(values: npt.NDArray[Any]) -> float | None:
    """Find the value that most of some voxels have; None if no value is that frequent.

    >>> dominant(np.array([0, 0, 3])), dominant(np.array([0, 1, 3]))
    (0.0, None)
    """
    if not values.size:
        return None
    middle = np.partition(values.ravel(), values.size // 2)[values.size // 2]
    return float(middle) if np.mean(values == middle) >= _CONSTANT_SHARE else None


def replace_padding(
    data: npt.NDArray[Any], constants: Iterable[float]
) -> tuple[npt.NDArray[Any], float] | None:
    """Give the padding around an image the value of the image's own background.

    Background is adjacent to tissue; padding is adjacent to background: another constant, or air.

    Parameters
    ----------
    data : (X, Y, Z) array
    constants : iterable of float
        Values that are frequent on the faces.

    Returns
    -------
    tuple of array and float, or None
        The image, and what was replaced; None if there is no padding.
    """
    for constant in constants:
        padding = connected_to_border(data == constant)
        border = _around(padding)
        low, high = (float(x) for x in np.percentile(data[~padding], [0.5, 99.5]))
        different = _LEAST_DIFFERENCE * (high - low)
        background = dominant(data[border])
        if background is None and np.median(data[border]) - low <= _DARKEST_AIR * (high - low):
            air = float(np.percentile(data[border], 1, method="lower"))
            if abs(air - constant) > different:
                return np.where(padding, data.dtype.type(air), data), constant
        elif background is not None and abs(background - constant) > different:
            inner = data == background
            tissue = ~padding & ~inner
            if not tissue.any():  # of two values, neither surrounds an image
                continue
            if np.count_nonzero(border & tissue) <= np.count_nonzero(_around(inner) & tissue):
                return np.where(padding, data.dtype.type(background), data), constant
            # The other way round: what is adjacent to more of the tissue is the background.
            return np.where(connected_to_border(inner), data.dtype.type(constant), data), background
    return None


def _around(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Find the voxels around a mask that have a face in common with it."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask) & ~mask)
