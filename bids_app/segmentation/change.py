"""Change of a volume between two visits, with its interval, and corrected for scale."""

from __future__ import annotations

from dataclasses import dataclass

# SD (%) of the change between two T1w scans of 1 mm of a head that has not changed: two scans
# within weeks of each of three healthy adults give 0.5, the simulated visits of
# ``benchmarks.atrophy --hard`` as much. Scale, distortion and coil are part of it.
_SD = 0.5
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


def change_between(
    raw: float, scale: float, *, is_scale_of_skull: bool, longest_side: float
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
    longest_side : float
        Longest side (mm) of a voxel or thickness of a slice of either visit. The uncertainty is
        proportional to it from 1 mm on: that of a border is, at the same noise.

    Returns
    -------
    Change
    """
    scaled = 100 * ((1 + raw / 100) / (1 + scale / 100) - 1)
    percent = scaled if is_scale_of_skull else raw
    margin = _NORMAL_95 * _SD * max(1.0, longest_side)
    return Change(raw, scaled, percent, percent - margin, percent + margin)
