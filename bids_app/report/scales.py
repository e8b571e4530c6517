"""Axes of charts: from values to percent of the width, with ticks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MARGIN = 0.04
_MOST_TICKS = 5


@dataclass(frozen=True)
class Scale:
    """Axis from `low` to `high`.

    Attributes
    ----------
    low, high : float
        Both positive if `log`.
    log : bool
    """

    low: float
    high: float
    log: bool = False

    def place(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where values are on the axis, in percent of its length, at most its ends."""
        low, high, x = (self._of(each) for each in (self.low, self.high, values))
        return np.asarray(np.clip(100 * (x - low) / (high - low), 0, 100), dtype=np.float64)

    def ticks(self) -> list[tuple[float, str]]:
        """Return place, in percent, and text of some round values on the axis."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        if self.log:
            candidates = LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(self.low, self.high)
        else:
            candidates = MaxNLocator(_MOST_TICKS - 1).tick_values(self.low, self.high)
        shown = [value for value in candidates if self.low <= value <= self.high]
        thinned = shown[:: -(-len(shown) // _MOST_TICKS)] if shown else []
        return [
            (float(self.place(value)), number(0.0 if abs(value) < 1e-12 else value))
            for value in thinned
        ]

    def _of(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        x = np.asarray(values, dtype=np.float64)
        # An odds ratio may have an end of 0.
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(x) if self.log else x)


def scale_of(values: npt.ArrayLike, *, zero: bool = False) -> Scale:
    """Return an axis on which all finite values are inside; with 0 if requested.

    Parameters
    ----------
    values : array_like
        An array with any number of axes.
    zero : bool
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    x = np.append(x[np.isfinite(x)], [0.0] if zero else [])
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
    margin = _MARGIN * (high - low) or abs(low) * _MARGIN or 0.5
    return Scale(low - margin, high + margin)


def number(value: float, digits: int = 4) -> str:
    """Write a number with a minus sign, at most that many significant digits and no zeros behind.

    Examples
    --------
    >>> number(-12.3456), number(1500.0), number(0.1)
    ('\N{MINUS SIGN}12.35', '1500', '0.1')
    """
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return text.replace("-", "\N{MINUS SIGN}")
