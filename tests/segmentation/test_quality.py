"""Reasons to review a segmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bids_app.segmentation.quality import assess
from bids_app.segmentation.result import Segmentation

THIN = 1.0


def test_a_good_one_is_ok(good: Segmentation) -> None:
    quality = assess(good, THIN)
    assert (quality.verdict, quality.reasons, quality.confidence) == ("ok", (), 0.92)


def test_slices_of_two_millimetres_by_a_rounded_header_are_not_thick(good: Segmentation) -> None:
    assert assess(good, 2.0000002).verdict == "ok"
    assert assess(good, 2.1).reasons == ("slices of 2.1 mm",)


def test_what_a_method_does_not_report_is_no_reason(good: Segmentation) -> None:
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


def test_what_lies_in_the_image_is_a_reason_too(good: Segmentation) -> None:
    reasons = assess(replace(good, truncated=True), THIN, ["the sides are uncertain"]).reasons
    assert reasons == ("the sides are uncertain", "the image cuts the brain")
