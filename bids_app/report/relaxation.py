"""Histogram of R1 in the brain, with published values."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt

from bids_app.report.drawing import BLUE, GREY, ORANGE, canvas, draw_legend

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


def r1_histogram(values: npt.NDArray[np.floating]) -> tuple[str, bytes]:
    """Draw the histogram of R1 with its modes and the published ranges.

    Parameters
    ----------
    values : (N,) float
        R1 of the brain's voxels in 1/s.

    Returns
    -------
    caption : str
        The modes, each compared with the published range.
    png : bytes
    """
    modes = tissue_modes(values)
    counts, centres = _smooth_histogram(values)
    figure, axes = canvas("R1 in the brain", 6.0, 3.2)
    axes.plot(centres, counts, color=GREY)
    comparisons = []
    for (name, (low, high)), colour in zip(PUBLISHED.items(), (BLUE, ORANGE), strict=True):
        axes.axvspan(low, high, color=colour, alpha=0.15, label=f"{name}, published at 3 T")
        axes.axvline(modes[name], color=colour)
        place = "within" if low <= modes[name] <= high else "outside"
        comparisons.append(
            f"{name} {modes[name]:.2f} 1/s ({place} the published range, {low:.2f} to {high:.2f})"
        )
    axes.set_xlabel("R1 (1/s)")
    axes.set_ylabel("Voxels")
    draw_legend(axes, 2)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return f"Histogram of R1 in the brain. Modes: {', '.join(comparisons)}", buffer.getvalue()


def _smooth_histogram(
    values: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    from scipy.ndimage import gaussian_filter1d

    counts, edges = np.histogram(values, _BINS, _RANGE)
    return gaussian_filter1d(counts.astype(np.float64), 3.0), (edges[1:] + edges[:-1]) / 2
