"""Recognition of the units of existing maps from their median in the brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bids_app.qmri.arrays import FloatArray, Mask

# Ranges of medians over the brain at 1.5 to 7 T, with a margin on both sides.
_R1_MEDIAN = (0.3, 2.5)
_T1_MEDIAN = (0.4, 3.3)
_FIELD_MEDIAN = (0.3, 2.0)


@dataclass(frozen=True, eq=False)
class Recognised:
    """A map in the units of this package.

    Attributes
    ----------
    values : (X, Y, Z) float32
        NaN where nothing was measured.
    conversion : str
        Description of the conversion; empty if there was none.
    """

    values: FloatArray
    conversion: str


def r1_in_per_second(
    values: FloatArray, quantity: Literal["R1map", "T1map"], brain: Mask
) -> Recognised:
    """Convert an R1 or T1 map in any of the usual units to R1 in 1/s.

    Parameters
    ----------
    values : (X, Y, Z) array
    quantity : {'R1map', 'T1map'}
        BIDS suffix.
    brain : (X, Y, Z) bool

    Returns
    -------
    Recognised

    Raises
    ------
    ValueError
        If the median in the brain is plausible in no unit; the message gives it.
    """
    units = {
        "R1map": (_R1_MEDIAN, (("1/s", 1.0), ("1/s times 1000", 1000.0), ("1/ms", 0.001))),
        "T1map": (_T1_MEDIAN, (("s", 1.0), ("ms", 1000.0))),
    }
    limits, candidates = units[quantity]
    positive = _positive(values)
    unit, factor = _unit(positive, brain, limits, candidates, quantity)
    scaled = positive / np.float32(factor)
    if quantity == "R1map":
        return Recognised(scaled, "" if factor == 1 else f"R1 in {unit} converted to 1/s")
    return Recognised(np.float32(1) / scaled, f"T1 in {unit} converted to R1 in 1/s")


def relative_field(values: FloatArray, brain: Mask) -> Recognised:
    """Convert a TB1map, in percent of the nominal flip angle or relative, to a relative field.

    Parameters
    ----------
    values : (X, Y, Z) array
    brain : (X, Y, Z) bool

    Returns
    -------
    Recognised

    Raises
    ------
    ValueError
        If the median in the brain is plausible in neither; the message gives it.
    """
    candidates = (("percent", 100.0), ("relative", 1.0))
    positive = _positive(values)
    unit, factor = _unit(positive, brain, _FIELD_MEDIAN, candidates, "TB1map")
    conversion = "" if unit == "percent" else "TB1map taken as relative (1 is nominal)"
    return Recognised(positive / np.float32(factor), conversion)


def check_r1(r1: FloatArray, brain: Mask) -> None:
    """Refuse a computed R1 map with an implausible median in the brain.

    Raises
    ------
    ValueError
        If the median is implausible; the message gives it.
    """
    _unit(_positive(r1), brain, _R1_MEDIAN, (("1/s", 1.0),), "The computed R1map")


def _positive(values: FloatArray) -> FloatArray:
    """Replace values that are not positive by NaN."""
    single = np.asarray(values, dtype=np.float32)
    return np.where(np.isfinite(single) & (single > 0), single, np.float32(np.nan))


def _unit(
    values: FloatArray,
    brain: Mask,
    limits: tuple[float, float],
    candidates: tuple[tuple[str, float], ...],
    name: str,
) -> tuple[str, float]:
    """Find the unit, and its factor, in which the median over the brain is plausible."""
    inside = values[brain]
    inside = inside[np.isfinite(inside)]
    # Otherwise the map has another field of view or sign.
    if inside.size < 0.5 * np.count_nonzero(brain):
        share = 100 * inside.size / max(1, np.count_nonzero(brain))
        raise ValueError(f"{name} has positive values in only {share:.0f} % of the brain.")
    # The median is robust to vessels, fluid and noise at the edge.
    median = float(np.median(inside))
    for unit, factor in candidates:
        if limits[0] <= median / factor <= limits[1]:
            return unit, factor
    ranges = " or ".join(
        f"{limits[0] * factor:g} to {limits[1] * factor:g} ({unit})" for unit, factor in candidates
    )
    raise ValueError(
        f"{name} has a median of {median:.4g} in the brain, where {ranges} is expected."
    )
