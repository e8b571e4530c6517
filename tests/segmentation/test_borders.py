"""How sharp the borders of the thalami are, by side and direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from bids_app.segmentation.borders import (
    TYPICAL_WIDTH,
    WIDEST,
    Border,
    BorderWidth,
    UncertainBorder,
    border_widths,
    uncertain_borders,
)
from bids_app.segmentation.quality import assess
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT, RIGHT

# Half the sides of a thalamus and the middles of both, in mm; the first axis runs to the right.
_HALF = np.array([9.3, 12.3, 9.3])
_MIDDLES = {LEFT: np.array([16.5, 24.0, 20.0]), RIGHT: np.array([47.5, 24.0, 20.0])}
_SHAPE = (64, 48, 40)
_SHARP = 1.25


def _thalami(
    blurred: tuple[int, Border] | None = None, width: float = 2.0, spacing: float = 1.0
) -> npt.NDArray[np.float32]:
    """Two blocks whose faces have logistic profiles, one of them of another width."""
    axes = [np.arange(0, n, spacing) for n in _SHAPE]
    sides = []
    for side, middle in _MIDDLES.items():
        inside = np.ones((1, 1, 1))
        for axis in range(3):
            for upper in (False, True):
                facing = _border(side, axis, upper)
                # A logistic curve of scale s rises from 0.3 to 0.7, at its steepest, within 1.6 s.
                scale = (width if (side, facing) == blurred else _SHARP) / 1.6
                distance = axes[axis] - middle[axis]
                depth = _HALF[axis] - (distance if upper else -distance)
                profile = 1 / (1 + np.exp(-depth / scale))
                inside = inside * profile.reshape([-1 if k == axis else 1 for k in range(3)])
        sides.append(inside)
    return np.array(sides, dtype=np.float32)


def _border(side: int, axis: int, upper: bool) -> Border:
    if axis == 0:
        return Border.LATERAL if (side == RIGHT) == upper else Border.MEDIAL
    along = {1: (Border.POSTERIOR, Border.ANTERIOR), 2: (Border.INFERIOR, Border.SUPERIOR)}
    return along[axis][upper]


@pytest.mark.parametrize("border", Border)
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_each_border_has_its_own_width(side: int, border: Border) -> None:
    widths = {
        (each.side, each.border): each.width for each in border_widths(_thalami((side, border)), 1)
    }
    assert len(widths) == 12
    # Edges between faces are less steep, slopes over two voxels less than the steepest.
    assert widths.pop((side, border)) == pytest.approx(2.2, abs=0.2)
    assert list(widths.values()) == pytest.approx([1.5] * 11, abs=0.2)


@pytest.mark.parametrize("spacing", [1.0, 0.5])
def test_a_width_is_in_millimetres(spacing: float) -> None:
    widths = border_widths(_thalami((LEFT, Border.LATERAL), 3.0, spacing), spacing)
    assert widths[0].border == Border.LATERAL
    assert widths[0].width == pytest.approx(3.05, abs=0.1)


def test_no_thalami_have_no_borders() -> None:
    assert border_widths(np.zeros((2, 8, 8, 8), dtype=np.float32), 1.0) == ()


@pytest.mark.parametrize("border", Border)
def test_a_border_wider_than_in_healthy_adults_is_uncertain(border: Border) -> None:
    widest = WIDEST[border]
    certain, uncertain = BorderWidth(LEFT, border, widest), BorderWidth(RIGHT, border, widest + 0.1)
    (found,) = uncertain_borders([certain, uncertain])
    assert (found.side, found.border) == ("right", border)
    # 0.52 mm times the power 4.8 of the relative width.
    assert found.error == pytest.approx(
        0.52 * ((widest + 0.1) / TYPICAL_WIDTH[border]) ** 4.8, abs=0.05
    )
    assert UncertainBorder.parse(str(found)) == found


@pytest.mark.parametrize("text", ["left", "upper lateral 1.4", "left outer 1.4", "left lateral x"])
def test_what_describes_no_border_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        UncertainBorder.parse(text)


def test_quality_names_side_and_border(good: Segmentation) -> None:
    widths = (BorderWidth(LEFT, Border.LATERAL, 1.3), BorderWidth(RIGHT, Border.MEDIAL, 0.75))
    quality = assess(replace(good, borders=widths), 1.0)
    assert quality.verdict == "check"
    assert quality.reasons == ("the lateral border of the left thalamus is uncertain (1.5 mm)",)
    assert quality.borders == (UncertainBorder("left", Border.LATERAL, 1.5),)
