"""Brightness of tissues in each contrast: tables, and random draws around them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.draws import Draws
from training.fields import paired
from training.labels import TISSUE_NAMES
from training.views import CONTRASTS

# Relative mean intensities of each tissue. T1w and R1 after the T1 times of Wansapura et al. 1999
# and Stueber et al. 2014 at 3 T; FLAIR and T2w relative to CSF as in MS protocols. The draws
# around them are wide: only the order and rough spacing of tissues matters.
_T1W = {
    "white matter": 1.0,
    "cortex": 0.64,
    "ventricle": 0.2,
    "cerebellar white matter": 0.97,
    "cerebellar cortex": 0.65,
    "caudate": 0.68,
    "putamen": 0.74,
    "pallidum": 0.88,
    "brainstem": 0.92,
    "hippocampus": 0.64,
    "amygdala": 0.64,
    "cerebrospinal fluid": 0.22,
    "lesion": 0.68,
    "accumbens": 0.68,
    "ventral diencephalon": 0.86,
    "vessel": 0.5,
    "optic chiasm": 0.85,
    "choroid plexus": 0.42,
    "bone": 0.15,
    "soft tissue": 0.6,
    "skin": 1.1,
    "eye": 0.3,
    "mucosa": 0.45,
}
_FLAIR = {
    "white matter": 0.62,
    "cortex": 0.82,
    "ventricle": 0.08,
    "cerebellar white matter": 0.64,
    "cerebellar cortex": 0.78,
    "caudate": 0.8,
    "putamen": 0.76,
    "pallidum": 0.58,
    "brainstem": 0.64,
    "hippocampus": 0.86,
    "amygdala": 0.86,
    "cerebrospinal fluid": 0.12,
    "lesion": 1.1,
    "accumbens": 0.8,
    "ventral diencephalon": 0.62,
    "vessel": 0.25,
    "optic chiasm": 0.6,
    "choroid plexus": 0.5,
    "bone": 0.1,
    "soft tissue": 0.4,
    "skin": 0.7,
    "eye": 0.15,
    "mucosa": 0.5,
}
_T2W = {
    "white matter": 0.32,
    "cortex": 0.5,
    "ventricle": 1.0,
    "cerebellar white matter": 0.34,
    "cerebellar cortex": 0.5,
    "caudate": 0.46,
    "putamen": 0.43,
    "pallidum": 0.28,
    "brainstem": 0.36,
    "hippocampus": 0.52,
    "amygdala": 0.5,
    "cerebrospinal fluid": 0.95,
    "lesion": 0.65,
    "accumbens": 0.46,
    "ventral diencephalon": 0.34,
    "vessel": 0.1,
    "optic chiasm": 0.38,
    "choroid plexus": 0.8,
    "bone": 0.05,
    "soft tissue": 0.3,
    "skin": 0.5,
    "eye": 0.9,
    "mucosa": 0.6,
}
_R1 = _T1W | {
    "ventricle": 0.22,
    "cerebrospinal fluid": 0.24,
    "cortex": 0.6,
    "caudate": 0.64,
    "putamen": 0.7,
    "pallidum": 0.86,
    "air": 0.3,
}
MEANS = {"T1w": _T1W, "FLAIR": _FLAIR, "T2w": _T2W, "R1map": _R1}
# Position of the thalamus between deep grey matter (0) and white matter (1); wider in the old.
_THALAMUS_FRACTION, _THALAMUS_FRACTION_OLD = (0.15, 0.75), (0.1, 0.9)
# Lesions relative to white matter and ventricles: 0 is white matter, 1 as the ventricles, below 0
# away from them. In the order of CONTRASTS.
LESION_FRACTION = ((0.1, 0.8), (-1.2, -0.3), (0.2, 0.8), (0.1, 0.7))
# Share of images after contrast agent, in the order of CONTRASTS.
_ENHANCED = (0.22, 0.1, 0.0, 0.1)
# Share of the pairs taken by one protocol in which one image alone may be after contrast agent.
_BEFORE_AND_AFTER = 0.5
# Share of images whose tissues are of random brightness.
_RANDOM = 0.12
# SD of the mean of a tissue, in the old, and outside the skull.
_SD, _SD_OLD, _SD_OUTSIDE = 0.035, 0.05, 0.2
# Loss of contrast between white and grey matter in the old, in general, after contrast agent: grey
# matter holds more blood, and sequences for contrast agent weigh T1 less.
_PALER_OLD, _PALER, _PALER_ENHANCED = 0.35, 0.1, 0.25
# Most by which blood within it brightens grey matter.
_PERFUSED = 0.06

_OUTSIDE = [TISSUE_NAMES.index(name) for name in ("bone", "soft tissue", "skin", "eye", "mucosa")]
_GREY = [
    TISSUE_NAMES.index(name)
    for name in ("cortex", "caudate", "putamen", "accumbens", "hippocampus", "amygdala")
]
_WHITE = [TISSUE_NAMES.index(name) for name in ("white matter", "cerebellar white matter")]
_AIR, _THALAMUS = TISSUE_NAMES.index("air"), TISSUE_NAMES.index("thalamus")
_STRIATUM = [TISSUE_NAMES.index(name) for name in ("caudate", "putamen")]
_ENHANCING = [TISSUE_NAMES.index(name) for name in ("choroid plexus", "vessel", "mucosa")]


@dataclass(frozen=True)
class Brightness:
    """Signal of every tissue in each contrast of each session.

    Attributes
    ----------
    means : (N, CONTRASTS, TISSUES) float32
    enhanced : (N, CONTRASTS) bool
        Whether contrast agent was given.
    """

    means: torch.Tensor
    enhanced: torch.Tensor

    def of(self, tissue: str) -> torch.Tensor:
        """Signal (N, CONTRASTS) of one tissue."""
        return self.means[:, :, TISSUE_NAMES.index(tissue)]

    @property
    def striatum(self) -> torch.Tensor:
        """Signal (N, CONTRASTS) of deep grey matter."""
        return self.means[:, :, _STRIATUM].mean(2)


def draw_brightness(old: torch.Tensor, same: torch.Tensor, draws: Draws) -> Brightness:
    """Draw the signals of sessions, in each of which every contrast could be taken.

    Parameters
    ----------
    old : (2 P,) bool
        Whether the head is drawn old or ill.
    same : (P,) bool
        Pairs taken by one protocol: tissues are alike, but for contrast agent in some.
    draws : Draws
    """
    count, kinds = len(old), len(CONTRASTS)
    table = torch.tensor(
        [[MEANS[name].get(tissue, 0.0) for tissue in TISSUE_NAMES] for name in CONTRASTS],
        device=draws.device,
    )
    aged = old[:, None, None]
    spread = torch.where(aged, _SD_OLD, _SD).expand(count, kinds, len(TISSUE_NAMES)).clone()
    spread[:, :, _OUTSIDE] = _SD_OUTSIDE
    spread[:, :, _AIR] = 0.0
    means = table + spread * draws.normal(1.0, *spread.shape)
    means[:, :, _AIR] += draws.uniform(0.0, 0.03, count, kinds)
    grey = means[:, :, _STRIATUM].mean(2, keepdim=True)
    paler = torch.where(aged, _PALER_OLD, _PALER) * draws.uniform(0.0, 1.0, count, kinds, 1)
    means[:, :, _WHITE] -= paler * (means[:, :, _WHITE] - grey)
    low = torch.where(old, _THALAMUS_FRACTION_OLD[0], _THALAMUS_FRACTION[0])
    high = torch.where(old, _THALAMUS_FRACTION_OLD[1], _THALAMUS_FRACTION[1])
    fraction = low[:, None] + (high - low)[:, None] * draws.uniform(0.0, 1.0, count, kinds)
    white = means[:, :, _WHITE[0]]
    means[:, :, _THALAMUS] = grey[:, :, 0] + fraction * (white - grey[:, :, 0])
    means = paired(means, same)
    share = torch.tensor(_ENHANCED, device=draws.device)
    both = ~draws.chance(_BEFORE_AND_AFTER, count // 2)
    enhanced = paired(draws.uniform(0.0, 1.0, count, kinds) < share, same & both)
    after = paired(_agent(count, kinds, draws), same)
    means = torch.where(enhanced[:, :, None], _after_agent(means, after), means)
    gamma = paired(draws.normal(0.15, count, kinds, 1).exp(), same)
    means = means.clamp(min=0.0) ** gamma
    random = draws.uniform(0.05, 1.0, *means.shape)
    random[:, :, _AIR] *= 0.1
    chosen = paired(draws.chance(_RANDOM, count, kinds), same)
    means = torch.where(chosen[:, :, None], paired(random, same), means)
    return Brightness(means, enhanced & ~chosen)


def _agent(count: int, kinds: int, draws: Draws) -> torch.Tensor:
    """Draw shares (N, K, 3 + enhancing tissues) in which contrast agent shows."""
    return draws.uniform(0.0, 1.0, count, kinds, 3 + len(_ENHANCING))


def _after_agent(means: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Brighten what gadolinium reaches: vessels and plexus much, grey matter a little."""
    means = means.clone()
    grey = means[:, :, _STRIATUM].mean(2, keepdim=True)
    parenchyma = [*_WHITE, _THALAMUS]
    paler = _PALER_ENHANCED * shares[:, :, :1].square()
    means[:, :, parenchyma] -= paler * (means[:, :, parenchyma] - grey)
    means[:, :, _ENHANCING] = means[:, :, _WHITE[:1]] * (0.7 + shares[:, :, 3:])
    more = _PERFUSED * shares[:, :, 1:2]
    means[:, :, [*_GREY, _THALAMUS]] *= 1 + more
    means[:, :, _WHITE] *= 1 + 0.6 * more * shares[:, :, 2:3]
    return means
