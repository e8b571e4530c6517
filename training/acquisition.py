"""Acquisition of synthetic images: bias field, resolution, thick slices, noise, normalisation."""

from __future__ import annotations

import torch

from training.draws import Draws
from training.fields import along_axes, column, smooth_noise
from training.views import FieldOfView

# Share of images with thick slices, else of larger voxels, in the order of CONTRASTS. FLAIR and
# T2w often have thick slices, R1 maps larger voxels.
_THICK = (0.22, 0.35, 0.35, 0.15)
_COARSE = (0.25, 0.2, 0.2, 0.5)
# Distance of thick slices and side of larger voxels in mm.
_SLICE_MM, _VOXEL_MM = (2.0, 6.0), (1.1, 1.8)
# Standard deviation of the slice profile in units of the distance of slices: with gaps and without.
_PROFILE = (0.2, 0.4)
# Largest SD of the logarithm of the bias field at knots of so many mm.
_BIAS = ((50.0, 0.3), (30.0, 0.12))
# Largest noise relative to the brightest voxel; most images have much less than that.
_NOISE = 0.06
# Largest further blur (SD in voxels).
_BLUR = 0.6
# Clipped shares at both ends of the intensities, as in bids_app.segmentation.thalnet.
_CLIPPED = 0.005
_SAMPLED = 5


def acquire(
    images: torch.Tensor,
    contrasts: torch.Tensor,
    shifts: torch.Tensor,
    view: FieldOfView,
    draws: Draws,
    *,
    strength: float = 1.0,
) -> torch.Tensor:
    """Simulate the acquisition of noise-free tissue.

    Parameters
    ----------
    images : (N, X, Y, Z) float32
    contrasts : (N,) int64
        Indices into ``CONTRASTS``.
    shifts : (N, 3) float32
        Misalignment with the truth, in voxels.
    view : FieldOfView
    draws : Draws
    strength : float
        Factor of the noise; real scans contain some already.

    Returns
    -------
    (N, X, Y, Z) float32
        Not normalised.
    """
    count, shape = len(images), images.shape[1:]
    bias = torch.zeros_like(images)
    for length, sd in _BIAS:
        amount = column(draws.uniform(0.0, sd, count))
        bias += amount * smooth_noise(draws, count, 1, view.extent, length, shape)[:, 0]
    images = images * bias.exp()
    zooms = _zooms(contrasts, view, draws)
    profile = draws.uniform(*_PROFILE, count, 3)
    sigma = torch.hypot(
        draws.uniform(0.0, _BLUR, count, 3), torch.where(zooms > 1, profile * zooms, 0.0)
    )
    phase = torch.where(zooms > 1, draws.uniform(-0.5, 0.5, count, 3), 0.0)
    down, up = [], []
    for axis, size in enumerate(shape):
        pair = _sampled(size, zooms[:, axis], sigma[:, axis], phase[:, axis], shifts[:, axis])
        down.append(pair[0])
        up.append(pair[1])
    images = along_axes(images, down)
    # Squared, a uniform draw is small more often than large.
    share = draws.uniform(0.0, 1.0, count).square() * _NOISE * strength
    scale = column(share * images.flatten(1).amax(1))
    stripped = images <= 0
    images = torch.hypot(
        images + scale * draws.normal(1.0, *images.shape), scale * draws.normal(1.0, *images.shape)
    )
    if view.whole_head:
        images = images.masked_fill(stripped, 0.0)
    return along_axes(images, up)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Clip to the 0.5th and 99.5th percentile and scale to zero mean and unit variance.

    Parameters
    ----------
    images : (N, X, Y, Z) float32

    Returns
    -------
    (N, X, Y, Z) float32
    """
    flat = images.flatten(1)
    # A part of the voxels gives the percentiles as well.
    ordered = flat[:, ::_SAMPLED].sort(1).values
    last = ordered.shape[1] - 1
    low, high = (ordered[:, [round(share * last)]] for share in (_CLIPPED, 1 - _CLIPPED))
    flat = flat.maximum(low).minimum(high)
    flat = (flat - flat.mean(1, keepdim=True)) / (flat.std(1, keepdim=True) + 1e-6)
    return flat.view_as(images)


def _zooms(contrasts: torch.Tensor, view: FieldOfView, draws: Draws) -> torch.Tensor:
    """Acquired distance of voxels (N, 3) in units of the network's, at least 1."""
    count = len(contrasts)
    choice = draws.uniform(0.0, 1.0, count)
    thick = torch.tensor(_THICK, device=draws.device)[contrasts]
    coarse = thick + torch.tensor(_COARSE, device=draws.device)[contrasts]
    axes = torch.arange(3, device=draws.device)
    across = (3 * draws.uniform(0.0, 1.0, count)).long().clamp(max=2)[:, None] == axes
    slices = torch.where(
        across, draws.uniform(*_SLICE_MM, count, 1), draws.uniform(0.5, 1.2, count, 1)
    )
    voxels = draws.uniform(*_VOXEL_MM, count, 1).expand(count, 3)
    none = torch.zeros_like(voxels)
    sides = torch.where(
        (choice < thick)[:, None], slices, torch.where((choice < coarse)[:, None], voxels, none)
    )
    return (sides / view.spacing).clamp(min=1.0)


def _sampled(
    size: int, zoom: torch.Tensor, sigma: torch.Tensor, phase: torch.Tensor, shift: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices (N, size, size) that sample with a point spread, and interpolate back."""
    place = torch.arange(size, device=zoom.device, dtype=torch.float32)
    middle = (size - 1) / 2
    # Samples lie around the middle, so that those needed come first: from -reach to +reach.
    number = ((size - 1) / zoom).ceil() + 1
    sample = (place[None] - ((number - 1) / 2)[:, None] + phase[:, None]) * zoom[:, None] + middle
    distance = sample[:, :, None] - shift[:, None, None] - place
    weight = torch.exp(-0.5 * (distance / sigma.clamp(min=0.3)[:, None, None]).square())
    # Beyond the edge the nearest voxel goes on.
    nearest = (distance - distance.gather(2, distance.abs().argmin(2, keepdim=True))) == 0
    beyond = distance.abs().amin(2, keepdim=True) > 1
    weight = torch.where(beyond, nearest.float(), weight)
    linear = (1 - distance.abs()).clamp(min=0.0)
    sharp = (sigma < 0.3)[:, None, None] & ~beyond
    weight = torch.where(sharp, linear, weight)
    down = weight / weight.sum(2, keepdim=True).clamp(min=1e-6)
    gap = (place[None, :, None] - sample[:, None, :]) / zoom[:, None, None]
    up = (1 - gap.abs()).clamp(min=0.0)
    needed = (torch.arange(size, device=zoom.device)[None] < number[:, None])[:, None]
    up = torch.where(needed, up, 0.0)
    # Before the first and after the last sample the nearest one goes on.
    total = up.sum(2, keepdim=True)
    closest = torch.nn.functional.one_hot(
        torch.where(needed, gap.abs(), torch.inf).argmin(2), size
    ).float()
    up = torch.where(total > 1e-3, up / total.clamp(min=1e-3), closest)
    return down, up
