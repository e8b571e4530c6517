"""Results of a segmentation method."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import Points
from bids_app.segmentation.borders import BorderWidth


@dataclass(frozen=True, kw_only=True)
class Thalami:
    """Labels of one image, and the volumes that the method itself reports.

    Attributes
    ----------
    dseg : (X, Y, Z) uint8
        0 background, 1 left thalamus, 2 right thalamus.
    soft_volumes : (2,) float64
        Left and right volume in mm³ free of voxel quantisation, from summed probabilities or as
        FreeSurfer corrects them for partial volumes; NaN if unknown, as are the next two.
    brain_volume : float
        Parenchyma and ventricles in mm³.
    icv : float
        Intracranial volume in mm³.
    deep_grey_volume : float
        Thalami, caudate, putamen, pallidum and accumbens in mm³.
    ventricle_volume : float
        Ventricles with the choroid plexus in mm³.
    confidence : float
        Expected Dice (self-estimated by the method); NaN if the method has no such estimate.
    volume_error : float
        Standard error of the sum of ``soft_volumes`` in mm³; NaN if unknown.
    cut_off : bool
        Whether the thalami reach the edge of the method's field of view.
    truncated : bool
        Whether the image ends within the brain; the volumes of all structures but the thalami
        are NaN then.
    borders : tuple of BorderWidth
        How sharp each border is; empty if the method has no such estimate.
    """

    dseg: npt.NDArray[np.uint8]
    soft_volumes: npt.NDArray[np.float64] = field(default_factory=lambda: np.full(2, np.nan))
    brain_volume: float = float("nan")
    icv: float = float("nan")
    deep_grey_volume: float = float("nan")
    ventricle_volume: float = float("nan")
    confidence: float = float("nan")
    volume_error: float = float("nan")
    cut_off: bool = False
    truncated: bool = False
    borders: tuple[BorderWidth, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a network finds in a whole image, before the thalami are segmented.

    Attributes
    ----------
    brain_mask : (X, Y, Z) uint8
        1 inside the brain (parenchyma, ventricles and sulci).
    thalami : (3,) float64
        World coordinates (mm) of their middle.
    explained : float
        Share of the variance of the intensities between the tissues.
    brain_volume, icv, deep_grey_volume, ventricle_volume : float
        Volumes in mm³ as in `Thalami`; NaN if the image ends within the brain.
    truncated : bool
        Whether it does.
    """

    brain_mask: npt.NDArray[np.uint8]
    thalami: Points
    explained: float
    brain_volume: float
    icv: float
    deep_grey_volume: float
    ventricle_volume: float
    truncated: bool


@dataclass(frozen=True, kw_only=True)
class ProbableThalami(Thalami):
    """Labels and probabilities of one image, on its grid.

    Attributes
    ----------
    probseg : (X, Y, Z, 2) float32
        Probability of the left and the right thalamus.
    """

    probseg: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Segmentation(ProbableThalami):
    """Labels, probabilities and brain mask of one image, on its grid.

    Attributes
    ----------
    brain_mask : (X, Y, Z) uint8
        1 inside the brain (parenchyma, ventricles and sulci).
    head : Head or None
        What was found in the whole image first; None if the method has no such step.
    """

    brain_mask: npt.NDArray[np.uint8]
    head: Head | None = None


def labels_alone(segmentation: Thalami) -> Thalami:
    """Omit probabilities and brain mask: those of many images would fill the memory."""
    return Thalami(**{each.name: getattr(segmentation, each.name) for each in fields(Thalami)})
