"""Losses: shares of voxels, volumes, and differences of volume between two images of a head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

Measured = Sequence[tuple[Sequence[int], float]]

_SCORED = slice(1, 5)  # thalami, deep grey matter, ventricles
_THALAMI = slice(1, 3)
# Voxels within reach of a thalamus count more: the others are context.
_NEAR, _NEAR_WEIGHT = 9, 4.0
# Structures of fewer voxels are cut off, or none: their volume teaches nothing.
_FEWEST_VOXELS = 100
_VOLUME_WEIGHT, _PAIR_WEIGHT = 2.0, 8.0
# Beyond this relative error a difference counts in proportion instead of squared.
_LINEAR_FROM = 0.1


def loss_of(
    logits: torch.Tensor,
    truth: torch.Tensor,
    dice_weight: float,
    measured: Measured,
    *,
    pairs: bool = False,
) -> torch.Tensor:
    """Cross-entropy with partial-volume targets plus errors of volume and a soft Dice loss.

    Cross-entropy is a proper score: its optimum is the true share of each class in a voxel, so
    that summed probabilities are volumes. The squared relative error of each volume adds the same
    for all voxels together: errors that are small in each voxel, and the same in all, weigh little
    otherwise. The difference of volume between the two images of a pair
    is given, often nil, whatever the contrast, noise and resolution of either. Dice speeds the
    start up and is faded out.

    Parameters
    ----------
    logits : (N, C, X, Y, Z) float32
    truth : (N, C, X, Y, Z) float32
        Shares of the classes; voxels in which all are 0 do not count.
    dice_weight : float
        0 at the end of training.
    measured : sequence of (sequence of int, float)
        Classes that make up each volume, and the weight of its relative error.
    pairs : bool
        Whether every two samples that follow one another are a pair.
    """
    log_probability = functional.log_softmax(logits, dim=1)
    labelled = truth.sum(1)
    weight = labelled * _nearness(truth)
    entropy = -(weight * (truth * log_probability).sum(1)).sum() / weight.sum()
    probability = log_probability.exp() * (labelled[:, None] > 0)
    true_volume = _volumes(truth, measured)
    volume = _volumes(probability, measured)
    counted = true_volume >= _FEWEST_VOXELS
    error = volume / true_volume.clamp(min=_FEWEST_VOXELS) - 1
    scale = torch.tensor([weight for _, weight in measured], device=truth.device)
    loss = entropy + _VOLUME_WEIGHT * ((scale * error).square() * counted).mean()
    if pairs:
        ratio = (error + 1).clamp(min=0.05).log()
        difference = scale * (ratio[0::2] - ratio[1::2])
        cost = functional.huber_loss(
            difference, torch.zeros_like(difference), reduction="none", delta=_LINEAR_FROM
        )
        loss = loss + _PAIR_WEIGHT * (cost * (counted[0::2] & counted[1::2])).mean()
    if dice_weight == 0:
        return loss
    return loss + dice_weight * (1 - _soft_dice(probability[:, _SCORED], truth[:, _SCORED]))


def _volumes(shares: torch.Tensor, measured: Measured) -> torch.Tensor:
    """Volume (N, M) in voxels of each measured structure."""
    sums = shares.sum((2, 3, 4))
    return torch.stack([sums[:, list(classes)].sum(1) for classes, _ in measured], 1)


def _nearness(truth: torch.Tensor) -> torch.Tensor:
    """Weight (N, X, Y, Z) of each voxel: more within reach of a thalamus.

    Both sides of the border weigh the same, so that the optimum stays the true share.
    """
    near = truth[:, _THALAMI].sum(1, keepdim=True)
    for axis in range(3):
        size = [1, 1, 1]
        size[axis] = _NEAR
        near = functional.max_pool3d(near, size, 1, [side // 2 for side in size])
    return 1 + (_NEAR_WEIGHT - 1) * (near[:, 0] > 0).float()


def _soft_dice(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean overlap of classes, over the whole batch."""
    axes = (0, 2, 3, 4)
    overlap = 2 * (probability * target).sum(axes)
    size = probability.sum(axes) + target.sum(axes)
    return (overlap / (size + 1.0)).mean()
