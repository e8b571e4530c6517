"""From probabilities to labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import bounding_box
from bids_app.images.masks import largest_piece
from bids_app.segmentation.sides import LEFT, RIGHT


def labels_of(probseg: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Label the thalami from their probabilities, each in one piece.

    A voxel is thalamus where the probabilities of both sides sum to 0.5 or more, and it is given to
    the more probable side (the left one if they are equal). Of each side only the largest
    face-connected component is kept: a thalamus has no islands.

    Parameters
    ----------
    probseg : (X, Y, Z, 2) float32
        Probability of the left and the right thalamus.

    Returns
    -------
    (X, Y, Z) uint8
        0 background, 1 left, 2 right.
    """
    left, right = probseg[..., 0], probseg[..., 1]
    inside = left + right >= 0.5
    labels = np.zeros(inside.shape, dtype=np.uint8)
    labels[largest_piece(inside & (left >= right))] = LEFT
    labels[largest_piece(inside & (left < right))] = RIGHT
    return labels


def filled(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Fill the cavities of a mask (X, Y, Z) that faces of voxels do not connect to the edge."""
    from scipy.ndimage import label

    # Cavities lie within the box that holds the mask.
    box = bounding_box(mask)
    pieces, _ = label(np.pad(~mask[box], 1, constant_values=True))
    whole = np.zeros_like(mask)
    np.not_equal(pieces[1:-1, 1:-1, 1:-1], pieces[0, 0, 0], out=whole[box])
    return whole


def touches_edge(mask: npt.NDArray[np.bool_]) -> bool:
    """Check whether a mask (X, Y, Z) has a voxel in the first or last slice along any axis."""
    faces = (np.moveaxis(mask, axis, 0)[[0, -1]] for axis in range(3))
    return any(bool(face.any()) for face in faces)
