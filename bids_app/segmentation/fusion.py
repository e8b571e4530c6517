"""Fusion of the segmentations of several contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bids_app.contrasts import split_name
from bids_app.options import Rule
from bids_app.segmentation.labels import labels_of
from bids_app.segmentation.result import ProbableThalami, Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

RULES: dict[Rule, str] = {
    "union": "union: in at least one mask; where sides differ, the first mask decides",
    "majority": "majority: in more than half of the masks (Ibrahim et al. 2026)",
    "mean": "mean: average of the probabilities, at least 0.5",
    "staple": "STAPLE: expectation maximisation of Warfield et al. 2004, at least 0.5",
}
# STAPLE compares the masks in their union, dilated by so many voxels.
_STAPLE_MARGIN = 3
_STAPLE_STEPS, _STAPLE_TOLERANCE = 200, 1e-7


@dataclass(frozen=True)
class Ensemble:
    """Contrasts that are fused, and the rule.

    Attributes
    ----------
    contrasts : tuple of str
    rule : {'union', 'majority', 'mean', 'staple'}
    """

    contrasts: tuple[str, ...]
    rule: Rule

    @property
    def name(self) -> str:
        """Name in files and tables, such as ``T1wR1map`` or ``T1wFLAIRR1mapStaple``.

        The ensembles of Ibrahim et al. 2026, unions of two and majorities of three, are named
        without their rule.
        """
        usual = self.rule == ("union" if len(self.contrasts) == 2 else "majority")
        return "".join(self.contrasts) + ("" if usual else self.rule.capitalize())


def rule_of(name: str) -> Rule | None:
    """Find the rule of an ensemble from its name.

    Parameters
    ----------
    name : str
        As in `Ensemble.name`.

    Returns
    -------
    {'union', 'majority', 'mean', 'staple'} or None
        None for any other name, such as that of a single contrast.

    Examples
    --------
    >>> rule_of("T1wR1map"), rule_of("T1wFLAIRR1mapStaple"), rule_of("FLAIR")
    ('union', 'staple', None)
    """
    parts = split_name(name)
    candidates = (Ensemble(parts, rule) for rule in RULES if len(parts) > 1)
    return next((each.rule for each in candidates if each.name == name), None)


def ensembles(contrasts: Sequence[str], rules: Sequence[Rule]) -> list[Ensemble]:
    """List the ensembles that the contrasts of a session allow.

    Parameters
    ----------
    contrasts : sequence of str
        Those that were segmented, the anchor first.
    rules : sequence of {'union', 'majority', 'mean', 'staple'}

    Returns
    -------
    list of Ensemble
        Unions of every two contrasts, majorities of every three (the four ensembles of Ibrahim et
        al. 2026 where there are T1w, FLAIR and R1map); mean and STAPLE of all contrasts.
    """
    possible = []
    if "union" in rules:
        possible += [Ensemble(pair, "union") for pair in combinations(contrasts, 2)]
    if "majority" in rules:
        possible += [Ensemble(three, "majority") for three in combinations(contrasts, 3)]
    if len(contrasts) > 1 and "mean" in rules:
        possible.append(Ensemble(tuple(contrasts), "mean"))
    if len(contrasts) > 2 and "staple" in rules:
        possible.append(Ensemble(tuple(contrasts), "staple"))
    return possible


def fuse(segmentations: Sequence[Thalami], rule: Rule, head: Thalami) -> Thalami:
    """Fuse segmentations of the same thalami.

    Parameters
    ----------
    segmentations : sequence of Thalami
        On one grid, the anchor's first.
    rule : {'union', 'majority', 'mean', 'staple'}
    head : Thalami
        Segmentation of the same head whose brain and intracranial volume, and whether it or the
        brain is cut off, hold for the fused one too.

    Returns
    -------
    Thalami
        ``soft_volumes`` are means for the rule ``mean``, else NaN.

    Raises
    ------
    ValueError
        If the rule is ``mean`` and a segmentation has no probabilities.
    """
    masks = [each.dseg for each in segmentations]
    soft_volumes = np.full(2, np.nan)
    match rule:
        case "union":
            dseg = union(masks)
        case "majority":
            dseg = majority(masks)
        case "staple":
            dseg = staple(masks)
        case "mean":
            dseg = labels_of(_mean_probability(segmentations))
            soft_volumes = np.mean([each.soft_volumes for each in segmentations], axis=0)
    return Thalami(
        dseg=dseg,
        soft_volumes=soft_volumes,
        brain_volume=head.brain_volume,
        icv=head.icv,
        deep_grey_volume=head.deep_grey_volume,
        ventricle_volume=head.ventricle_volume,
        cut_off=head.cut_off,
        truncated=head.truncated,
    )


def union(masks: Sequence[Labels]) -> Labels:
    """Label the voxels that are in at least one mask.

    Parameters
    ----------
    masks : sequence of (X, Y, Z) uint8
        1 left, 2 right. Where they name different sides, the first one decides.

    Returns
    -------
    (X, Y, Z) uint8
    """
    fused = masks[0].copy()
    for mask in masks[1:]:
        np.copyto(fused, mask, where=fused == 0)
    return fused


def majority(masks: Sequence[Labels]) -> Labels:
    """Label the voxels that more than half of the masks give to the same side.

    Parameters
    ----------
    masks : sequence of (X, Y, Z) uint8
        1 left, 2 right.

    Returns
    -------
    (X, Y, Z) uint8
    """
    fused = np.zeros_like(masks[0])
    for side in (LEFT, RIGHT):
        votes = np.sum([mask == side for mask in masks], axis=0)
        fused[votes > len(masks) / 2] = side
    return fused


def staple(masks: Sequence[Labels]) -> Labels:
    """Fuse by simultaneous truth and performance level estimation (STAPLE), for each side.

    Warfield, Zou & Wells 2004, IEEE Trans Med Imaging 23:903, with a prior that is the same in
    every voxel: the mean share of the masks in the region compared, which is their union dilated
    by three voxels. Segmentations of the same image have common errors, which STAPLE takes for
    agreement; it then tends towards the union.

    Parameters
    ----------
    masks : sequence of (X, Y, Z) uint8
        1 left, 2 right; at least one.

    Returns
    -------
    (X, Y, Z) uint8
    """
    fused = np.zeros_like(masks[0])
    for side in (LEFT, RIGHT):
        inside = staple_probability([mask == side for mask in masks]) >= 0.5
        fused[inside & (fused == 0)] = side
    return fused


def staple_probability(masks: Sequence[Mask]) -> npt.NDArray[np.float64]:
    """Estimate the probability that voxels belong to a structure that was segmented several times.

    Parameters
    ----------
    masks : sequence of (X, Y, Z) bool

    Returns
    -------
    (X, Y, Z) float64
        0 outside the region compared.
    """
    from scipy.ndimage import binary_dilation

    probability = np.zeros(masks[0].shape)
    covered = np.any(masks, axis=0)
    if not covered.any():
        return probability
    region = binary_dilation(covered, iterations=_STAPLE_MARGIN)
    # Voxels with the same votes share their probability: only the 2^R patterns are computed.
    pattern = np.zeros(np.count_nonzero(region), dtype=np.int64)
    for mask in masks:
        pattern = 2 * pattern + mask[region]
    patterns, place, counts = np.unique(pattern, return_inverse=True, return_counts=True)
    votes = (patterns[:, None] >> np.arange(len(masks))[::-1]) & 1
    probability[region] = _expectation_maximisation(votes, counts)[place]
    return probability


def _expectation_maximisation(
    votes: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Estimate the probability (P,) of each pattern of votes (P, R) from its counts (P,)."""
    prior = float((votes.mean(1) * counts).sum() / counts.sum())
    sensitivity = specificity = np.full(votes.shape[1], 0.99)
    weight: npt.NDArray[np.float64] = votes.mean(1)
    for _ in range(_STAPLE_STEPS):
        inside = prior * np.where(votes, sensitivity, 1 - sensitivity).prod(1)
        outside = (1 - prior) * np.where(votes, 1 - specificity, specificity).prod(1)
        # Posterior probability of the structure, given the votes.
        before, weight = weight, inside / np.maximum(inside + outside, 1e-300)
        if np.abs(weight - before).max() < _STAPLE_TOLERANCE:
            break
        true, false = weight * counts, (1 - weight) * counts
        sensitivity = (true @ votes) / max(true.sum(), 1e-300)
        specificity = (false @ (1 - votes)) / max(false.sum(), 1e-300)
    return weight


def _mean_probability(segmentations: Sequence[Thalami]) -> npt.NDArray[np.float32]:
    """Average probabilities, (X, Y, Z, 2)."""
    probabilities = [each.probseg for each in segmentations if isinstance(each, ProbableThalami)]
    if len(probabilities) < len(segmentations):
        raise ValueError("the rule 'mean' needs probabilities, which a segmentation lacks.")
    return np.asarray(np.mean(probabilities, axis=0, dtype=np.float32))
