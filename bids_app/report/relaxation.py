"""Histogram of R1 in the brain, with published values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# R1 in 1/s at 3 T. The lower ends follow from T1 in Stanisz et al. 2005
# (doi:10.1002/mrm.20605; 1820 and 1084 ms), the upper ones from Wansapura et al. 1999,
# J Magn Reson Imaging 9:531 (1331 and 832 ms).
PUBLISHED = {"grey matter": (0.55, 0.75), "white matter": (0.92, 1.20)}
# Bins of 0.01 1/s with round centres.
_RANGE, _BINS = (0.195, 1.595), 140
_BETWEEN = 0.83


def tissue_modes(values: npt.NDArray[np.floating]) -> dict[str, float]:
    """Compute the modes of R1 in grey and in white matter.

    Parameters
    ----------
    values : (N,) float
        R1 of the brain's voxels in 1/s.

    Returns
    -------
    dict of str to float
        Modes of ``grey matter`` and ``white matter`` in 1/s: maxima of the histogram, smoothed
        by a Gaussian of 0.03 1/s, below and above 0.83 1/s, midway between the published ranges.
    """
    counts, centres = _smooth_histogram(values)
    # The highest mode alone could be that of either tissue.
    sides = {"grey matter": centres < _BETWEEN, "white matter": centres >= _BETWEEN}
    return {
        name: round(float(centres[side][counts[side].argmax()]), 2) for name, side in sides.items()
    }


@dataclass(frozen=True)
class Tissue:
    """Mode of R1 in one tissue, and the published range, all in 1/s."""

    name: str
    mode: float
    low: float
    high: float

    @property
    def is_usual(self) -> bool:
        """Whether the mode is within the published range."""
        return self.low <= self.mode <= self.high

    @property
    def text(self) -> str:
        """One phrase with the mode and the range."""
        place = "within" if self.is_usual else "outside"
        return (
            f"{self.name} {self.mode:.2f} 1/s ({place} the published range, "
            f"{self.low:.2f} to {self.high:.2f})"
        )


@dataclass(frozen=True)
class R1Histogram:
    """Histogram of R1 in the brain, to be drawn.

    Attributes
    ----------
    tissues : tuple of Tissue
    line : tuple of tuple of float
        R1 in 1/s, and the number of voxels relative to the highest.
    """

    tissues: tuple[Tissue, ...]
    line: tuple[tuple[float, float], ...]

    @property
    def caption(self) -> str:
        """The modes, each compared with the published range."""
        texts = ", ".join(tissue.text for tissue in self.tissues)
        return f"Histogram of R1 in the brain. Modes: {texts}"


def r1_histogram(values: npt.NDArray[np.floating]) -> R1Histogram:
    """Compute the histogram of R1 with its modes and the published ranges.

    Parameters
    ----------
    values : (N,) float
        R1 of the brain's voxels in 1/s.

    Returns
    -------
    R1Histogram
    """
    counts, centres = _smooth_histogram(values)
    modes = tissue_modes(values)
    heights = counts / max(float(counts.max()), 1e-9)
    return R1Histogram(
        tuple(Tissue(name, modes[name], *PUBLISHED[name]) for name in PUBLISHED),
        tuple(zip(centres.round(3).tolist(), heights.round(4).tolist(), strict=True)),
    )


def _smooth_histogram(
    values: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    from scipy.ndimage import gaussian_filter1d

    counts, edges = np.histogram(values, _BINS, _RANGE)
    return gaussian_filter1d(counts.astype(np.float64), 3.0), (edges[1:] + edges[:-1]) / 2
