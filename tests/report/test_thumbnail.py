"""Thumbnails are small and show both thalami on their sides."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from bids_app.report.thumbnail import SIDE, thalamus_thumbnail


def test_left_and_right_are_on_their_sides_in_both_panels() -> None:
    noise = np.random.default_rng(1).normal(0, 50, (80, 90, 70))
    image = (100 + gaussian_filter(noise, 2)).astype(np.float32)
    dseg = np.zeros(image.shape, np.uint8)
    # The first axis runs to the right.
    dseg[22:36, 30:60, 25:45], dseg[44:58, 30:60, 25:45] = 1, 2
    content = thalamus_thumbnail(image, dseg, (1, 1, 1))
    assert len(content) < 8000
    picture = np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(int)
    assert picture.shape == (SIDE, 2 * SIDE, 3)
    orange = picture[..., 0] - picture[..., 2]
    for panel in (orange[:, :SIDE], orange[:, SIDE:]):
        left, right = panel[:, : SIDE // 2], panel[:, SIDE // 2 :]
        assert left.max() > 60 > right.max()
        assert left.min() > -40 > right.min()


def test_a_scan_without_thalami_has_a_thumbnail() -> None:
    image = np.zeros((20, 20, 20), np.float32)
    assert thalamus_thumbnail(image, image.astype(np.uint8), (1, 1, 1))
