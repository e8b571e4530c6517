"""Why a segmentation is flagged, and the interval of its volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bids_app.segmentation.quality import assess
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.volumes import measure

THIN = 1.0


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


def test_a_good_one_is_ok(good: Segmentation) -> None:
    quality = assess(good, THIN)
    assert (quality.verdict, quality.reasons, quality.confidence) == ("ok", (), 0.92)


def test_what_a_method_does_not_tell_is_no_reason(good: Segmentation) -> None:
    assert assess(replace(good, confidence=np.nan), THIN).verdict == "ok"


def test_every_reason_is_named(good: Segmentation) -> None:
    dseg = good.dseg.copy()
    dseg[12, 2:12, 2:12] = 0
    dseg[0, 5, 5] = 1
    bad = replace(good, dseg=dseg, confidence=0.85)
    quality = assess(bad, 3.0)
    assert quality.verdict == "check"
    # 501 and 380 voxels: the difference is 27 % of their mean.
    assert quality.reasons == (
        "slices of 3.0 mm",
        "confidence 0.85, expected 0.89 or more",
        "the left thalamus is 27 % larger",
        "a thalamus reaches the edge of the image or of the region searched",
    )
    assert len(assess(replace(good, cut_off=True), THIN).reasons) == 1


def test_a_missing_side_is_flagged(good: Segmentation) -> None:
    alone = replace(good, dseg=np.where(good.dseg == 2, 2, 0).astype(np.uint8))
    assert assess(alone, THIN).reasons == ("the right thalamus is 200 % larger",)


def test_the_interval_lies_around_the_summed_probabilities(good: Segmentation) -> None:
    volumes = measure(good, 1.0)
    assert volumes.total_soft_ml == 1.0
    assert volumes.total_low_ml == pytest.approx(1.0 - 1.96 * 0.02)
    assert volumes.total_high_ml == pytest.approx(1.0 + 1.96 * 0.02)
    assert measure(replace(good, volume_error=1000.0), 1.0).total_low_ml == 0
    unknown = measure(replace(good, volume_error=np.nan), 1.0)
    assert np.isnan([unknown.total_low_ml, unknown.total_high_ml]).all()
