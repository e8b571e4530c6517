"""Masks of one structure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def largest_piece(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep the largest face-connected component of a mask (X, Y, Z)."""
    from scipy.ndimage import label

    pieces, count = label(mask)
    if count <= 1:
        return mask
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
