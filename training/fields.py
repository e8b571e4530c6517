"""Operations on batches of volumes (N, X, Y, Z) with parameters for each volume."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from training.draws import Draws


def along_axes(volume: torch.Tensor, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Apply one matrix (N, n', n) along each axis of volumes (N, X, Y, Z)."""
    for axis, matrix in enumerate(matrices, start=1):
        moved = volume.movedim(axis, 1)
        rows = torch.bmm(matrix, moved.flatten(2))
        volume = rows.unflatten(2, moved.shape[2:]).movedim(1, axis)
    return volume


def gaussian(size: int, sigma: torch.Tensor) -> torch.Tensor:
    """Smoothing matrices (N, size, size) with standard deviations (N,) in voxels."""
    place = torch.arange(size, device=sigma.device, dtype=torch.float32)
    distance = (place[:, None] - place)[None] / sigma.clamp(min=0.05)[:, None, None]
    weight = torch.exp(-0.5 * distance.square())
    return weight / weight.sum(2, keepdim=True)


def blur(volume: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Smooth volumes (N, X, Y, Z) isotropically with standard deviations (N,) in voxels."""
    return along_axes(volume, [gaussian(size, sigma) for size in volume.shape[1:]])


def smooth_noise(
    draws: Draws,
    count: int,
    channels: int,
    extent: Sequence[float],
    length: float,
    shape: Sequence[int],
) -> torch.Tensor:
    """Draw smooth fields (count, channels, *shape) of unit SD at knots ``length`` mm apart."""
    knots = [max(3, round(float(side) / length) + 1) for side in extent]
    control = draws.normal(1.0, count, channels, *knots)
    return functional.interpolate(control, size=list(shape), mode="trilinear", align_corners=True)


def paired(values: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Give the second of a pair the first one's values (2 P, ...) where ``same`` (P,)."""
    first = values[0::2]
    chosen = same.view(-1, *[1] * (values.dim() - 1))
    return torch.stack([first, torch.where(chosen, first, values[1::2])], 1).flatten(0, 1)


def column(values: torch.Tensor) -> torch.Tensor:
    """Shape parameters (N,) to act on volumes (N, X, Y, Z)."""
    return values[:, None, None, None]
