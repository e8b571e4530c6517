"""The residual 3D U-Net behind both networks (after Opfer et al. 2022, section 2.3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with instance normalisation around a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.first_norm = nn.InstanceNorm3d(channels_out, affine=True)
        self.second = nn.Conv3d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.second_norm = nn.InstanceNorm3d(channels_out, affine=True)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = nn.Conv3d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, X, Y, Z) to (N, C_out, X / stride, Y / stride, Z / stride)."""
        y = functional.leaky_relu(self.first_norm(self.first(x)), 0.01)
        y = self.second_norm(self.second(y))
        return functional.leaky_relu(y + self.shortcut(x), 0.01)


class ResidualUNet(nn.Module):
    """Encoder of strided residual blocks, decoder with added (not concatenated) skips.

    Adding the skips halves the cost of the full-resolution decoder, which dominates on a CPU.

    Parameters
    ----------
    contrasts : int
        Input channels.
    classes : int
        Output channels (logits).
    filters : tuple of int
        Channels of each level; the image sides must be divisible by ``2 ** (levels - 1)``.
    """

    def __init__(self, contrasts: int, classes: int, filters: tuple[int, ...]) -> None:
        super().__init__()
        levels = list(pairwise(filters))
        self.encoder = nn.ModuleList([ResidualBlock(contrasts, filters[0])])
        self.encoder.extend(ResidualBlock(fine, coarse, stride=2) for fine, coarse in levels)
        self.reduce = nn.ModuleList(nn.Conv3d(c, f, 1, bias=False) for f, c in levels)
        self.decoder = nn.ModuleList(ResidualBlock(f, f) for f, _ in levels)
        self.head = nn.Conv3d(filters[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, contrasts, X, Y, Z) to logits (N, classes, X, Y, Z)."""
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        skips.pop()
        for reduce, block in zip(reversed(self.reduce), reversed(self.decoder), strict=True):
            x = block(_doubled(reduce(x)) + skips.pop())
        logits: torch.Tensor = self.head(x)
        return logits


def _doubled(x: torch.Tensor) -> torch.Tensor:
    """Repeat every voxel along each axis: (N, C, X, Y, Z) to (N, C, 2X, 2Y, 2Z).

    It is upsampling by nearest neighbours. ONNX Runtime resizes volumes voxel by voxel, by one
    processor, and takes ten times as long as for these copies.
    """
    for axis in (4, 3, 2):
        rows = x.flatten(axis + 1) if axis < 4 else x[..., None]
        sides = (*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
        x = torch.cat([rows, rows], -1).reshape(sides)
    return x
