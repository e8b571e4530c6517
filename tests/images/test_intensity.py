"""Scaling of intensities within the brain."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.images.intensity import scaled_in_mask


def test_clipped_at_the_percentile_and_scaled_in_the_mask() -> None:
    data = np.linspace(0.5, 1.5, 1000, dtype=np.float32).reshape(10, 10, 10)
    data[9, 9, 9] = 40.0
    mask = np.ones(data.shape, dtype=bool)
    mask[0] = False
    scaled = scaled_in_mask(data, mask)
    assert scaled.dtype == np.float32
    assert (scaled[0] == 0).all()
    assert scaled[mask].min() == 0
    assert scaled.max() == 1000
    assert np.mean(scaled[mask] == 1000) == pytest.approx(0.01, abs=0.002)
    order = np.argsort(data[mask], kind="stable")
    assert (np.diff(scaled[mask][order]) >= 0).all()


@pytest.mark.parametrize("inside", [False, True])
def test_nothing_to_scale(inside: bool) -> None:
    with pytest.raises(ValueError, match="constant within the mask"):
        scaled_in_mask(np.ones((3, 3, 3)), np.full((3, 3, 3), inside))
