"""Change of a volume between two visits, with its interval, and corrected for scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

# Variance that two aligned scans of 1 mm do not share within the brain, up to which the error is
# that of their contrast: the most in three pairs of real T1w scans.
_USUAL_MISFIT = 0.015
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Change:
    """Change of a volume in percent of the earlier one.

    Attributes
    ----------
    raw : float
        As measured.
    scaled : float
        What is left once both visits have the same scale.
    percent : float
        The change: the scaled one where the scale comes from the skull; the raw one where it comes
        from the brain, since a loss that the whole brain shares would be taken for a scale.
    low, high : float
        Ends of the 95 % interval of ``percent``.
    """

    raw: float
    scaled: float
    percent: float
    low: float
    high: float


@dataclass(frozen=True)
class Precision:
    """What limits the precision of a change between two scans.

    Attributes
    ----------
    error : float
        SD (%) of the change of an unchanged head, for two scans of 1 mm.
    longest_side : float
        Longest side (mm) of a voxel or thickness of a slice of either scan.
    correlation : float
        Correlation of the aligned images within the brain.
    """

    error: float
    longest_side: float
    correlation: float

    @property
    def standard_deviation(self) -> float:
        """The SD (%) of the change.

        The uncertainty of a border is proportional to the SD of the residual and to the distance
        over which intensities change, hence to the side of the voxel from 1 mm on. Coarse voxels
        misfit as well: only the larger of both factors applies.
        """
        misfit = sqrt((1 - self.correlation) / _USUAL_MISFIT)
        return self.error * max(1.0, self.longest_side, misfit)


def change_between(
    raw: float, scale: float, *, is_scale_of_skull: bool, precision: Precision
) -> Change:
    """Complete a change by its correction for scale and its interval.

    Parameters
    ----------
    raw : float
        Measured change in percent of the earlier volume.
    scale : float
        Change of the scale of all volumes in percent (`bids_app.alignment.scale`).
    is_scale_of_skull : bool
        Whether the scale was found from the skull.
    precision : Precision

    Returns
    -------
    Change
    """
    scaled = 100 * ((1 + raw / 100) / (1 + scale / 100) - 1)
    percent = scaled if is_scale_of_skull else raw
    margin = _NORMAL_95 * precision.standard_deviation
    return Change(raw, scaled, percent, percent - margin, percent + margin)
