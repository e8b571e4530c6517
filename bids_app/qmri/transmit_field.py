"""The transmit field (B1+): smoothing of a measured map, estimation where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.qmri.arrays import FloatArray, Mask

# Full width at half maximum in mm to which measured maps are smoothed.
SMOOTHING_MM = 8.0
# Full width at half maximum in mm of the smoothness of an estimated field, that of UNICORT, and
# voxel size at which it is estimated.
_ESTIMATE_FWHM_MM = 60.0
_ESTIMATE_SPACING_MM = 4.0
_PASSES = 20
# By how much (%) R1 of the thalamus was higher with an estimated than with a measured field: six
# adults, three scans each, UNICORT (`benchmarks.r1_truth --tables`).
EXCESS_OF_ESTIMATED = 13
_FWHM_PER_SIGMA = 2.3548


def smoothed(
    field: FloatArray, voxel_size: npt.NDArray[np.float64], fwhm: float = SMOOTHING_MM
) -> FloatArray:
    """Smooth a transmit field without influence of the zeros around it.

    Parameters
    ----------
    field : (X, Y, Z) float32
        0 where it was not measured.
    voxel_size : (3,) float64
        In mm.
    fwhm : float
        In mm.

    Returns
    -------
    (X, Y, Z) float32
        Extended beyond the measured part by the value of the nearest voxel in it.

    Raises
    ------
    ValueError
        If the field is zero everywhere.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    measured = np.isfinite(field) & (field > 0)
    if not measured.any():
        raise ValueError("The transmit field map holds no positive value.")
    sigma = fwhm / _FWHM_PER_SIGMA / voxel_size
    # Normalised convolution: voxels without a measurement have no weight.
    weight = gaussian_filter(measured.astype(np.float32), sigma)
    filtered = gaussian_filter(np.where(measured, field, 0).astype(np.float32), sigma)
    mean = filtered / np.where(measured, weight, np.float32(1.0))
    nearest = distance_transform_edt(
        ~measured, sampling=voxel_size.tolist(), return_distances=False, return_indices=True
    )
    return np.asarray(mean[tuple(np.asarray(nearest))], dtype=np.float32)


def estimate_from_r1(
    r1: FloatArray, voxel_size: npt.NDArray[np.float64], brain: Mask
) -> FloatArray:
    """Estimate the relative transmit field from the R1 map that it has biased.

    Apparent R1, computed with the nominal flip angle, is in the small-angle limit the true one
    divided by the square of the relative field. The slow variation of R1 over the brain is
    attributed to the field: the idea of UNICORT (Weiskopf et al. 2011,
    doi:10.1016/j.neuroimage.2010.10.023). Instead of its unified segmentation, fluid, grey and
    white matter are a mixture of three normal distributions of log R1, fitted alternately with the
    slow variation of the residuals (Wells et al. 1996, doi:10.1109/42.511747). The mean of log R1
    over the brain does not change: the map becomes more uniform, not more accurate on average.

    Parameters
    ----------
    r1 : (X, Y, Z) float32
        Apparent, at the nominal flip angle; NaN is allowed.
    voxel_size : (3,) float64
        In mm.
    brain : (X, Y, Z) bool

    Returns
    -------
    (X, Y, Z) float32
        Relative.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    # A field this smooth needs no more voxels.
    steps = np.maximum(1, np.round(_ESTIMATE_SPACING_MM / voxel_size)).astype(int)
    coarse = tuple(slice(None, None, step) for step in steps)
    values = np.where(np.isfinite(r1) & (r1 > 0), r1, np.nan)[coarse]
    usable = brain[coarse] & np.isfinite(values)
    logarithm = np.log(values[usable])
    sigma = _ESTIMATE_FWHM_MM / _FWHM_PER_SIGMA / (voxel_size * steps)
    bias = np.zeros(usable.shape, dtype=np.float32)
    mixture = _Mixture.guess(logarithm)
    for _ in range(_PASSES):
        residual, certainty = mixture.update(logarithm - bias[usable])
        slow, weight = np.zeros_like(bias), np.zeros_like(bias)
        slow[usable], weight[usable] = certainty * residual, certainty
        bias += gaussian_filter(slow, sigma) / np.maximum(gaussian_filter(weight, sigma), 1e-6)
        # The mean of log R1 is indistinguishable from a constant field.
        bias -= bias[usable].mean()
    whole = affine_transform(
        bias, np.diag(1 / steps), output_shape=r1.shape, order=1, mode="nearest"
    )
    # R1app = R1 / f², hence f = exp(-bias / 2).
    return np.asarray(np.exp(-whole / 2), dtype=np.float32)


@dataclass
class _Mixture:
    """Mixture of three normal distributions: means, standard deviations, shares, each (3,)."""

    means: npt.NDArray[np.float64]
    deviations: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]

    @classmethod
    def guess(cls, values: FloatArray) -> _Mixture:
        """Initialise by percentiles."""
        means = np.percentile(values, (5, 40, 80)).astype(np.float64)
        return cls(means, np.full(3, values.std() / 2), np.full(3, 1 / 3))

    def update(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take a step of expectation maximisation; return residuals and weights before it."""
        distance = (values[:, None] - self.means) / self.deviations
        likelihood = self.shares / self.deviations * np.exp(-(distance**2) / 2)
        posterior = likelihood / np.maximum(likelihood.sum(1, keepdims=True), 1e-30)
        precision = posterior / self.deviations**2
        certainty = np.maximum(precision.sum(1), 1e-6)
        residual = values - (precision @ self.means) / certainty
        count = posterior.sum(0)
        self.means = posterior.T @ values / count
        spread = (posterior * (values[:, None] - self.means) ** 2).sum(0) / count
        # A lower bound keeps a class from collapsing to one value.
        self.deviations = np.sqrt(np.maximum(spread, 1e-4))
        self.shares = count / count.sum()
        return residual.astype(np.float32), certainty.astype(np.float32)
