"""Fusing the masks of several contrasts into one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from bids_app.segmentation.result import Segmentation, Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Rule = Literal["union", "majority", "mean", "staple"]

RULES: dict[Rule, str] = {
    "union": "union: in at least one mask; where sides differ, the first mask decides",
    "majority": "majority: in more than half of the masks (Ibrahim et al. 2026)",
    "mean": "mean: average of the probabilities, at least 0.5",
    "staple": "STAPLE: expectation maximisation of Warfield et al. 2004, at least 0.5",
}
# STAPLE compares the masks where they matter: in their union, widened by so many voxels.
_STAPLE_MARGIN = 3
_STAPLE_STEPS, _STAPLE_TOLERANCE = 200, 1e-7


@dataclass(frozen=True)
class Ensemble:
    """Which contrasts are fused, and how.

    Attributes
    ----------
    contrasts : tuple of str
    rule : {'union', 'majority', 'mean', 'staple'}
    """

    contrasts: tuple[str, ...]
    rule: Rule

    @property
    def name(self) -> str:
        """As it stands in file names and tables, ``T1wR1map`` or ``T1wFLAIRR1mapStaple``.

        The paper's own ensembles, unions of two and the majority of three, bear no rule.
        """
        usual = self.rule == ("union" if len(self.contrasts) == 2 else "majority")
        return "".join(self.contrasts) + ("" if usual else self.rule.capitalize())


def rule_of(name: str) -> Rule | None:
    """By which rule contrasts were fused, told from the name of their ensemble.

    Parameters
    ----------
    name : str
        As `Ensemble.name` gives it; anything else was not fused.

    Returns
    -------
    {'union', 'majority', 'mean', 'staple'} or None
    """
    parts = re.findall("T1w|T2w|FLAIR|R1map", name)
    candidates = (Ensemble(tuple(parts), rule) for rule in RULES if len(parts) > 1)
    return next((each.rule for each in candidates if each.name == name), None)


def ensembles(contrasts: Sequence[str], rules: Sequence[Rule]) -> list[Ensemble]:
    """List the ensembles that the contrasts of a session allow.

    Parameters
    ----------
    contrasts : sequence of str
        Those with a mask, the anchor first.
    rules : sequence of {'union', 'majority', 'mean', 'staple'}

    Returns
    -------
    list of Ensemble
        Unions of every two contrasts, majorities of every three (the four ensembles of Ibrahim et
        al. 2026 where T1w, FLAIR and R1map are there); mean and STAPLE of all contrasts.
    """
    found = []
    if "union" in rules:
        found += [Ensemble(pair, "union") for pair in combinations(contrasts, 2)]
    if "majority" in rules:
        found += [Ensemble(three, "majority") for three in combinations(contrasts, 3)]
    if len(contrasts) > 1 and "mean" in rules:
        found.append(Ensemble(tuple(contrasts), "mean"))
    if len(contrasts) > 2 and "staple" in rules:
        found.append(Ensemble(tuple(contrasts), "staple"))
    return found


def fuse(segmentations: Sequence[Thalami], rule: Rule) -> tuple[Labels, npt.NDArray[np.float64]]:
    """Fuse segmentations of the same thalami.

    Parameters
    ----------
    segmentations : sequence of Thalami
        On one grid, the anchor's first; for ``mean`` those that know probabilities.
    rule : {'union', 'majority', 'mean', 'staple'}

    Returns
    -------
    dseg : (X, Y, Z) uint8
    soft_volumes : (2,) float64
        Left and right in mm³ where the rule is about probabilities, else NaN.
    """
    unknown = np.full(2, np.nan)
    if rule == "mean":
        known = [each.probseg for each in segmentations if isinstance(each, Segmentation)]
        mean = mean_probability(known)
        return labels_of(mean), np.mean([each.soft_volumes for each in segmentations], axis=0)
    masks = [each.dseg for each in segmentations]
    rules = {"union": union, "majority": majority, "staple": staple}
    return rules[rule](masks), unknown


def union(masks: Sequence[Labels]) -> Labels:
    """Voxels in at least one mask.

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
    """Voxels that more than half of the masks give to the same side.

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


def mean_probability(
    probabilities: Sequence[npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Average the probabilities of several segmentations.

    Parameters
    ----------
    probabilities : sequence of (X, Y, Z, 2) float32
        Left and right thalamus.

    Returns
    -------
    (X, Y, Z, 2) float32
    """
    return np.asarray(np.mean(probabilities, axis=0, dtype=np.float32))


def labels_of(probabilities: npt.NDArray[np.float32]) -> Labels:
    """Label the voxels that are more likely thalamus than not.

    Parameters
    ----------
    probabilities : (X, Y, Z, 2) float32
        Left and right thalamus.

    Returns
    -------
    (X, Y, Z) uint8
        The likelier side where both together reach 0.5.
    """
    left, right = probabilities[..., 0], probabilities[..., 1]
    inside = left + right >= 0.5
    return np.asarray(inside * np.where(left >= right, LEFT, RIGHT), dtype=np.uint8)


def staple(masks: Sequence[Labels]) -> Labels:
    """Simultaneous truth and performance level estimation, for each side.

    Warfield, Zou & Wells 2004, IEEE Trans Med Imaging 23:903, with a prior that is the same in
    every voxel: the mean share of the masks in the region compared, which is their union widened
    by three voxels. Masks that were drawn from the same image err together, which STAPLE takes
    for agreement; it then tends towards the union.

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
    """Probability that each voxel truly belongs to a structure that was drawn several times.

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
    found, place, counts = np.unique(pattern, return_inverse=True, return_counts=True)
    votes = (found[:, None] >> np.arange(len(masks))[::-1]) & 1
    probability[region] = _expectation_maximisation(votes, counts)[place]
    return probability


def _expectation_maximisation(
    votes: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Probability of each pattern of votes (P, R), seen so often (P,)."""
    prior = float((votes.mean(1) * counts).sum() / counts.sum())
    sensitivity = specificity = np.full(votes.shape[1], 0.99)
    weight: npt.NDArray[np.float64] = votes.mean(1)
    for _ in range(_STAPLE_STEPS):
        inside = prior * np.where(votes, sensitivity, 1 - sensitivity).prod(1)
        outside = (1 - prior) * np.where(votes, 1 - specificity, specificity).prod(1)
        before, weight = weight, inside / np.maximum(inside + outside, 1e-300)
        if np.abs(weight - before).max() < _STAPLE_TOLERANCE:
            break
        true, false = weight * counts, (1 - weight) * counts
        sensitivity = (true @ votes) / max(true.sum(), 1e-300)
        specificity = (false @ (1 - votes)) / max(false.sum(), 1e-300)
    return weight
