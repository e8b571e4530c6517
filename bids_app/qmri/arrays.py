"""Types of maps, and treatment of impossible values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Limits of values in tissue, beyond which they are noise or an artefact, by BIDS suffix: R1 and R2*
# in 1/s, MTsat in percent units. R1 of fat and of inflowing blood is below 5.
LIMITS: dict[str, tuple[float, float]] = {
    "R1map": (0.0, 5.0),
    "R2starmap": (0.0, 1000.0),
    "MTsat": (-5.0, 10.0),
    "PDmap": (0.0, np.inf),
}


def within_limits(quantity: str, values: FloatArray) -> FloatArray:
    """Replace values outside the limits of their quantity by NaN.

    Parameters
    ----------
    quantity : str
        A key of ``LIMITS``.
    values : (X, Y, Z) float32

    Returns
    -------
    (X, Y, Z) float32
    """
    low, high = LIMITS[quantity]
    # NaN, not a limit: clipped noise would look like a measurement.
    possible = np.isfinite(values) & (values > low) & (values < high)
    return np.where(possible, values, np.float32(np.nan))


def finite_or_nan(values: npt.NDArray[np.floating]) -> FloatArray:
    """Convert to float32, with NaN in place of infinities."""
    single = np.asarray(values, dtype=np.float32)
    return np.where(np.isfinite(single), single, np.float32(np.nan))
