"""Labels from probabilities, and the shape of masks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from bids_app.segmentation.labels import filled, labels_of, touches_edge


def test_a_voxel_goes_to_the_likelier_side_in_one_piece() -> None:
    probseg = np.zeros((9, 5, 5, 2), dtype=np.float32)
    probseg[0:3, 1:4, 1:4, 0] = 0.6
    probseg[3, 1:4, 1:4] = (0.3, 0.2)
    probseg[4, 1:4, 1:4] = (0.2, 0.3)
    probseg[5, 1:4, 1:4] = (0.2, 0.2)
    labels = labels_of(probseg)
    assert labels[:, 2, 2].tolist() == [1, 1, 1, 1, 2, 0, 0, 0, 0]
    # An island is no part of a thalamus.
    probseg[8, 0, 0, 0] = 1.0
    assert np.array_equal(labels_of(probseg), labels)


def test_cavities_are_filled_as_scipy_does() -> None:
    mask = np.random.default_rng(0).random((20, 21, 22)) < 0.75
    mask[5:15, 5:15, 5:15] = True
    mask[8:12, 8:12, 8:12] = False
    closed = filled(mask)
    assert closed[8:12, 8:12, 8:12].all()
    assert not closed.all()
    np.testing.assert_array_equal(closed, binary_fill_holes(mask))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_every_edge_counts(axis: int, end: int) -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert not touches_edge(mask)
    np.moveaxis(mask, axis, 0)[end, 2, 2] = True
    assert touches_edge(mask)
