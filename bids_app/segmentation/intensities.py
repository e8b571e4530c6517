"""Intensities of images as the segmentation methods take them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bids_app.contrasts import CONTRASTS
from bids_app.errors import BadDataError
from bids_app.images.intensity import scaled_in_mask
from bids_app.images.volume import Volume


def to_segment(contrast: str, image: Volume, brain: npt.NDArray[np.bool_]) -> Volume:
    """Scale the intensities of an image within the brain where its contrast needs it.

    Raises
    ------
    BadDataError
        If there is nothing to scale.
    """
    if not CONTRASTS[contrast].scaled:
        return image
    try:
        return Volume(scaled_in_mask(image.data, brain), image.affine)
    except ValueError as error:
        raise BadDataError(f"{error}.") from error
