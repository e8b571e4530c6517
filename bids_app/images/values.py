"""Values of an image within a region, whose voxels count by the share that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.images.resampling import FloatArray

# Voxels of which a smaller share belongs to a region hold more of other tissue than of it.
_LEAST_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Values:
    """Weighted statistics of the values in a region; all NaN where there are none.

    Attributes
    ----------
    volume : float
        Volume (mm³) that is described: the shares of the voxels that count.
    mean, median, sd : float
        In units of the image; the SD is that of the population of voxels.
    low, high : float
        5th and 95th percentile.
    """

    volume: float
    mean: float
    median: float
    sd: float
    low: float
    high: float


def values_within(image: FloatArray, share: FloatArray, voxel_volume: float) -> Values:
    """Describe the values of an image in a region.

    Parameters
    ----------
    image : (X, Y, Z) float32
        Voxels that are not finite have no value.
    share : (X, Y, Z) float32
        Share of every voxel that belongs to the region. Voxels count by it, those with less than a
        half not at all.
    voxel_volume : float
        In mm³.

    Returns
    -------
    Values
        Quantiles interpolate linearly between the middles of the voxels' shares, as quantiles of
        equal weights do by the definition of Hazen (1914; number 5 of Hyndman and Fan 1996,
        doi:10.2307/2684934).
    """
    counted = (share >= _LEAST_SHARE) & np.isfinite(image)
    weights = share[counted].astype(np.float64)
    if not len(weights):
        nothing = float("nan")
        return Values(
            volume=0.0, mean=nothing, median=nothing, sd=nothing, low=nothing, high=nothing
        )
    values = image[counted].astype(np.float64)
    total = float(weights.sum())
    mean = float(values @ weights) / total
    low, median, high = _quantiles(values, weights, np.array([0.05, 0.5, 0.95]))
    return Values(
        volume=total * voxel_volume,
        mean=mean,
        median=median,
        sd=float(np.sqrt((values - mean) ** 2 @ weights / total)),
        low=low,
        high=high,
    )


def _quantiles(
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
) -> list[float]:
    """Interpolate quantiles of weighted values."""
    order = np.argsort(values)
    weights = weights[order]
    middle = (np.cumsum(weights) - weights / 2) / weights.sum()
    return [float(quantile) for quantile in np.interp(shares, middle, values[order])]
