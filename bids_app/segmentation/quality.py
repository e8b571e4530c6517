"""Reasons to review a segmentation before its volumes are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bids_app.segmentation.borders import UncertainBorder, reason_of, uncertain_borders
from bids_app.segmentation.labels import touches_edge
from bids_app.segmentation.result import Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

# Above this the shape between slices is mostly interpolated: two visits of a patient with 3 mm
# slices differed by up to 3 % (model card of thalnet).
_THICK_SLICE_MM = 2.0
# Just below thalnet's expected Dice in 40 real scans (T1w, FLAIR and T2w of 1 to 3 mm: 0.890 and
# more) and in simulated heads (`benchmarks.uncertainty`: 0.902). Below 0.85 it refuses images.
LOW_CONFIDENCE = 0.89
# Left minus right in percent of their mean: 1.3 ± three times 4.2, mean and standard deviation of
# manual labels of 97 healthy adults (Rushmore et al. 2022; `benchmarks.asymmetry`).
ASYMMETRY_RANGE = (-11.0, 14.0)


@dataclass(frozen=True)
class Quality:
    """Outcome of the check of one segmentation.

    Attributes
    ----------
    confidence : float
        Expected Dice (self-estimated by the method); NaN if the method has no such estimate.
    reasons : tuple of str
        Why the segmentation should be reviewed.
    borders : tuple of UncertainBorder
        Borders that are among the reasons.
    """

    confidence: float
    reasons: tuple[str, ...]
    borders: tuple[UncertainBorder, ...] = ()

    @property
    def verdict(self) -> str:
        """Verdict: ``check`` if there is a reason, else ``ok``."""
        return "check" if self.reasons else "ok"


def has_thick_slices(thickness: float) -> bool:
    """Whether the shape between slices of a thickness (mm) is mostly interpolated."""
    # Headers hold 2.0000002 for 2.
    return round(thickness, 2) > _THICK_SLICE_MM


def assess(segmentation: Thalami, slice_thickness: float, of_image: Iterable[str] = ()) -> Quality:
    """Check one segmentation.

    Parameters
    ----------
    segmentation : Thalami
    slice_thickness : float
        Largest voxel side (mm) of the images that were segmented, as they were acquired.
    of_image : iterable of str
        Reasons that lie in the image, not in its segmentation.

    Returns
    -------
    Quality
    """
    reasons = list(of_image)
    if has_thick_slices(slice_thickness):
        reasons.append(f"slices of {slice_thickness:.1f} mm")
    if segmentation.confidence < LOW_CONFIDENCE:
        reasons.append(
            f"confidence {segmentation.confidence:.2f}, expected {LOW_CONFIDENCE:.2f} or more"
        )
    counts = np.bincount(segmentation.dseg.ravel(), minlength=3)
    left, right = int(counts[LEFT]), int(counts[RIGHT])
    # In percent of the mean of both sides; a missing side gives 200.
    asymmetry = 200 * (left - right) / max(left + right, 1)
    low, high = ASYMMETRY_RANGE
    if not low <= asymmetry <= high:
        larger = "left" if left > right else "right"
        reasons.append(f"the {larger} thalamus is {abs(asymmetry):.0f} % larger")
    if segmentation.cut_off or touches_edge(segmentation.dseg != 0):
        reasons.append("a thalamus reaches the edge of the image or of the region searched")
    if segmentation.truncated:
        reasons.append("the image cuts the brain")
    borders = tuple(uncertain_borders(segmentation.borders))
    if borders:
        reasons.append(reason_of(borders))
    # Rounded as in the tables, so that a page drawn from these is the same.
    return Quality(round(segmentation.confidence, 4), tuple(reasons), borders)
