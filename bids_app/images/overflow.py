"""Integers beyond the range of their type, as unsigned ones that were stored as signed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_MOST_BYTES = 2
# Where values wrap around, steps between neighbours are as large as the range of the type; read as
# unsigned, they have at most this share of it. In images with both signs they grow instead.
_LARGEST_SHARE = 0.5


def as_unsigned(data: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Read signed integers as unsigned ones if the image only then is continuous.

    Parameters
    ----------
    data : (X, Y, Z) array

    Returns
    -------
    (X, Y, Z) array or None
        None if the values are as they were meant.

    Examples
    --------
    >>> bright = np.array([32000, 32900, 33500, 32100], np.uint16).reshape(4, 1, 1)
    >>> as_unsigned(bright.view(np.int16)).ravel().tolist()
    [32000, 32900, 33500, 32100]
    >>> as_unsigned(np.array([-30000, -1, 1, 30000], np.int16).reshape(4, 1, 1)) is None
    True
    """
    if data.dtype.kind != "i" or data.dtype.itemsize > _MOST_BYTES:
        return None
    limits = np.iinfo(data.dtype)
    # Values that wrap around lie at both ends of the range.
    if data.min() > limits.min // 2 or data.max() < limits.max // 2:
        return None
    unsigned = data.view(data.dtype.str.replace("i", "u"))
    return (
        unsigned if _steps(unsigned, data < 0) < _LARGEST_SHARE * _steps(data, data < 0) else None
    )


def _steps(data: npt.NDArray[Any], below_zero: npt.NDArray[np.bool_]) -> int:
    """Sum the differences between neighbours of which one is stored as a negative value."""
    total = 0
    for axis in range(data.ndim):
        values, negative = np.moveaxis(data, axis, 0), np.moveaxis(below_zero, axis, 0)
        crossing = negative[1:] != negative[:-1]
        steps = values[1:][crossing].astype(np.int64) - values[:-1][crossing]
        total += int(np.abs(steps).sum())
    return total
