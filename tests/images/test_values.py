"""Values of an image within a region, weighted by the share of each voxel."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.images.values import values_within


def test_voxels_count_by_their_share() -> None:
    image = np.array([[[1.0, 2.0, 4.0, 100.0, np.nan, 9.0]]], dtype=np.float32)
    share = np.array([[[1.0, 1.0, 0.5, 0.0, 1.0, 0.4]]], dtype=np.float32)
    values = values_within(image, share, 8.0)
    assert values.volume == 20.0
    assert values.mean == 2.0
    assert values.sd == pytest.approx(np.sqrt((1 + 0 + 0.5 * 4) / 2.5))


def test_equal_shares_give_the_usual_quantiles() -> None:
    rng = np.random.default_rng(3)
    image = rng.normal(size=(9, 10, 11)).astype(np.float32)
    values = values_within(image, np.full(image.shape, 0.6, dtype=np.float32), 1.0)
    expected = np.quantile(image, [0.05, 0.5, 0.95], method="hazen")
    assert (values.low, values.median, values.high) == pytest.approx(tuple(expected), abs=1e-6)


def test_a_region_without_values_has_none() -> None:
    nothing = np.full((2, 2, 2), np.nan, dtype=np.float32)
    values = values_within(nothing, np.ones((2, 2, 2), dtype=np.float32), 1.0)
    assert values.volume == 0.0
    assert np.isnan([values.mean, values.median, values.sd, values.low, values.high]).all()
