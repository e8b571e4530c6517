"""Runs of FLIRT: images staged, its matrix read, everything else removed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bids_app.dataset.staging import Staging
from bids_app.errors import MissingInputError
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume
from bids_app.programs.flirt import FLIRT, Step, world_transform
from bids_app.programs.job import provenance, stage_image
from bids_app.tools.call import Bind, Call, Limits, Runner, ToolError, failure


@dataclass(frozen=True, eq=False)
class FlirtRuns:
    """Runs FLIRT on a pair of images, for `bids_app.programs.flirt.flirt_strategies`.

    Attributes
    ----------
    runner : Runner
    limits : Limits
        Of each run.
    staging : Staging
        Gets the logs, ``logs/<name>_flirt<contrast><step>.log``.
    name : str
        Of the fixed image.
    contrast : str
        Of the moving image.
    programs : list of dict
        How each run that ended well was made, for the provenance; grows.
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
        start: AffineArray,  # noqa: ARG002 - FLIRT knows nothing of the headers' world
    ) -> AffineArray:
        """Run some steps, one from the result of the other.

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
            If FLIRT cannot be run, fails, takes too long, or leaves no matrix.
        """
        with tempfile.TemporaryDirectory(prefix="flirt", ignore_cleanup_errors=True) as scratch:
            inputs, outputs = Path(scratch, "in"), Path(scratch, "out")
            inputs.mkdir()
            outputs.mkdir()
            stage_image(fixed, inputs / "fixed.nii.gz")
            stage_image(moving, inputs / "moving.nii.gz")
            if any(step.weighted for step in steps):
                weight = Volume((brain.data != 0).astype(np.float32), fixed.affine)
                stage_image(weight, inputs / "brain.nii.gz")
            matrix: Path | None = None
            try:
                for step in steps:
                    found = outputs / f"{step.name}.mat"
                    matrix = self._run(step, _call(step, inputs, matrix, found), found)
            except (ToolError, MissingInputError) as error:
                raise ValueError(str(error).replace(f"{scratch}/", "")) from error
            return world_transform(np.loadtxt(found), fixed, moving)

    def _run(self, step: Step, call: Call, matrix: Path) -> Path:
        log = matrix.with_suffix(".log")
        name = f"logs/{self.name}_flirt{self.contrast}{step.name}.log"
        try:
            run = self.runner.run(call, self.limits, log)
        finally:
            if log.is_file():
                self.staging.text(name, log.read_text(encoding="utf-8", errors="replace"))
        _check(matrix, log)
        self.programs.append(provenance(FLIRT.title, run, name))
        return matrix


def _call(step: Step, inputs: Path, start: Path | None, matrix: Path) -> Call:
    return Call(
        FLIRT.program,
        (
            *("-in", inputs / "moving.nii.gz", "-ref", inputs / "fixed.nii.gz"),
            *(("-refweight", inputs / "brain.nii.gz") if step.weighted else ()),
            *(("-init", start) if start is not None else ()),
            *step.options,
            *("-omat", matrix),
        ),
        (
            Bind(inputs, "/thalbids/in"),
            Bind(matrix.parent, "/thalbids/out", writable=True),
        ),
        matrix.parent,
        # Without it FSL's programs refuse to start.
        {"FSLOUTPUTTYPE": "NIFTI_GZ"},
        version_arguments=("-version",),
    )


def _check(matrix: Path, log: Path) -> None:
    """Refuse what is no invertible affine matrix."""
    try:
        found = np.loadtxt(matrix)
    except OSError as error:
        raise failure(FLIRT.title, "left no matrix", log) from error
    except ValueError as error:
        raise failure(FLIRT.title, "left a matrix that cannot be read", log) from error
    usable = (
        found.shape == (4, 4)
        and bool(np.isfinite(found).all())
        and np.array_equal(found[3], (0, 0, 0, 1))
        and abs(np.linalg.det(found)) > _LEAST_VOLUME
    )
    if not usable:
        raise failure(FLIRT.title, "left a matrix that is no affine transform", log)


# Heads do not shrink to a thousandth.
_LEAST_VOLUME = 1e-3
