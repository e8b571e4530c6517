"""FSL's FLIRT (Jenkinson et al. 2002): the alignment strategies of Ibrahim et al. 2026 with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.contrasts import CONTRASTS
from bids_app.errors import MissingInputError
from bids_app.programs.method import AuxiliaryProgram, Workload
from bids_app.tools.call import Bind, Call, Limits, Runner, ToolError, failure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from bids_app.alignment.strategies import Strategy
    from bids_app.dataset.staging import Staging
    from bids_app.images.geometry import AffineArray
    from bids_app.images.volume import Volume

# A matrix that shrinks volumes to less than a thousandth does not relate two heads.
_MIN_DETERMINANT = 1e-3


def _runs(workload: Workload) -> int:
    """Count one run for each contrast and anchor; R1 takes up to three."""
    return len(workload.anchors) * len(workload.others)


FLIRT = AuxiliaryProgram(
    name="flirt",
    title="FLIRT",
    executable="flirt",
    image="brainlife/fsl:6.0.7.4",
    seconds=120,  # an estimate: the documentation of FSL gives none
    memory_gib=2,
    sentence="To align other contrasts to the anatomical scan, FLIRT of FSL (free for "
    "non-commercial use; Jenkinson et al. 2002) was tried first, as in Ibrahim et al. 2026: R1 "
    "rigidly by mutual information with an affine refinement, or rigidly by normalised correlation "
    "weighted by the brain mask; FLAIR and T2w rigidly by normalised correlation.",
    citations=("jenkinson2002",),
    help="align R1, FLAIR and T2w with FSL's FLIRT as in Ibrahim et al. 2026, and with ANTs where "
    "that fails (default: with ANTs only)",
    runs=_runs,
)


@dataclass(frozen=True)
class Step:
    """One run of FLIRT; each one after the first starts from the result of the one before.

    Attributes
    ----------
    name : str
        Letters, for the name of its log.
    options : tuple of str
        Options in addition to images and start.
    weighted : bool
        Whether the brain mask weights the fixed image.
    """

    name: str
    options: tuple[str, ...]
    weighted: bool = False


# Takes steps, fixed image, moving image, brain mask and a start, which FLIRT does not use.
RunSteps = Callable[[tuple[Step, ...], "Volume", "Volume", "Volume", "AffineArray"], "AffineArray"]

_CORRELATION = ("-dof", "6", "-cost", "normcorr")
# Title and steps of each strategy of section 2.5.2 of Ibrahim et al. 2026. The paper does not give
# the degrees of freedom of the refinement: 12 are FLIRT's default. The interpolation that it does
# give has no influence on the estimate.
STRATEGIES: dict[str, tuple[str, tuple[Step, ...]]] = {
    "affine": (
        "FLIRT, mutual information, then affine refinement",
        (
            Step("Information", ("-dof", "6", "-cost", "mutualinfo", "-searchcost", "mutualinfo")),
            Step("Refinement", ("-dof", "12", "-cost", "mutualinfo", "-nosearch")),
        ),
    ),
    "weighted correlation": (
        "FLIRT, correlation weighted by the brain",
        (Step("WeightedCorrelation", _CORRELATION, weighted=True),),
    ),
    "correlation": ("FLIRT, correlation", (Step("Correlation", _CORRELATION),)),
}


def flirt_strategies(contrast: str, run: RunSteps) -> tuple[Strategy, ...]:
    """Return the strategies of the paper for a contrast: FLIRT's, and the defaults of ANTs last.

    Parameters
    ----------
    contrast : str
        Key of `bids_app.contrasts.CONTRASTS`, which names the strategies.
    run : function
        Runs FLIRT; raises ValueError with the reason if it does not succeed.

    Returns
    -------
    tuple of Strategy
        With the same threshold as all others.
    """
    from bids_app.alignment.strategies import STRATEGIES as BUILT_IN
    from bids_app.alignment.strategies import THRESHOLD, Strategy

    by_flirt = (
        Strategy(title, partial(run, steps), THRESHOLD, searches=True)
        for title, steps in (STRATEGIES[key] for key in CONTRASTS[contrast].flirt)
    )
    return (*by_flirt, BUILT_IN["ants"])


@dataclass(frozen=True, eq=False, kw_only=True)
class FlirtRuns:
    """Runs of FLIRT on a pair of images, for `flirt_strategies`.

    Attributes
    ----------
    runner : Runner
    limits : Limits
        Limits of each run.
    staging : Staging
        Receives the logs, ``logs/<name>_flirt<contrast><step>.log``.
    name : str
        Name of the fixed image.
    contrast : str
        Contrast of the moving image.
    programs : list of dict
        Provenance of each successful run; grows.
    """

    runner: Runner
    limits: Limits
    staging: Staging
    name: str
    contrast: str
    programs: list[dict[str, object]] = field(default_factory=list)

    def __call__(
        self,
        steps: tuple[Step, ...],
        fixed: Volume,
        moving: Volume,
        brain: Volume,
        start: AffineArray,  # noqa: ARG002 - FLIRT ignores the world coordinates of headers
    ) -> AffineArray:
        """Run some steps, each from the result of the one before.

        Parameters
        ----------
        steps : tuple of Step
            At least one.
        fixed, moving : Volume
            (X, Y, Z) finite.
        brain : Volume
            Mask on the grid of ``fixed``.
        start : (4, 4) float64
            Not used.

        Returns
        -------
        (4, 4) float64
            World coordinates in the fixed image to those in the moving one, mm, RAS.

        Raises
        ------
        ValueError
            If FLIRT cannot be run, fails, takes too long, or writes no matrix.
        """
        import numpy as np

        with tempfile.TemporaryDirectory(prefix="flirt", ignore_cleanup_errors=True) as scratch:
            inputs, outputs = Path(scratch, "in"), Path(scratch, "out")
            outputs.mkdir()
            _stage(inputs, fixed, moving, brain if any(step.weighted for step in steps) else None)
            matrix: Path | None = None
            try:
                for step in steps:
                    written = outputs / f"{step.name}.mat"
                    matrix = self._run(step, _call(step, inputs, matrix, written), written)
            except (ToolError, MissingInputError) as error:
                raise ValueError(str(error).replace(f"{scratch}/", "")) from error
            return world_transform(np.loadtxt(written), fixed, moving)

    def _run(self, step: Step, call: Call, matrix: Path) -> Path:
        from bids_app.programs.job import kept_log, provenance

        name = f"logs/{self.name}_flirt{self.contrast}{step.name}.log"
        with kept_log(self.staging, name) as log:
            run = self.runner.run(call, self.limits, log)
            _check(matrix, log)
        self.programs.append(provenance(FLIRT.title, run, name))
        return matrix


def _stage(folder: Path, fixed: Volume, moving: Volume, brain: Volume | None) -> None:
    """Write the images where FLIRT reads them."""
    import numpy as np

    from bids_app.images.volume import Volume
    from bids_app.programs.job import stage_image

    folder.mkdir()
    stage_image(fixed, folder / "fixed.nii.gz")
    stage_image(moving, folder / "moving.nii.gz")
    if brain is not None:
        weight = Volume((brain.data != 0).astype(np.float32), fixed.affine)
        stage_image(weight, folder / "brain.nii.gz")


def _call(step: Step, inputs: Path, start: Path | None, matrix: Path) -> Call:
    return Call(
        executable=FLIRT.executable,
        arguments=(
            *("-in", inputs / "moving.nii.gz", "-ref", inputs / "fixed.nii.gz"),
            *(("-refweight", inputs / "brain.nii.gz") if step.weighted else ()),
            *(("-init", start) if start is not None else ()),
            *step.options,
            *("-omat", matrix),
        ),
        binds=(
            Bind(inputs, "/thalbids/in"),
            Bind(matrix.parent, "/thalbids/out", writable=True),
        ),
        folder=matrix.parent,
        # Without it the programs of FSL refuse to start.
        environment={"FSLOUTPUTTYPE": "NIFTI_GZ"},
        version_arguments=("-version",),
    )


def _check(path: Path, log: Path) -> None:
    """Reject a file that holds no invertible affine matrix."""
    import numpy as np

    try:
        matrix = np.loadtxt(path)
    except OSError as error:
        raise failure(FLIRT.title, "wrote no matrix", log) from error
    except ValueError as error:
        raise failure(FLIRT.title, "wrote a matrix that cannot be read", log) from error
    usable = (
        matrix.shape == (4, 4)
        and bool(np.isfinite(matrix).all())
        and np.array_equal(matrix[3], (0, 0, 0, 1))
        and abs(np.linalg.det(matrix)) > _MIN_DETERMINANT
    )
    if not usable:
        raise failure(FLIRT.title, "wrote a matrix that is not an affine transform", log)


def world_transform(matrix: npt.NDArray[np.float64], fixed: Volume, moving: Volume) -> AffineArray:
    """Convert a matrix of FLIRT (``-omat``) to a transform between world coordinates.

    The coordinates of FLIRT are voxel indices times voxel size: mm along the voxel axes from the
    centre of the first voxel, whatever position and directions the header gives. Only where the
    axes are right-handed (affine with positive determinant, "neurological") is the first axis
    counted from its last voxel. The matrix maps such coordinates of ``-in``, the moving image, to
    those of ``-ref``, the fixed one. With A the affine of an image and S its voxel indices to
    FLIRT's mm, points are therefore mapped by

    ``A_moving S_moving^-1 matrix^-1 S_fixed A_fixed^-1``.

    Parameters
    ----------
    matrix : (4, 4) float64
    fixed, moving : Volume
        As FLIRT read them; the values of the voxels are not used.

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
    import numpy as np

    to_moving = moving.affine @ np.linalg.inv(_scaled(moving))
    from_fixed = _scaled(fixed) @ np.linalg.inv(fixed.affine)
    return np.asarray(to_moving @ np.linalg.inv(matrix) @ from_fixed)


def _scaled(volume: Volume) -> AffineArray:
    """Return the map from voxel indices to FLIRT's mm, (4, 4)."""
    import numpy as np

    matrix = np.diag([*volume.voxel_size, 1.0])
    if np.linalg.det(volume.affine[:3, :3]) > 0:
        matrix[0, 3] = (volume.data.shape[0] - 1) * matrix[0, 0]
        matrix[0, 0] *= -1
    return matrix
