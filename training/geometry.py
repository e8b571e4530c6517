"""Random shapes: where the voxels of synthetic images come from in their anatomies.

Images come in pairs. Both of a pair show one head from one position; in some pairs its thalami and
ventricles differ in size by a little, as between two visits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from training.anatomies import PULLS, Placement
from training.draws import Draws
from training.fields import smooth_noise
from training.views import FieldOfView

# Share of heads that are drawn old or ill: wide ventricles and sulci. Their thalami vary in size
# as much as others do, and little of that follows from the ventricles: a network that infers one
# from the other finds too little where ventricles are wide.
_OLD = 0.4
# Share of pairs between which something has grown or shrunk.
_CHANGED = 0.6
# Displacement towards ventricles and sulci and away from the thalami is taken in so many steps, so
# that it ends in the structure instead of on its far side.
_STEPS = 3
# SD of the logarithm of how much more one place gives than another.
_UNEVEN = 0.35


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Shape of every image of a batch.

    Attributes
    ----------
    heads : (N,) int64
        Anatomy of each image.
    matrix, centre : (N, 3, 3), (N, 3) float32
        Affine map from mm around the middle of the image to mm of the anatomy.
    displacement : (N, 3, X / 2, Y / 2, Z / 2) float32
        What is added to it, in mm.
    mirrored : (N,) bool
    old : (N,) bool
    """

    heads: torch.Tensor
    matrix: torch.Tensor
    centre: torch.Tensor
    displacement: torch.Tensor
    mirrored: torch.Tensor
    old: torch.Tensor

    def positions(self, view: FieldOfView, finer: int) -> torch.Tensor:
        """Positions (N, 3, ...) in mm of the anatomy on a grid ``finer`` times finer."""
        shape = [finer * side for side in view.shape]
        place = _placed(shape, view.spacing / finer, self.matrix, self.centre)
        return place + functional.interpolate(self.displacement, size=shape, mode="trilinear")


def draw_geometry(
    placement: Placement, heads: torch.Tensor, view: FieldOfView, draws: Draws, bending: float
) -> Geometry:
    """Draw the shapes of pairs of images.

    Parameters
    ----------
    placement : Placement
    heads : (P,) int64
        Anatomy of each pair.
    view : FieldOfView
    draws : Draws
    bending : float
        Largest SD in mm of displacements on the scale of a nucleus.

    Returns
    -------
    Geometry
        Of 2 P images; those of a pair follow one another.
    """
    count = len(heads)
    mirrored = draws.chance(0.5, count)
    matrix = _affine(count, mirrored, draws)
    centre = placement.centre[heads] + draws.normal(view.jitter, count, 3)
    coarse = [side // 2 for side in view.shape]
    bend = torch.zeros(count, 3, *coarse, device=draws.device)
    for length, sd in ((14.0, bending), (40.0, 4.0)):
        amount = draws.uniform(0.0, sd, count, 1, 1, 1, 1)
        bend += amount * smooth_noise(draws, count, 3, view.extent, length, coarse)
    old = draws.chance(_OLD, count)
    amounts = _amounts(old, draws)
    uneven = smooth_noise(draws, count, PULLS, view.extent, 30.0, coarse).mul(_UNEVEN).exp()
    twice = [
        item.repeat_interleave(2, 0)
        for item in (heads, matrix, centre, bend, uneven, mirrored, old)
    ]
    heads, matrix, centre, bend, uneven, mirrored, old = twice
    start = _placed(coarse, 2 * view.spacing, matrix, centre)
    position = start + bend
    step = (amounts[:, :, None, None, None] * uneven / _STEPS)[:, :, None]
    for _ in range(_STEPS):
        position = position + (step * placement.pull_at(heads, position)).sum(1)
    return Geometry(
        heads=heads,
        matrix=matrix,
        centre=centre,
        displacement=position - start,
        mirrored=mirrored,
        old=old,
    )


def _affine(count: int, mirrored: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Rotations, scalings and shears (N, 3, 3), with a reflection where wanted."""
    angles = draws.normal(math.radians(7.0), count, 3).clamp(-0.35, 0.35)
    scale = (draws.normal(0.07, count, 1) + draws.normal(0.04, count, 3)).exp()
    matrix = rotations(angles) @ torch.diag_embed(1 / scale)
    matrix = matrix + draws.normal(0.02, count, 3, 3)
    sign = torch.where(mirrored, -1.0, 1.0)
    handed = torch.stack([sign, torch.ones_like(sign), torch.ones_like(sign)], 1)
    return handed[:, :, None] * matrix


def rotations(angles: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) of rotations about x, then y, then z by angles (N, 3) in radians."""
    x, y, z = angles.unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    turns = [
        [one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos()],
        [y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos()],
        [z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one],
    ]
    about_x, about_y, about_z = (torch.stack(turn, 1).unflatten(1, (3, 3)) for turn in turns)
    return about_z @ about_y @ about_x


def _amounts(old: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Displacements in mm (2 P, PULLS) of the surfaces of ventricles, thalami and sulci."""
    count = len(old)
    wide = draws.chance(0.5, count)
    young = torch.stack(
        [
            draws.uniform(0.0, 3.0, count) * wide,
            -draws.uniform(-1.2, 1.2, count),
            draws.uniform(-0.5, 0.5, count),
        ],
        1,
    )
    aged = torch.stack(
        [
            draws.uniform(1.0, 8.0, count),
            -draws.uniform(-0.8, 1.5, count),
            draws.uniform(0.0, 2.0, count),
        ],
        1,
    )
    amounts = torch.where(old[:, None], aged, young).repeat_interleave(2, 0)
    changed = draws.chance(_CHANGED, count, 1)
    change = torch.stack(
        [
            draws.uniform(-0.6, 0.6, count),
            draws.uniform(-0.6, 0.6, count),
            draws.uniform(-0.2, 0.2, count),
        ],
        1,
    )
    amounts[1::2] += changed * change
    return amounts


def _placed(
    shape: list[int], spacing: float, matrix: torch.Tensor, centre: torch.Tensor
) -> torch.Tensor:
    """Positions (N, 3, X, Y, Z) in mm of a grid's voxels after affine maps about its middle."""
    offset = grid(shape, spacing, centre.device)
    return (matrix @ offset + centre[:, :, None]).unflatten(2, shape)


def grid(shape: list[int], spacing: float, device: torch.device) -> torch.Tensor:
    """Positions (3, X * Y * Z) in mm of the voxels of an image relative to its middle."""
    axes = [
        torch.arange(side, dtype=torch.float32, device=device).sub((side - 1) / 2).mul(spacing)
        for side in shape
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
