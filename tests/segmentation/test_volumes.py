"""Volumes of a segmentation, and their interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.volumes import measure


def test_volumes_are_those_of_the_voxels(good: Segmentation) -> None:
    volumes = measure(good, 2.0)
    assert (volumes.left_ml, volumes.right_ml, volumes.total_ml) == (1.0, 0.96, 1.96)
    assert (volumes.left_soft_ml, volumes.right_soft_ml) == (0.51, 0.49)
    assert (volumes.brain_ml, volumes.icv_ml) == (1000.0, 1400.0)


def test_the_interval_lies_around_the_summed_probabilities(good: Segmentation) -> None:
    volumes = measure(good, 1.0)
    assert volumes.total_soft_ml == 1.0
    assert volumes.total_low_ml == pytest.approx(1.0 - 1.96 * 0.02)
    assert volumes.total_high_ml == pytest.approx(1.0 + 1.96 * 0.02)
    assert measure(replace(good, volume_error=1000.0), 1.0).total_low_ml == 0
    unknown = measure(replace(good, volume_error=np.nan), 1.0)
    assert np.isnan([unknown.total_low_ml, unknown.total_high_ml]).all()
