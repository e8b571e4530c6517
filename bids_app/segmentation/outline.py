"""From probabilities to labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bids_app.segmentation.sides import LEFT, RIGHT


def labels_of(probseg: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Label the thalami where their probabilities reach one half together.

    Parameters
    ----------
    probseg : (X, Y, Z, 2) float32
        Probability of the left and the right thalamus.

    Returns
    -------
    (X, Y, Z) uint8
        Of each side the more probable one, in one piece.
    """
    left, right = probseg[..., 0], probseg[..., 1]
    inside = left + right >= 0.5
    labels = np.zeros(inside.shape, dtype=np.uint8)
    labels[largest_piece(inside & (left >= right))] = LEFT
    labels[largest_piece(inside & (left < right))] = RIGHT
    return labels


def largest_piece(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest face-connected component of a mask."""
    from scipy.ndimage import label

    pieces, count = label(mask)
    if count <= 1:
        return mask
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
