"""Strategies by which an image is aligned with the anatomical one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bids_app.alignment.correlation import register_by_correlation
from bids_app.alignment.registration import Stage, register
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume

# The coarse registration from which all strategies start that do not search for their own, for
# images of half the resolution.
COARSE = (
    Stage(
        transform="Rigid",
        step=0.1,
        sampling=0.5,
        iterations=(60,),
        shrink=(2,),
        smoothing=(1,),
        tolerance=1e-5,
    ),
)


@dataclass(frozen=True)
class Strategy:
    """One strategy of alignment.

    Attributes
    ----------
    name : str
        As in sidecar files and on pages.
    estimate : function
        Takes fixed image, moving image, brain mask and initial transform; returns the transform,
        or raises ValueError with the reason why there is none.
    threshold : float
        Mutual information (`bids_app.alignment.quality`, nats) below which it has failed.
    searches : bool
        Whether it gets the images in full resolution and searches for its start (the initial
        transform is the identity). Others get the coarsened images that are compared, and the
        coarse solution that all strategies share.
    """

    name: str
    estimate: Callable[[Volume, Volume, Volume, AffineArray], AffineArray]
    threshold: float
    searches: bool = False


def _by_ants(*stages: Stage) -> Callable[[Volume, Volume, Volume, AffineArray], AffineArray]:
    return partial(register, stages=stages)


# Half the resolution is enough for cubic voxels; thick slices need the full one. The first stage
# is as close as it gets after ten steps.
RIGID_BY_INFORMATION = (
    Stage(
        transform="Rigid",
        step=0.1,
        sampling=1.0,
        iterations=(15,),
        shrink=(2,),
        smoothing=(1,),
        masked=True,
        tolerance=1e-7,
    ),
    Stage(
        transform="Rigid",
        step=0.1,
        sampling=0.25,
        iterations=(20,),
        shrink=(1,),
        smoothing=(0,),
        masked=True,
        tolerance=1e-7,
    ),
)
_AFFINE_REFINEMENT = Stage(
    transform="Affine",
    step=0.05,
    sampling=1.0,
    iterations=(15,),
    shrink=(2,),
    smoothing=(1,),
    masked=True,
)
# Iterations, shrink factors and smoothing are ANTsPy's defaults for affine registration.
_ANTS_DEFAULTS = Stage(
    transform="Rigid",
    step=0.25,
    sampling=0.2,
    iterations=(2100, 1200, 1200, 10),
    shrink=(6, 4, 2, 1),
    smoothing=(3, 2, 1, 0),
)
# The lower cut-off of Ibrahim et al. 2026, the same for all strategies. By this measure, images of
# one head share 0.28 nats and more (two real patients; FLAIR and T2w with slices of 1 and 3 mm),
# those of two heads at most 0.23. Simulated heads are more alike (0.65 between two); those are
# distinguished by local block matching.
THRESHOLD = 0.25

# Which of them a contrast uses is declared in `bids_app.contrasts`.
STRATEGIES: dict[str, Strategy] = {
    "affine": Strategy(
        "mutual information, then affine refinement",
        _by_ants(*RIGID_BY_INFORMATION, _AFFINE_REFINEMENT),
        THRESHOLD,
    ),
    "correlation": Strategy("correlation within the brain", register_by_correlation, THRESHOLD),
    "ants": Strategy("ANTs defaults", _by_ants(_ANTS_DEFAULTS), THRESHOLD),
    "rigid": Strategy("mutual information", _by_ants(*RIGID_BY_INFORMATION), THRESHOLD),
}
