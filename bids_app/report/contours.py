"""Contours of masks as SVG paths."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import bounding_box

# Units of path coordinates per voxel: rounding moves a line by at most an eighth of a voxel.
UNITS = 4
# Contours of a few voxels have few points, which are kept as they are.
_FEWEST_POINTS = 12
_SMOOTHINGS = 2

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


def contour_paths(masks: npt.NDArray[Any]) -> list[str]:
    """Trace the borders of a mask in each of several slices.

    Marching squares (Lorensen & Cline 1987, in two dimensions) at half level; the steps between
    voxels are smoothed by two binomial filters along the line, which then lies within half a voxel
    of the border, and every other point is kept.

    Parameters
    ----------
    masks : (N, height, width) bool
        Slices; rows run downwards.

    Returns
    -------
    list of str
        One SVG path per slice, empty where the slice holds nothing of the mask. The unit is 1 /
        `UNITS` voxel, the origin the outer corner of the first voxel.

    Examples
    --------
    >>> contour_paths(np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[0, 0, 0]] * 3]) > 0)
    ['M4 6l2-2 2 2-2 2z', '']
    """
    from contourpy import LineType, contour_generator

    paths = [""] * len(masks)
    if not masks.any():
        return paths
    box = bounding_box(masks)
    first = np.array([box[2].start, box[1].start])
    masks = masks[:, *box[1:]]
    count, height, width = masks.shape
    # With an empty border, every line ends where it began and stays in its slice.
    padded = np.zeros((count, height + 2, width + 2), np.float32)
    padded[:, 1:-1, 1:-1] = masks
    generator = contour_generator(
        z=padded.reshape(-1, width + 2), line_type=LineType.ChunkCombinedOffset
    )
    chunks = cast("tuple[list[FloatArray], list[IndexArray]]", generator.lines(0.5))
    (points,), (offsets,) = chunks
    # The last point of a closed line is its first.
    starts, ends = offsets[:-1].astype(np.intp), offsets[1:].astype(np.intp) - 1
    numbers = (points[starts, 1] // (height + 2)).astype(int)
    smooth = _smoothed(points, starts, ends)
    for start, end, number in zip(starts, ends, numbers.tolist(), strict=True):
        step = 2 if end - start > _FEWEST_POINTS else 1
        place = smooth[start:end:step] + first - (0.5, 0.5 + number * (height + 2))
        paths[number] += _path(np.rint(place * UNITS).astype(int))
    return paths


def _smoothed(points: FloatArray, starts: IndexArray, ends: IndexArray) -> FloatArray:
    """Filter closed lines by (1, 2, 1) / 4; short ones and the points at `ends` stay."""
    following, previous = np.arange(len(points)) + 1, np.arange(len(points)) - 1
    following[ends - 1], previous[starts] = starts, ends - 1
    fixed = np.repeat(ends - starts <= _FEWEST_POINTS, ends - starts + 1)
    fixed[ends] = True
    following[fixed] = previous[fixed] = np.flatnonzero(fixed)
    for _ in range(_SMOOTHINGS):
        points = (points[previous] + 2 * points + points[following]) / 4
    return points


def _path(points: npt.NDArray[np.int_]) -> str:
    """Write a closed line: its first point, and the way from each point to the next."""
    (x, y), steps = points[0], np.diff(points, axis=0)
    # A minus sign separates numbers as a blank does.
    numbers = "".join(f" {step}" if step >= 0 else str(step) for step in steps.ravel().tolist())
    return f"M{x} {y}l{numbers.lstrip()}z"
