"""Fusion of masks by each rule."""

from __future__ import annotations

import numpy as np
import pytest

from bids_app.segmentation.fusion import (
    RULES,
    Ensemble,
    ensembles,
    fuse,
    labels_of,
    majority,
    mean_probability,
    rule_of,
    staple,
    staple_probability,
    union,
)
from bids_app.segmentation.result import Segmentation


def _labels(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 1)


def test_union_keeps_the_first_side() -> None:
    fused = union([_labels(0, 1, 1, 0, 2), _labels(0, 0, 2, 2, 2)])
    assert fused.ravel().tolist() == [0, 1, 1, 2, 2]


def test_majority_counts_each_side_by_itself() -> None:
    fused = majority([_labels(1, 1, 0, 2), _labels(1, 2, 0, 2), _labels(0, 0, 2, 1)])
    assert fused.ravel().tolist() == [1, 0, 0, 2]


def test_mean_probability_and_its_labels() -> None:
    first = np.array([[0.9, 0.0], [0.3, 0.4], [0.2, 0.2]], dtype=np.float32)
    second = np.array([[0.3, 0.0], [0.1, 0.4], [0.2, 0.2]], dtype=np.float32)
    mean = mean_probability([p.reshape(3, 1, 1, 2) for p in (first, second)])
    assert mean[0, 0, 0, 0] == pytest.approx(0.6)
    assert labels_of(mean).ravel().tolist() == [1, 2, 0]


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


def test_only_probabilities_give_soft_volumes() -> None:
    probseg = np.full((2, 2, 2, 2), 0.3, dtype=np.float32)
    dseg = np.ones((2, 2, 2), dtype=np.uint8)
    parts = [
        Segmentation(dseg, np.array([volume, 2.0]), probseg=probseg, brain_mask=dseg)
        for volume in (1.0, 3.0)
    ]
    labels, volumes = fuse(parts, "mean")
    assert labels.all()
    assert volumes.tolist() == [2.0, 2.0]
    assert np.isnan(fuse(parts, "union")[1]).all()


def test_the_name_of_an_ensemble_tells_its_rule() -> None:
    for ensemble in ensembles(("T1w", "FLAIR", "T2w", "R1map"), tuple(RULES)):
        assert rule_of(ensemble.name) == ensemble.rule
    for name in ("T1w", "T1wFLAIRJoint", "R1map", ""):
        assert rule_of(name) is None
