"""A head that the stand-ins can segment, and a licence that they accept."""

from __future__ import annotations

import numpy as np

from bids_app.images.volume import Volume
from tests.tools.stand_ins import DEEP, LEFT, RIGHT, SKULL

LICENCE = "ada@example.org\n12345\n *CAbcdefgh\n FSabcdefgh\n"


def head() -> Volume:
    """A brain with deep grey matter in a skull; 2 mm voxels, oblique, axes left to right last."""
    shape = (30, 32, 28)
    x, y, z = np.indices(shape)
    radius = np.sqrt((x - 15) ** 2 + (y - 16) ** 2 + (z - 14) ** 2)
    data = np.zeros(shape, dtype=np.int16)
    data[radius < 13] = SKULL
    data[radius < 11] = 400
    data[6:24, 12:22, 9:20] = DEEP
    data[9:14, 13:20, 11:17] = LEFT
    data[16:21, 13:20, 11:17] = RIGHT
    angle = 0.1
    affine = np.array(
        [
            [2 * np.cos(angle), -2 * np.sin(angle), 0, -25],
            [2 * np.sin(angle), 2 * np.cos(angle), 0, -35],
            [0, 0, 2, -20],
            [0, 0, 0, 1],
        ]
    )
    return Volume(data, affine)


def expected(volume: Volume) -> np.ndarray:
    return np.where(volume.data == LEFT, 1, np.where(volume.data == RIGHT, 2, 0)).astype(np.uint8)
