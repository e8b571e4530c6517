"""Masks that were corrected by hand are followed in place of the network's."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.dataset.staging import staged
from bids_app.derivatives.outputs import write_segmentation
from bids_app.images.volume import Volume
from bids_app.segmentation.result import Thalami
from tests.participant.follow_up.subject import Subject, head, threshold, turned

_HEAD = head()


def _edit(subject: Subject, label: str, image: Volume, radius: float, *, manual: bool) -> float:
    """Write a ball as the mask of a visit; return its volume in mL."""
    scan = subject.sessions[label].anchors[0]
    dseg = threshold({"T1w": image}, 1).dseg
    brain = image.data > 300
    world = np.einsum("ij,jxyz->ixyz", image.affine[:3, :3], np.indices(brain.shape))
    offset = world - world[:, brain].mean(1)[:, None, None, None]
    inside = (offset**2).sum(0) < radius**2
    dseg = np.where(inside, np.where(offset[0] < 0, 1, 2), 0).astype(np.uint8)
    with staged(subject.output, f"sub-01_ses-{label}") as staging:
        write_segmentation(
            staging,
            scan,
            "thalnet",
            ("T1w",),
            Thalami(dseg=dseg),
            image.affine,
            provenance={"Manual": manual},
        )
    return float(inside.sum() * image.voxel_volume / 1000)


def _volumes(subject: Subject) -> list[float]:
    return list(subject.volumes.sort_values("session_id")["total_soft_ml"])


def test_an_edited_mask_is_followed_and_the_network_s_again_without_it(subject: Subject) -> None:
    other = turned(_HEAD, 3)
    subject.visit("a", {"T1w": _HEAD})
    subject.visit("b", {"T1w": other})
    usual = _edit(subject, "a", _HEAD, 9.0, manual=False)
    subject.follow()
    before = _volumes(subject)
    assert before == pytest.approx([usual, usual], rel=0.05)
    larger = _edit(subject, "a", _HEAD, 12.0, manual=True)
    outcome = subject.follow()
    assert outcome.status == "done"
    assert any("ses-a is followed by the mask that was corrected" in w for w in outcome.warnings)
    # The mean of both visits' masks is what is propagated to either.
    assert larger > 2 * usual
    assert _volumes(subject) == pytest.approx([(usual + larger) / 2] * 2, rel=0.05)
    assert subject.changes[0].total_change == pytest.approx(0.0, abs=1.0)
    _edit(subject, "a", _HEAD, 9.0, manual=False)
    assert subject.follow().status == "done"
    assert _volumes(subject) == before
