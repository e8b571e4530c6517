"""Accuracy of maps."""

from __future__ import annotations

import numpy as np

from examples.quantitative import Array


def largest_error(values: Array, truth: Array) -> float:
    """Largest deviation from the truth, relative to it."""
    return float(np.abs(values / truth - 1).max())
