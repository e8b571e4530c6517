from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bids_app.report.shift_map import FULL_SHIFT, Visit, border_shift, visits_figure

_SPACING = np.array([1.0, 0.8, 1.25])
_CENTRE = (40.0, 40.0, 40.0)


def _ball(radius: float) -> npt.NDArray[np.bool_]:
    grid = np.indices((80, 100, 64)) * _SPACING[:, None, None, None]
    offset = grid - np.array(_CENTRE)[:, None, None, None]
    return np.asarray((offset**2).sum(0) < radius**2)


def _visits(first: float, later: float) -> list[Visit]:
    """Balls of that radius; their left halves are the left thalamus."""
    visits = []
    for name, radius in (("ses-1", first), ("ses-2", later)):
        mask = _ball(radius)
        dseg = (mask * np.where(np.arange(80) < 40, 1, 2)[:, None, None]).astype(np.uint8)
        image = 100 + 50 * mask + np.random.default_rng(0).normal(0, 5, mask.shape)
        visits.append(Visit(name, image.astype(np.float32), dseg))
    return visits


@pytest.mark.parametrize("change", [-1.0, -0.3, 0.0, 0.4, 1.0])
def test_shift_is_the_change_of_radius(change: float) -> None:
    first, later = _ball(15), _ball(15 + change)
    shift = border_shift(first, later, _SPACING)
    grid = np.indices(first.shape) * _SPACING[:, None, None, None]
    radius = np.sqrt(((grid - np.array(_CENTRE)[:, None, None, None]) ** 2).sum(0))
    at_border = np.abs(radius - (15 + change / 2)) < 0.5
    assert shift[at_border].mean() == pytest.approx(change, abs=0.06 + 0.1 * abs(change))
    assert not shift[radius > 25].any()


def _pixels(first: float, later: float) -> npt.NDArray[np.int16]:
    png = visits_figure(*_visits(first, later), _SPACING)
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"), dtype=np.int16)[:612]


def _coloured(pixels: npt.NDArray[np.int16], colour: tuple[int, int, int]) -> int:
    """Count the pixels of the panels of shifts that have a colour."""
    panels = [pixels[:, start : start + 200] for start in (408, 1020)]
    return sum(int((abs(each - colour) < 25).all(-1).sum()) for each in panels)


def test_growth_is_blue_and_loss_vermilion() -> None:
    blue, vermilion = (45, 125, 255), (240, 95, 15)
    grown, shrunk = _pixels(15, 15 + 2 * FULL_SHIFT), _pixels(15 + 2 * FULL_SHIFT, 15)
    assert _coloured(grown, blue) > 2000
    assert _coloured(grown, vermilion) == 0
    assert _coloured(shrunk, vermilion) > 2000
    assert _coloured(shrunk, blue) == 0


def test_both_borders_are_on_both_visits() -> None:
    pixels = _pixels(12, 17)
    for start in (0, 204):
        panel = pixels[:200, start : start + 200]
        for colour in ((230, 159, 0), (86, 180, 233)):
            assert (abs(panel - colour) < 30).all(-1).sum() > 40


def test_the_side_of_sagittal_slices_is_marked() -> None:
    """Axial and coronal slices have L and R; sagittal ones state through which half they run."""
    pixels = _pixels(15, 15)
    for column in range(6):
        corners = [
            pixels[top : top + 22, 204 * column + 150 : 204 * column + 200] for top in (0, 204, 408)
        ]
        written = [int((corner.min(-1) > 215).sum()) for corner in corners]
        assert written[:2] == [0, 0]
        assert written[2] > 20
    left, right = (pixels[408:430, start : start + 50] for start in (150, 204 * 3 + 150))
    assert not np.array_equal(left > 215, right > 215)


def test_empty_masks_are_drawn_without_border() -> None:
    nothing = Visit("ses-1", np.ones((30, 30, 30), np.float32), np.zeros((30, 30, 30), np.uint8))
    assert visits_figure(nothing, nothing, np.ones(3))
