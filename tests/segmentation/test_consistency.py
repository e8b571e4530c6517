"""One outline for all scans, on a simulated brain that shrinks by a known amount."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.alignment.deformation import relative_volume
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.segmentation.consistency import _growth, make_consistent
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.sides import LEFT, RIGHT
from tests.alignment.test_brain_change import _MIDDLE, AFFINE, SHAPE, _mask, _scan


def _drawn(scale: float, confidence: float) -> Segmentation:
    """Two balls beside the ventricle, as large as they are imagined to be."""
    x, y, z = np.indices(SHAPE) - _MIDDLE
    sides = [
        1 / (1 + np.exp((np.sqrt((x - at) ** 2 + y**2 + z**2) - 8 * scale) / 0.3))
        for at in (-11, 11)
    ]
    probseg = np.round(np.stack(sides, -1), 3).astype(np.float32)
    dseg = np.where(probseg[..., 0] >= 0.5, LEFT, 0) + np.where(probseg[..., 1] >= 0.5, RIGHT, 0)
    return Segmentation(
        dseg=dseg.astype(np.uint8),
        probseg=probseg,
        brain_mask=np.asarray(_mask().data, dtype=np.uint8),
        soft_volumes=probseg.sum((0, 1, 2), dtype=np.float64) * 1.5**3,
        confidence=confidence,
    )


def test_change_is_that_of_the_tissue_and_not_that_of_the_outlines() -> None:
    """Tissue shrinks by 1.5 % while the outlines that were drawn grow by 3 %."""
    images = [_scan(1.0, 1), _scan(0.995, 2, gain=1.3)]
    drawn = [_drawn(1.0, 0.91), _drawn(1.01, 0.92)]
    first, later = make_consistent(drawn, [images])
    true = 0.995**3
    assert later.soft_volumes.sum() / first.soft_volumes.sum() == pytest.approx(true, abs=0.003)
    assert later.soft_volumes / first.soft_volumes == pytest.approx([true, true], abs=0.008)
    voxels = [np.count_nonzero(result.dseg) for result in (first, later)]
    assert voxels[1] / voxels[0] == pytest.approx(true, abs=0.01)
    # Together they are as large as what was drawn, and lie where it lay.
    mean = np.mean([result.soft_volumes for result in drawn], axis=0)
    found = np.mean([result.soft_volumes for result in (first, later)], axis=0)
    assert found == pytest.approx(mean, rel=0.005)
    for before, after in zip(drawn, (first, later), strict=True):
        both = np.count_nonzero((before.dseg == after.dseg) & (before.dseg > 0))
        dice = 2 * both / (np.count_nonzero(before.dseg) + np.count_nonzero(after.dseg))
        assert dice > 0.97
        assert after.confidence == before.confidence
        assert after.probseg.sum((0, 1, 2)) * 1.5**3 == pytest.approx(after.soft_volumes, rel=0.002)


def test_the_order_of_the_scans_makes_no_difference() -> None:
    images = [_scan(scale, seed) for seed, scale in enumerate((1.0, 0.996, 0.99))]
    drawn = [_drawn(scale, 0.9) for scale in (1.0, 1.02, 0.99)]
    forth = make_consistent(drawn, [images])
    back = make_consistent(drawn[::-1], [images[::-1]])[::-1]
    for one, other in zip(forth, back, strict=True):
        assert one.soft_volumes == pytest.approx(other.soft_volumes, rel=1e-5)
    change = forth[2].soft_volumes.sum() / forth[0].soft_volumes.sum()
    assert change == pytest.approx(0.99**3, abs=0.008)


def test_one_scan_cannot_change() -> None:
    with pytest.raises(BadDataError, match="two scans"):
        make_consistent([_drawn(1.0, 0.9)], [[_scan(1.0, 1)]])


def test_thalami_at_the_edge_of_the_image() -> None:
    """A field of view that ends in the thalami is no reason to fail."""
    keep = (slice(24, 72), slice(None), slice(30, 68))
    images = [
        Volume(_scan(scale, seed).data[keep], AFFINE) for seed, scale in ((1, 1.0), (2, 0.99))
    ]
    cut = [
        Segmentation(
            dseg=result.dseg[keep],
            probseg=result.probseg[keep],
            brain_mask=result.brain_mask[keep],
        )
        for result in (_drawn(1.0, 0.9), _drawn(1.0, 0.9))
    ]
    first, later = make_consistent(cut, [images])
    assert first.dseg.shape == images[0].data.shape
    assert 0.9 < later.soft_volumes.sum() / first.soft_volumes.sum() < 1.02


def test_the_flow_is_that_through_the_border_however_wide_probabilities_are() -> None:
    """Tissue moves most at the border of a ball, and less within and beyond it."""
    radius, moved = 9.0, 0.2
    position = np.indices((40, 40, 40)) - 19.5
    distance = np.sqrt((position**2).sum(0))
    inward = moved * np.exp(-(((distance - radius) / 2) ** 2) / 2) * position / distance
    labels = np.where(distance < radius, LEFT, 0).astype(np.uint8)
    left, right = _growth(labels, inward.astype(np.float32))
    # Where the border of the mean lies, the tissue of the visit lies 0.2 voxels further out.
    assert left == pytest.approx(((radius + moved) / radius) ** 3, abs=0.003)
    assert right == 1.0
    wide = 1 / (1 + np.exp((distance - radius) / 0.8))
    averaged = np.average(relative_volume(inward.astype(np.float32)), weights=wide)
    assert averaged - 1 < 0.85 * (left - 1)
