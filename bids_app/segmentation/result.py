"""What every segmentation method returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEFT, RIGHT = 1, 2


@dataclass(frozen=True)
class Segmentation:
    """Thalami of one image, on its own grid.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        0 background, 1 left thalamus, 2 right thalamus.
    probseg : (X, Y, Z, 2) float32
        Probability of the left and the right thalamus.
    brain_mask : (X, Y, Z) uint8
        1 inside the brain (parenchyma, ventricles and sulci).
    soft_volumes : (2,) float64
        Left and right volume in mm³ from summed probabilities, free of voxel quantisation.
    brain_volume : float
        Parenchyma and ventricles in mm³.
    icv : float
        Intracranial volume in mm³.
    confidence : float
        Overlap (Dice) with the truth that the method expects of itself; NaN if it expects nothing.
    volume_error : float
        Standard error of the sum of ``soft_volumes`` in mm³; NaN if unknown.
    cut_off : bool
        Whether the thalami reach the edge of what the method looked at.
    """

    dseg: npt.NDArray[np.uint8]
    probseg: npt.NDArray[np.float32]
    brain_mask: npt.NDArray[np.uint8]
    soft_volumes: npt.NDArray[np.float64]
    brain_volume: float
    icv: float
    confidence: float = float("nan")
    volume_error: float = float("nan")
    cut_off: bool = False
