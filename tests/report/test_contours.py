"""Contours surround their mask, slice by slice."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest

from bids_app.report.contours import UNITS, contour_paths


def points_of(path: str) -> list[npt.NDArray[np.float64]]:
    """Follow each line of a path; voxels from the upper left corner, x and y."""
    lines = []
    for part in re.findall(r"M([^z]+)z", path):
        start, steps = part.split("l")
        numbers = [int(number) for number in re.findall(r"-?\d+", steps)]
        moves = np.reshape(numbers, (-1, 2))
        lines.append(np.cumsum([[int(n) for n in start.split()], *moves], axis=0) / UNITS)
    return lines


def test_line_of_a_disc_lies_on_its_border_and_holds_its_area() -> None:
    y, x = np.mgrid[:40, :50]
    radius = np.hypot(x - 30, y - 15)
    masks = np.stack([radius < 0, radius <= 9, radius < 0, radius <= 6])
    paths = contour_paths(masks)
    assert (paths[0], paths[2]) == ("", "")
    for path, size in ((paths[1], 9), (paths[3], 6)):
        (line,) = points_of(path)
        # The middle of voxel 30, 15 is half a voxel from its corner.
        distance = np.hypot(line[:, 0] - 30.5, line[:, 1] - 15.5)
        assert np.abs(distance - size).max() < 0.6
        following = np.roll(line, -1, axis=0)
        area = abs(np.sum(line[:, 0] * following[:, 1] - line[:, 1] * following[:, 0])) / 2
        assert area == pytest.approx((radius <= size).sum(), rel=0.03)
        assert len(path) < 200


def test_parts_and_holes_have_lines_of_their_own() -> None:
    mask = np.zeros((1, 30, 30), bool)
    mask[0, 5:15, 5:15] = True
    mask[0, 8:12, 8:12] = False
    mask[0, 20, 20] = True
    lines = points_of(contour_paths(mask)[0])
    centres = sorted(tuple(np.round(line.mean(axis=0)).astype(int).tolist()) for line in lines)
    assert centres == [(10, 10), (10, 10), (20, 20)]


def test_masks_at_the_edge_are_closed() -> None:
    (line,) = points_of(contour_paths(np.ones((1, 20, 30), bool))[0])
    assert line.min(axis=0).tolist() == [0, 0]
    assert line.max(axis=0).tolist() == [30, 20]


def test_nothing_has_no_line() -> None:
    assert contour_paths(np.zeros((3, 4, 5), bool)) == ["", "", ""]
