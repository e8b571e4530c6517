"""One run of an external program: its image staged, its labels read, everything else removed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from bids_app.dataset.images import read_volume
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.geometry import same_grid
from bids_app.images.volume import Volume, to_ras
from bids_app.programs.method import ExternalMethod, Job
from bids_app.tools.call import Bind, Limits, Runner, ToolRun, failure
from bids_app.tools.local import Local


@dataclass(frozen=True, eq=False)
class ProgramLabels:
    """What a program made of one image.

    Attributes
    ----------
    labels : Volume
        Its own labels on its own grid, axes in RAS order.
    soft_volumes : (2,) float64
        Left and right thalamus in mm³ as it gives them, NaN if it does not.
    icv : float
        Intracranial volume in mm³, NaN if it gives none.
    run : ToolRun
    """

    labels: Volume
    soft_volumes: npt.NDArray[np.float64]
    icv: float
    run: ToolRun


def run_program(
    method: ExternalMethod,
    image: Volume,
    runner: Runner,
    limits: Limits,
    log: Path,
    *,
    weights: Path | None = None,
    licence: Path | None = None,
) -> ProgramLabels:
    """Segment one image.

    Parameters
    ----------
    method : ExternalMethod
    image : Volume
        RAS; without skull where ``method.brain_only``.
    runner : Runner
    limits : Limits
    log : Path
        Where the program's output is written.
    weights, licence : Path, optional
        Of programs that need them.

    Returns
    -------
    ProgramLabels

    Raises
    ------
    ToolError
        If the program fails, takes too long, or leaves no labels that are of use.
    MissingInputError
        If it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix=method.name, ignore_cleanup_errors=True) as scratch:
        inputs, outputs = Path(scratch, "in"), Path(scratch, "out")
        inputs.mkdir()
        outputs.mkdir()
        job = Job(
            image=stage_image(image, inputs / "image.nii.gz"),
            folder=outputs,
            contained=not isinstance(runner, Local),
            threads=limits.threads,
            gpu=limits.gpu,
            weights=weights,
        )
        if licence is not None:
            shutil.copyfile(licence, inputs / "license.txt")
        call = method.call(job)
        _make_places(call.binds)
        run = runner.run(call, limits, log)
        try:
            path = method.output(job)
            if not path.is_file():
                raise BadDataError(f"there is no {path.relative_to(scratch)}")
            labels = to_ras(read_volume(path, may_be_constant=True))
            soft_volumes, icv = np.full(2, np.nan), float("nan")
            if method.measures is not None:
                soft_volumes, icv = method.measures(outputs)
        except (BadDataError, MissingInputError) as error:
            reason = str(error).replace(f"{scratch}/", "")
            raise failure(method.title, f"left no usable labels: {reason}", log) from error
        if method.keeps_grid and not same_grid(labels.grid, image.grid, _GRID_MM):
            raise failure(method.title, "wrote its labels on another grid than its image's", log)
        return ProgramLabels(labels, soft_volumes, icv, run)


def _make_places(binds: Sequence[Bind]) -> None:
    """Make the writable folders, and in them the places that others are laid upon."""
    for outer in binds:
        if not outer.writable:
            continue
        outer.source.mkdir(parents=True, exist_ok=True)
        for bind in binds:
            target = PurePosixPath(bind.target)
            if bind is not outer and target.is_relative_to(outer.target):
                place = outer.source / target.relative_to(outer.target)
                place.parent.mkdir(parents=True, exist_ok=True)
                if bind.source.is_file():
                    place.touch()
                else:
                    place.mkdir(exist_ok=True)


# Headers hold single precision, and some programs write quaternions of it.
_GRID_MM = 1e-2


def provenance(title: str, run: ToolRun, log: str) -> dict[str, object]:
    """How a program was run, for the JSON beside its results; the log by its name in the output."""
    return {
        "Name": title,
        "BackEnd": run.back_end,
        "Version": run.version,
        "Command": list(run.command),
        "Seconds": round(run.seconds, 1),
        "Log": f"bids::{log}",
    }


def stage_image(image: Volume, path: Path) -> Path:
    """Write an image where a program finds it, with equal qform and sform.

    Parameters
    ----------
    image : Volume
    path : Path
        ``.nii.gz``.

    Returns
    -------
    Path
        The same.
    """
    import nibabel as nib

    # Integers as they are; single precision suffices for the rest.
    data = image.data if image.data.dtype.kind in "iu" else image.data.astype(np.float32)
    if data.dtype.itemsize > 4:
        data = data.astype(np.float32)
    nifti = nib.Nifti1Image(np.asfortranarray(data), image.affine)
    nifti.header.set_xyzt_units("mm")
    # DBSegment reads the qform alone, others the sform.
    nifti.set_sform(image.affine, code=1)
    nifti.set_qform(image.affine, code=1)
    nib.save(nifti, path)
    return path
