"""How far each border of the thalami may be off, by how sharp its probabilities are.

Where an image shows no border, a network is unsure of its place and spreads its probabilities.
Each thalamus has six borders, by the direction in which they face; the mean steepness of the
probabilities at a border determines the error to be expected there (`benchmarks.borders`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from bids_app.images.resampling import FloatArray
from bids_app.segmentation.sides import LEFT, RIGHT


class Border(StrEnum):
    """Part of the surface of a thalamus, by the direction in which it faces."""

    LATERAL = "lateral"
    MEDIAL = "medial"
    ANTERIOR = "anterior"
    POSTERIOR = "posterior"
    SUPERIOR = "superior"
    INFERIOR = "inferior"


SIDE_NAMES: Mapping[int, str] = MappingProxyType({LEFT: "left", RIGHT: "right"})
# By axis of the image, which runs to the right, anterior and superior: first the border that
# faces its lower end. On the first axis that is lateral on the left side.
_FACING = (
    (Border.LATERAL, Border.MEDIAL),
    (Border.POSTERIOR, Border.ANTERIOR),
    (Border.INFERIOR, Border.SUPERIOR),
)
# Distance (mm) in which the probability rises from 0.3 to 0.7: median of 31 T1w scans of healthy
# adults, and what none of them exceeds (`benchmarks.borders`; decision 26).
TYPICAL_WIDTH: Mapping[Border, float] = MappingProxyType(
    {
        Border.LATERAL: 1.04,
        Border.MEDIAL: 0.75,
        Border.ANTERIOR: 0.92,
        Border.POSTERIOR: 0.81,
        Border.SUPERIOR: 0.79,
        Border.INFERIOR: 0.98,
    }
)
WIDEST: Mapping[Border, float] = MappingProxyType(
    {
        Border.LATERAL: 1.23,
        Border.MEDIAL: 0.88,
        Border.ANTERIOR: 1.12,
        Border.POSTERIOR: 0.95,
        Border.SUPERIOR: 0.89,
        Border.INFERIOR: 1.10,
    }
)
# Largest error (mm) of a border of typical width where an image is degraded, and the power of the
# relative width with which it grows: fitted to 110 degraded images of 11 scans
# (`benchmarks.borders`).
_ERROR, _POWER = 0.52, 4.8
_RISE = 0.4
# Fewer places are no border but a corner.
_FEWEST_PLACES = 20


@dataclass(frozen=True)
class BorderWidth:
    """How sharp one border of a segmentation is.

    Attributes
    ----------
    side : int
        1 left, 2 right.
    border : Border
    width : float
        Distance (mm) in which the probability rises from 0.3 to 0.7.
    """

    side: int
    border: Border
    width: float

    @property
    def is_uncertain(self) -> bool:
        """Whether it is wider than in any healthy adult."""
        return self.width > WIDEST[self.border]

    @property
    def error(self) -> float:
        """Error (mm) to be expected where the border is worst, to a tenth."""
        relative = self.width / TYPICAL_WIDTH[self.border]
        return round(_ERROR * float(relative**_POWER), 1)


@dataclass(frozen=True)
class UncertainBorder:
    """A border that may be off.

    Attributes
    ----------
    side : str
        Left or right.
    border : Border
    error : float
        Expected error in mm where the border is worst.
    """

    side: str
    border: Border
    error: float

    def __str__(self) -> str:
        """Describe the border as in tables, such as ``left lateral 1.4``."""
        return f"{self.side} {self.border} {self.error}"

    @classmethod
    def parse(cls, text: str) -> UncertainBorder:
        """Read what was written to a table.

        Raises
        ------
        ValueError
            If the text describes no border.

        Examples
        --------
        >>> UncertainBorder.parse("left lateral 1.4").error
        1.4
        """
        side, border, error = text.split(" ")
        if side not in SIDE_NAMES.values():
            raise ValueError(f"'{side}' is no side")
        return cls(side, Border(border), float(error))


def uncertain_borders(widths: Iterable[BorderWidth]) -> Iterator[UncertainBorder]:
    """Yield the borders that are wider than in any healthy adult."""
    for each in widths:
        if each.is_uncertain:
            yield UncertainBorder(SIDE_NAMES[each.side], each.border, each.error)


def reason_of(borders: Sequence[UncertainBorder]) -> str:
    """State why a segmentation with one or more uncertain borders should be reviewed.

    Examples
    --------
    >>> lateral = UncertainBorder("left", Border.LATERAL, 1.4)
    >>> reason_of([lateral])
    'the lateral border of the left thalamus is uncertain (1.4 mm)'
    >>> reason_of([lateral, UncertainBorder("right", Border.MEDIAL, 2.0)])
    '2 borders are uncertain (mm): left lateral 1.4, right medial 2.0'
    """
    if len(borders) > 1:
        return f"{len(borders)} borders are uncertain (mm): {', '.join(map(str, borders))}"
    (only,) = borders
    return f"the {only.border} border of the {only.side} thalamus is uncertain ({only.error} mm)"


@dataclass(frozen=True, eq=False)
class Surface:
    """Places at which the probability of the thalami is one half.

    Attributes
    ----------
    places : (3, N) float64
        In voxels.
    side : (N,) int
        1 left, 2 right.
    steepness : (N,) float64
        Gradient of the probability, 1/mm.
    axis : (N,) int
        Axis along which the surface faces.
    upper : (N,) bool
        Whether it faces the upper end of the axis.
    """

    places: npt.NDArray[np.float64]
    side: npt.NDArray[np.int_]
    steepness: npt.NDArray[np.float64]
    axis: npt.NDArray[np.int_]
    upper: npt.NDArray[np.bool_]

    def borders(self) -> Iterator[tuple[tuple[int, Border], npt.NDArray[np.bool_]]]:
        """Yield side, border and the places (N,) that belong to it; corners are omitted."""
        for side in SIDE_NAMES:
            for axis, (lower, upper) in enumerate(_FACING):
                # The lateral border of the right side faces the upper end of the first axis.
                exchanged = axis == 0 and side == RIGHT
                for border, faces_upper in ((lower, exchanged), (upper, not exchanged)):
                    chosen = (self.side == side) & (self.axis == axis) & (self.upper == faces_upper)
                    if np.count_nonzero(chosen) >= _FEWEST_PLACES:
                        yield (side, border), chosen


def border_widths(thalami: FloatArray, spacing: float) -> tuple[BorderWidth, ...]:
    """Measure how sharp the borders of both thalami are.

    Parameters
    ----------
    thalami : (2, X, Y, Z) float32
        Probability of the left and the right thalamus, on axes to the right, anterior and superior.
    spacing : float
        Side of a voxel in mm.

    Returns
    -------
    tuple of BorderWidth
        Without borders of fewer than 20 places.
    """
    surface = surface_of(thalami, spacing)
    return tuple(
        BorderWidth(side, border, float(_RISE / surface.steepness[chosen].mean()))
        for (side, border), chosen in surface.borders()
    )


def surface_of(thalami: FloatArray, spacing: float) -> Surface:
    """Find the surface of both thalami; parameters as of `border_widths`."""
    from scipy.ndimage import map_coordinates

    either = thalami.sum(0)
    places = np.concatenate([_crossings(either, axis) for axis in range(3)], axis=1)
    slopes = np.stack(
        [map_coordinates(part, places, order=1) for part in np.gradient(either, spacing)]
    )
    left, right = (map_coordinates(part, places, order=1) for part in thalami)
    axis = np.abs(slopes).argmax(0)
    return Surface(
        places=places,
        side=np.where(left >= right, LEFT, RIGHT),
        steepness=np.linalg.norm(slopes, axis=0).astype(np.float64),
        axis=axis,
        # Probability falls outwards.
        upper=np.take_along_axis(slopes, axis[None], 0)[0] < 0,
    )


def _crossings(probability: FloatArray, axis: int) -> npt.NDArray[np.float64]:
    """Find where probabilities (X, Y, Z) cross one half along an axis, in voxels, (3, N)."""
    along = np.moveaxis(probability, axis, 0)
    lower, upper = along[:-1], along[1:]
    crosses = (lower >= 0.5) != (upper >= 0.5)
    places = np.argwhere(crosses).T.astype(np.float64)
    low, high = lower[crosses], upper[crosses]
    places[0] += (low - 0.5) / (low - high)
    # The axis was moved to the front.
    return np.insert(places[1:], axis, places[0], axis=0)
