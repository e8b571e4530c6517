"""Fusion of masks by each rule."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.segmentation.fusion import (
    RULES,
    Ensemble,
    ensembles,
    fuse,
    majority,
    rule_of,
    staple,
    staple_probability,
    union,
)
from bids_app.segmentation.result import Segmentation, Thalami


def _labels(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 1)


def test_union_keeps_the_first_side() -> None:
    fused = union([_labels(0, 1, 1, 0, 2), _labels(0, 0, 2, 2, 2)])
    assert fused.ravel().tolist() == [0, 1, 1, 2, 2]


def test_majority_counts_each_side_by_itself() -> None:
    fused = majority([_labels(1, 1, 0, 2), _labels(1, 2, 0, 2), _labels(0, 0, 2, 1)])
    assert fused.ravel().tolist() == [1, 0, 0, 2]


def test_staple_recovers_the_performance_of_simulated_raters() -> None:
    """Independent errors: the fused mask is better than every rater."""
    rng = np.random.default_rng(0)
    truth = np.zeros((24, 24, 24), dtype=bool)
    truth[6:18, 6:18, 6:18] = True
    masks = []
    for sensitivity, specificity in ((0.9, 0.95), (0.8, 0.97), (0.95, 0.8), (0.7, 0.99)):
        hit = rng.random(truth.shape)
        masks.append(np.where(truth, hit < sensitivity, hit > specificity))
    fused = staple_probability(masks) >= 0.5
    errors = [np.count_nonzero(mask != truth) for mask in masks]
    assert np.count_nonzero(fused != truth) < 0.5 * min(errors)


def test_staple_of_equal_masks_is_that_mask() -> None:
    mask = np.zeros((12, 12, 12), dtype=np.uint8)
    mask[2:5, 4:8, 4:8], mask[7:10, 4:8, 4:8] = 1, 2
    assert (staple([mask] * 3) == mask).all()
    assert not staple([np.zeros_like(mask)] * 3).any()


def test_the_four_ensembles_of_the_paper_and_their_names() -> None:
    found = ensembles(("T1w", "FLAIR", "R1map"), ("union", "majority", "mean", "staple"))
    assert [each.name for each in found] == [
        "T1wFLAIR",
        "T1wR1map",
        "FLAIRR1map",
        "T1wFLAIRR1map",
        "T1wFLAIRR1mapMean",
        "T1wFLAIRR1mapStaple",
    ]
    assert ensembles(("T1w",), ("union", "majority", "mean", "staple")) == []
    assert ensembles(("T1w", "FLAIR"), ("staple", "majority")) == []
    assert Ensemble(("T1w", "FLAIR"), "mean").name == "T1wFLAIRMean"


@pytest.fixture
def parts() -> list[Segmentation]:
    """Two segmentations of three voxels, with the left volumes 1 and 3 mm³."""
    probabilities = (
        [[0.9, 0.0], [0.3, 0.4], [0.2, 0.2]],
        [[0.3, 0.0], [0.1, 0.4], [0.2, 0.2]],
    )
    return [
        Segmentation(
            dseg=_labels(1, 1, 1),
            soft_volumes=np.array([volume, 2.0]),
            brain_volume=brain,
            confidence=0.9,
            probseg=np.array(each, dtype=np.float32).reshape(3, 1, 1, 2),
            brain_mask=_labels(1, 1, 1),
        )
        for each, volume, brain in zip(probabilities, (1.0, 3.0), (10.0, 20.0), strict=True)
    ]


def test_the_mean_averages_probabilities_and_soft_volumes(parts: list[Segmentation]) -> None:
    fused = fuse(parts, "mean", parts[1])
    assert fused.dseg.ravel().tolist() == [1, 2, 0]
    assert fused.soft_volumes.tolist() == [2.0, 2.0]
    assert fused.brain_volume == 20.0
    assert np.isnan(fused.confidence)


def test_only_probabilities_give_soft_volumes(parts: list[Segmentation]) -> None:
    assert np.isnan(fuse(parts, "union", parts[0]).soft_volumes).all()
    labels_only = Thalami(dseg=parts[0].dseg)
    with pytest.raises(ValueError, match="needs probabilities"):
        fuse([parts[0], labels_only], "mean", parts[0])


def test_the_name_of_an_ensemble_tells_its_rule() -> None:
    for ensemble in ensembles(("T1w", "FLAIR", "T2w", "R1map"), tuple(RULES)):
        assert rule_of(ensemble.name) == ensemble.rule
    for name in ("T1w", "T1wFLAIRJoint", "R1map", ""):
        assert rule_of(name) is None
