"""Gibbs ringing of a known object, whose k-space is cut off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import binary_erosion

from bids_app.qmri.unringing import unring

_FINE, _SHAPE = 4, (56, 54, 50)


def _object() -> npt.NDArray[np.float64]:
    """An ellipsoid in an ellipsoid, oblique to the axes, four times finer than acquired."""
    axes = [np.linspace(-1, 1, n * _FINE, endpoint=False) for n in _SHAPE]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    outer = (x / 0.75) ** 2 + (y / 0.7) ** 2 + (z / 0.72 + 0.2 * x) ** 2 < 1
    inner = (x / 0.35 - 0.2) ** 2 + (y / 0.3) ** 2 + (z / 0.33) ** 2 < 1
    return 100.0 * outer - 60.0 * inner


def _acquired(fine: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The middle of k-space, as a scanner takes it."""
    spectrum = np.fft.fftshift(np.fft.fftn(fine))
    middle = tuple(slice((n * _FINE - n) // 2, (n * _FINE - n) // 2 + n) for n in _SHAPE)
    image = np.fft.ifftn(np.fft.ifftshift(spectrum[middle])).real / _FINE**3
    return image.astype(np.float32)


def test_flat_parts_ring_less_than_half_as_much_and_edges_stay() -> None:
    fine = _object()
    acquired = _acquired(fine)
    x, y, z = _SHAPE
    blocks = fine.reshape(x, _FINE, y, _FINE, z, _FINE)
    flat = np.ptp(blocks, axis=(1, 3, 5)) == 0
    means = blocks.mean((1, 3, 5))
    found = unring(acquired)
    inside = binary_erosion(flat, iterations=2)
    ringing = np.sqrt(np.mean((acquired - means)[inside] ** 2))
    remaining = np.sqrt(np.mean((found - means)[inside] ** 2))
    assert remaining < 0.5 * ringing
    # An edge is as steep as before: the largest step within a line hardly shrinks.
    steepness = [np.abs(np.diff(image, axis=0)).max(0) for image in (found, acquired)]
    crossing = means.max(0) == 100
    assert np.median(steepness[0][crossing] / steepness[1][crossing]) > 0.85


def test_what_does_not_ring_stays() -> None:
    x, y, z = np.meshgrid(*(np.arange(n) for n in (40, 36, 32)), indexing="ij")
    wave = 50 + 10 * np.cos(2 * np.pi * x / 40) * np.sin(2 * np.pi * (y / 36 + z / 32))
    assert unring(wave.astype(np.float32)) == pytest.approx(wave, abs=0.15)


def test_axes_are_treated_alike() -> None:
    acquired = _acquired(_object())[12:40, 10:40, 8:40]
    turned = unring(np.ascontiguousarray(acquired.transpose(2, 0, 1)))
    assert turned.transpose(1, 2, 0) == pytest.approx(unring(acquired), abs=1e-2)
