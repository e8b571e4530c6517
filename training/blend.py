"""Mean of the weights before and after a training, with the volumes kept on average.

A training that continues from released weights gains in some respects and loses in others; the mean
of both sets of weights often keeps most of either (Wortsman et al. 2022, arXiv:2109.01903). Its
probabilities are softer, which moves volumes by a few tenths of a percent. One constant on the
logits of the thalami makes good for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch

from training.acquisition import normalise
from training.anatomies import Scans
from training.geometry import grid
from training.labels import Scan
from training.network import ResidualUNet
from training.views import REGION

_LEFT, _RIGHT = 1, 2
# Bounds of the constant on the logits, and halvings of the interval.
_BOUND, _HALVINGS = 0.5, 30


def blend(
    start: ResidualUNet, trained: ResidualUNet, share: float, scans: Sequence[Scan] = ()
) -> ResidualUNet:
    """Average the weights of two networks.

    Parameters
    ----------
    start, trained : ResidualUNet
    share : float
        Weight of ``start``.
    scans : sequence of Scan
        T1w scans in which the thalami shall have the volumes on average that ``start`` finds; for
        networks of the region.
    """
    network = deepcopy(trained)
    before = start.state_dict()
    network.load_state_dict(
        {name: now.lerp(before[name], share) for name, now in trained.state_dict().items()}
    )
    if scans:
        shift = _shift(network.eval(), start.eval(), Scans(scans, "cpu"))
        with torch.no_grad():
            bias = network.head.bias
            assert bias is not None
            bias[[_LEFT, _RIGHT]] += shift
    return network


def _shift(network: ResidualUNet, reference: ResidualUNet, scans: Scans) -> float:
    """Constant on the logits of the thalami that makes the summed volumes of scans equal."""
    with torch.no_grad():
        pairs = [
            tuple(_thalami(each, scans, head) for each in (network, reference))
            for head in range(len(scans))
        ]
    target = float(sum(other.sum() for _, other in pairs))
    low, high = -_BOUND, _BOUND
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        factor = float(torch.tensor(middle).exp())
        volume = float(sum((p * factor / (1 + p * (factor - 1))).sum() for p, _ in pairs))
        low, high = (middle, high) if volume < target else (low, middle)
    return (low + high) / 2


def _thalami(network: ResidualUNet, scans: Scans, head: int) -> torch.Tensor:
    """Probability (X, Y, Z) of either thalamus in one scan."""
    index = torch.tensor([head])
    place = grid(list(REGION.shape), REGION.spacing, index.device)
    place = place.unflatten(1, REGION.shape) + scans.placement.centre[head][:, None, None, None]
    image = scans.at(index, place[None])[:, 0]
    images = torch.zeros(1, len(REGION.channels), *REGION.shape)
    images[0, :1] = normalise(image)
    return network(images).softmax(1)[0, [_LEFT, _RIGHT]].sum(0)
