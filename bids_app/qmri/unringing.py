"""Removal of Gibbs ringing from volumes that were acquired in 3D."""

from __future__ import annotations

import numpy as np

from bids_app.qmri.arrays import FloatArray

# Subvoxel shifts that are tried, and distances (voxels) of the neighbours that are compared.
_SHIFTS = np.arange(-9, 11) / 20
_NEAREST, _FARTHEST = 1, 3


def unring(volume: FloatArray) -> FloatArray:
    """Remove Gibbs ringing by local subvoxel shifts along all three axes.

    Samples at the zeros of the ringing of an edge do not show it. For each voxel, the shift along
    an axis with the least variation on one side of the voxel is selected (Kellner et al. 2016,
    doi:10.1002/mrm.26054). The results for the three axes are combined in k-space, each weighted by
    the high frequencies along its axis (Bautista et al. 2021, Proc ISMRM 29:3535).

    Parameters
    ----------
    volume : (X, Y, Z) float32
        Magnitudes as reconstructed from k-space; interpolated or filtered images ring elsewhere.

    Returns
    -------
    (X, Y, Z) float32
    """
    from scipy.fft import fftn, ifftn

    # 1 + cos vanishes at the highest frequency of an axis.
    low_pass = np.meshgrid(
        *(1 + np.cos(2 * np.pi * np.fft.fftfreq(n)) for n in volume.shape), indexing="ij"
    )
    weights = [
        np.float32(1e-12) + low_pass[(axis + 1) % 3] * low_pass[(axis + 2) % 3] for axis in range(3)
    ]
    total = sum(weights)
    joined = np.zeros(volume.shape, dtype=np.complex64)
    for axis, weight in enumerate(weights):
        joined += fftn(_unring_along(volume, axis)) * (weight / total)
    return np.asarray(ifftn(joined).real, dtype=np.float32)


def _unring_along(volume: FloatArray, axis: int) -> FloatArray:
    """Shift each voxel along one axis to the least variation around it, and interpolate back."""
    from scipy.fft import irfft, rfft

    lines = np.moveaxis(volume, axis, -1)
    n = lines.shape[-1]
    spectrum = rfft(lines)
    frequency = np.fft.rfftfreq(n)
    least = np.full(lines.shape, np.inf, dtype=np.float32)
    unrung = np.empty_like(least)
    for shift in _SHIFTS:
        phase = np.exp(2j * np.pi * frequency * shift).astype(np.complex64)
        shifted = irfft(spectrum * phase, n)
        # Between each sample and the one before it.
        step = np.abs(shifted - np.roll(shifted, 1, -1))
        # Variation on both sides of the voxel; the smoother side decides.
        near = range(_NEAREST, _FARTHEST + 1)
        before = sum(np.roll(step, distance, -1) for distance in near)
        after = sum(np.roll(step, -distance - 1, -1) for distance in near)
        variation = np.minimum(before, after)
        neighbour = np.roll(shifted, 1 if shift > 0 else -1, -1)
        better = variation < least
        np.copyto(least, variation, where=better)
        # Linear interpolation back to the voxel's centre.
        back = shifted + np.float32(abs(shift)) * (neighbour - shifted)
        np.copyto(unrung, back, where=better)
    return np.moveaxis(unrung, -1, axis)
