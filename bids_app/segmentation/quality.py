"""Why someone should look at a segmentation before using its volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.segmentation.result import Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

# Above this the shape between slices is mostly interpolated: two visits of a patient with 3 mm
# slices differed by up to 3 % (model card of thalnet).
THICK_SLICE_MM = 2.0
# Just below what thalnet expects of 40 real scans (T1w, FLAIR and T2w of 1 to 3 mm: 0.890 and
# more) and of simulated heads (`benchmarks.uncertainty`: 0.902). Below 0.85 it refuses images.
LOW_CONFIDENCE = 0.89
# Left minus right in percent of their mean: 1.3 ± three times 4.2, mean and standard deviation of
# manual labels of 97 healthy adults (Rushmore et al. 2022; `benchmarks.asymmetry`).
ASYMMETRY_RANGE = (-11.0, 14.0)


@dataclass(frozen=True)
class Quality:
    """What the check of one segmentation found.

    Attributes
    ----------
    confidence : float
        Overlap (Dice) with the truth that the method expects of itself; NaN if it expects nothing.
    reasons : tuple of str
        Why someone should look at it.
    """

    confidence: float
    reasons: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``check`` if there is a reason, else ``ok``."""
        return "check" if self.reasons else "ok"


def assess(segmentation: Thalami, slice_thickness: float) -> Quality:
    """Check one segmentation.

    Parameters
    ----------
    segmentation : Thalami
    slice_thickness : float
        Largest voxel side (mm) of the images it was made from, as they were acquired.

    Returns
    -------
    Quality
    """
    reasons = []
    if slice_thickness > THICK_SLICE_MM:
        reasons.append(f"slices of {slice_thickness:.1f} mm")
    if segmentation.confidence < LOW_CONFIDENCE:
        reasons.append(
            f"confidence {segmentation.confidence:.2f}, expected {LOW_CONFIDENCE:.2f} or more"
        )
    counts = np.bincount(segmentation.dseg.ravel(), minlength=3)
    left, right = int(counts[LEFT]), int(counts[RIGHT])
    asymmetry = 200 * (left - right) / max(left + right, 1)
    low, high = ASYMMETRY_RANGE
    if not low <= asymmetry <= high:
        larger = "left" if left > right else "right"
        reasons.append(f"the {larger} thalamus is {abs(asymmetry):.0f} % larger")
    if segmentation.cut_off or touches_edge(segmentation.dseg != 0):
        reasons.append("a thalamus reaches the edge of the image or of the region searched")
    # As it stands in the tables, so that a page drawn from these is the same.
    return Quality(round(segmentation.confidence, 4), tuple(reasons))


def touches_edge(mask: npt.NDArray[np.bool_]) -> bool:
    """Whether a mask (X, Y, Z) has a voxel in the first or last slice along any axis."""
    faces = (np.moveaxis(mask, axis, 0)[[0, -1]] for axis in range(3))
    return any(bool(face.any()) for face in faces)
