"""Masks of one structure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import bounding_box


def largest_piece(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep the largest face-connected component of a mask (X, Y, Z)."""
    from scipy.ndimage import label

    # Less is searched within the box that holds the mask.
    box = bounding_box(mask)
    pieces, count = label(mask[box])
    if count <= 1:
        return mask
    largest = np.zeros_like(mask)
    np.equal(pieces, np.bincount(pieces.ravel())[1:].argmax() + 1, out=largest[box])
    return largest


def connected_to_border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep what is connected by faces with the border of a mask (X, Y, Z)."""
    from scipy.ndimage import label

    # A frame around the mask connects what lies on its faces.
    pieces, _ = label(np.pad(mask, 1, constant_values=True))
    return np.asarray(pieces[1:-1, 1:-1, 1:-1] == pieces[0, 0, 0])
