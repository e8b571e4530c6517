"""A small segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.segmentation.result import Segmentation


@pytest.fixture
def good() -> Segmentation:
    """Two boxes of 500 and 480 voxels, away from the edges."""
    dseg = np.zeros((24, 14, 14), dtype=np.uint8)
    dseg[2:7, 2:12, 2:12], dseg[12:17, 2:12, 2:12] = 1, 2
    dseg[16, 2:4, 2:12] = 0
    return Segmentation(
        dseg=dseg,
        probseg=np.stack([dseg == 1, dseg == 2], axis=-1).astype(np.float32),
        brain_mask=np.ones_like(dseg),
        soft_volumes=np.array([510.0, 490.0]),
        brain_volume=1e6,
        icv=1.4e6,
        confidence=0.92,
        volume_error=20.0,
    )
