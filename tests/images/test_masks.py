"""Pieces of masks."""

from __future__ import annotations

import numpy as np

from bids_app.images.masks import connected_to_border, largest_piece


def _pieces() -> tuple[np.ndarray, np.ndarray]:
    """Two voxels at the border and, across an edge, three within."""
    border, inner = np.zeros((2, 5, 6, 7), bool)
    border[0, 1:3, 1] = True
    inner[1, 3, 1:4] = True
    return border, inner


def test_voxels_with_a_face_in_common_are_one_piece() -> None:
    border, inner = _pieces()
    assert np.array_equal(largest_piece(border | inner), inner)
    assert np.array_equal(largest_piece(border), border)
    assert not largest_piece(np.zeros((3, 3, 3), bool)).any()


def test_the_largest_piece_is_where_it_was() -> None:
    mask = np.zeros((9, 8, 7), dtype=bool)
    mask[2:4, 3, 4] = True
    larger = np.zeros_like(mask)
    larger[5:8, 6, 4:6] = True
    assert np.array_equal(largest_piece(mask | larger), larger)


def test_what_has_a_way_to_the_border() -> None:
    border, inner = _pieces()
    assert np.array_equal(connected_to_border(border | inner), border)
    for end in (border[::-1], np.moveaxis(border, 0, 2), np.moveaxis(border, 0, 1)[:, ::-1]):
        assert np.array_equal(connected_to_border(end), end)
    assert not connected_to_border(inner).any()
