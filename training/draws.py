"""Random numbers of one training step, on the host and on the device that draws the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


class Draws:
    """Source of every random choice of one step; the same seed gives the same numbers.

    Parameters
    ----------
    seed : sequence of int
        Such as the seed of the training and the number of the step.
    device : torch.device or str
        Where tensors are drawn. CPU and GPU draw different numbers from the same seed.

    Attributes
    ----------
    host : numpy Generator
        For choices that decide the number and kind of images.
    device : torch.device
    """

    def __init__(self, seed: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.host = np.random.default_rng(list(seed))
        self.device = torch.device(device)
        self._generator = torch.Generator(self.device)
        self._generator.manual_seed(int(self.host.integers(2**62)))

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Draw from a uniform distribution."""
        share = torch.rand(shape, generator=self._generator, device=self.device)
        return low + (high - low) * share

    def normal(self, sd: float, *shape: int) -> torch.Tensor:
        """Draw from a normal distribution of zero mean."""
        return sd * torch.randn(shape, generator=self._generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> torch.Tensor:
        """Draw truth values."""
        return torch.rand(shape, generator=self._generator, device=self.device) < probability

    def place(self, weight: torch.Tensor) -> torch.Tensor:
        """Draw one index (N,) for each row of weights (N, V)."""
        return torch.multinomial(weight, 1, generator=self._generator)[:, 0]
