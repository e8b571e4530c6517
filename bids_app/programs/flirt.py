"""FSL's FLIRT: the strategies of Ibrahim et al. 2026 with it, and what its matrices mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bids_app.alignment.strategies import ANTS_DEFAULTS, THRESHOLD, Strategy
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume
from bids_app.tools.program import Program

FLIRT = Program(
    name="flirt",
    title="FLIRT",
    program="flirt",
    image="brainlife/fsl:6.0.7.4",
    seconds=120,  # a guess: FSL's documentation gives none
    memory_gib=2,
    methods="To align other contrasts to the anatomical scan, FLIRT of FSL (free for "
    "non-commercial use; Jenkinson et al. 2002) was tried first, as in Ibrahim et al. 2026: R1 "
    "rigidly by mutual information with an affine refinement, or rigidly by normalised correlation "
    "weighted by the brain mask; FLAIR and T2w rigidly by normalised correlation.",
    references=(
        "Jenkinson M, Bannister P, Brady M, Smith S. Improved optimization for the robust and "
        "accurate linear registration and motion correction of brain images. NeuroImage "
        "2002;17:825-841.",
    ),
)


@dataclass(frozen=True)
class Step:
    """One run of FLIRT; each one after the first starts from what the one before found.

    Attributes
    ----------
    name : str
        Letters, for the name of its log.
    options : tuple of str
        What it is told beside images and start.
    weighted : bool
        Whether the brain mask weights the fixed image.
    """

    name: str
    options: tuple[str, ...]
    weighted: bool = False


# Given steps, fixed and moving image, brain mask and a start that FLIRT has no use for.
RunSteps = Callable[[tuple[Step, ...], Volume, Volume, Volume, AffineArray], AffineArray]

_CORRELATION = ("-dof", "6", "-cost", "normcorr")
_BY_CORRELATION: dict[str, tuple[Step, ...]] = {
    "FLIRT, correlation": (Step("Correlation", _CORRELATION),)
}
# Section 2.5.2 of the paper. It does not say how free the refinement is: 12 degrees of freedom are
# FLIRT's own default. Interpolation, which it does give, is none of the estimate's.
_STEPS: dict[str, dict[str, tuple[Step, ...]]] = {
    "R1map": {
        "FLIRT, mutual information, then affine refinement": (
            Step(
                "Information",
                ("-dof", "6", "-cost", "mutualinfo", "-searchcost", "mutualinfo"),
            ),
            Step("Refinement", ("-dof", "12", "-cost", "mutualinfo", "-nosearch")),
        ),
        "FLIRT, correlation weighted by the brain": (
            Step("WeightedCorrelation", _CORRELATION, weighted=True),
        ),
    },
    "FLAIR": _BY_CORRELATION,
    "T2w": _BY_CORRELATION,
}


def flirt_strategies(contrast: str, run: RunSteps) -> tuple[Strategy, ...]:
    """Give the paper's strategies for a contrast: FLIRT's, and ANTs' defaults last.

    Parameters
    ----------
    contrast : str
        Key of ``bids_app.alignment.strategies.STRATEGIES``.
    run : function
        Runs FLIRT; raises ValueError with the reason if it finds nothing.

    Returns
    -------
    tuple of Strategy
        With the threshold of all others.
    """
    by_flirt = (
        Strategy(name, partial(run, steps), THRESHOLD, searches=True)
        for name, steps in _STEPS[contrast].items()
    )
    return (*by_flirt, ANTS_DEFAULTS)


def world_transform(matrix: npt.NDArray[np.float64], fixed: Volume, moving: Volume) -> AffineArray:
    """Turn a matrix of FLIRT (``-omat``) into a transform between world coordinates.

    FLIRT counts mm along the voxel axes, from the centre of the first voxel: indices times voxel
    size, whatever the header says of position and direction. Only where the axes are right-handed
    (affine with positive determinant, "neurological") does it count the first axis from its last
    voxel. The matrix takes such coordinates of ``-in``, the moving image, to those of ``-ref``,
    the fixed one; with A the affine and S the voxel indices to FLIRT's mm of an image, points
    therefore go by

    ``A_moving S_moving^-1 matrix^-1 S_fixed A_fixed^-1``.

    Parameters
    ----------
    matrix : (4, 4) float64
    fixed, moving : Volume
        As FLIRT read them; of the voxels only their number counts.

    Returns
    -------
    (4, 4) float64
        World coordinates in the fixed image to those in the moving one, mm, RAS.

    References
    ----------
    FSL, FLIRT, frequently asked questions: "What is the format of the matrix used by FLIRT, and how
    does it relate to the transformation parameters?"; Ridgway G, flirtmat2worldmat (2009), for the
    direction and the last voxel.
    """
    to_moving = moving.affine @ np.linalg.inv(_scaled(moving))
    from_fixed = _scaled(fixed) @ np.linalg.inv(fixed.affine)
    return np.asarray(to_moving @ np.linalg.inv(matrix) @ from_fixed)


def _scaled(volume: Volume) -> AffineArray:
    """Voxel indices to FLIRT's mm, (4, 4)."""
    matrix = np.diag([*volume.voxel_size, 1.0])
    if np.linalg.det(volume.affine[:3, :3]) > 0:
        matrix[0, 3] = (volume.data.shape[0] - 1) * matrix[0, 0]
        matrix[0, 0] *= -1
    return matrix
