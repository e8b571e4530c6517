"""One run of a program: its image written, its labels read, everything else removed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from bids_app.dataset.images import read_labels, read_volume
from bids_app.dataset.staging import Staging
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.geometry import Grid, same_grid
from bids_app.images.volume import Volume, to_ras
from bids_app.programs.method import ExternalMethod, Job
from bids_app.tools.call import Bind, Limits, Runner, ToolRun, failure
from bids_app.tools.local import Local

# Headers hold affines in single precision, and some programs write them as quaternions.
_GRID_MM = 1e-2


@dataclass(frozen=True, eq=False)
class ProgramLabels:
    """Results of a program for one image.

    Attributes
    ----------
    labels : Volume
        Labels of the program on its own grid, axes in RAS order.
    soft_volumes : (2,) float64
        Left and right thalamus in mm³ as the program reports them, NaN if it does not.
    icv : float
        Intracranial volume in mm³, NaN if not reported.
    probabilities : (X, Y, Z, 2) float32 or None
        Probability of the left and the right thalamus on the grid of the image; None if it writes
        none.
    run : ToolRun
    """

    labels: Volume
    soft_volumes: npt.NDArray[np.float64]
    icv: float
    probabilities: npt.NDArray[np.float32] | None
    run: ToolRun


def run_program(
    method: ExternalMethod,
    images: Mapping[str, Volume],
    runner: Runner,
    limits: Limits,
    log: Path,
    *,
    weights: Path | None = None,
    licence: Path | None = None,
) -> ProgramLabels:
    """Segment one head.

    Parameters
    ----------
    method : ExternalMethod
    images : mapping of str to Volume
        By contrast, RAS, on one grid; without skull where ``method.brain_only``. Several only
        where ``method.joint``.
    runner : Runner
    limits : Limits
    log : Path
        File for the output of the program.
    weights, licence : Path, optional
        For programs that need them.

    Returns
    -------
    ProgramLabels

    Raises
    ------
    ToolError
        If the program fails, takes too long, or writes no usable labels.
    MissingInputError
        If it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix=method.name, ignore_cleanup_errors=True) as scratch:
        # Programs write next to their input and under fixed names: each run has folders of its own.
        inputs, outputs = Path(scratch, "in"), Path(scratch, "out")
        inputs.mkdir()
        outputs.mkdir()
        image, *others = images.values()
        job = Job(
            image=stage_image(image, inputs / "image.nii.gz"),
            others=tuple(
                stage_image(other, inputs / f"image{number}.nii.gz")
                for number, other in enumerate(others, start=2)
            ),
            contrasts=tuple(images),
            folder=outputs,
            contained=not isinstance(runner, Local),
            threads=limits.threads,
            gpu=limits.gpu,
            weights=weights,
        )
        if licence is not None:
            # A container has no access to the folder of the original.
            shutil.copyfile(licence, inputs / "license.txt")
        call = method.call(job)
        _make_places(call.binds)
        run = runner.run(call, limits, log)
        try:
            labels, soft_volumes, icv = _results(method, job, image.grid)
            probabilities = None
            if method.probabilities:
                probabilities = _probabilities(job.folder, method.probabilities, image.grid)
            return ProgramLabels(labels, soft_volumes, icv, probabilities, run)
        except (BadDataError, MissingInputError) as error:
            reason = str(error).replace(f"{scratch}/", "")
            raise failure(method.title, f"wrote no usable labels: {reason}", log) from error


def _results(
    method: ExternalMethod, job: Job, grid: Grid
) -> tuple[Volume, npt.NDArray[np.float64], float]:
    """Read labels, volumes and intracranial volume after a run.

    Raises
    ------
    BadDataError, MissingInputError
        If there are no usable labels.
    """
    # An exit status of 0 does not mean that labels were written.
    path = method.output(job)
    if not path.is_file():
        raise BadDataError(f"there is no {path.relative_to(job.folder.parent)}")
    labels = to_ras(read_labels(path))
    if method.keeps_grid and not same_grid(labels.grid, grid, _GRID_MM):
        raise BadDataError("they are not on the grid of its image")
    if method.measures is None:
        return labels, np.full(2, np.nan), float("nan")
    return labels, *method.measures(job.folder)


def _probabilities(folder: Path, patterns: Sequence[str], grid: Grid) -> npt.NDArray[np.float32]:
    """Read the probability of the left and of the right thalamus after a run.

    Raises
    ------
    BadDataError, MissingInputError
        If there are none on the grid of the image.
    """
    sides = []
    for pattern in patterns:
        path = next(iter(sorted(folder.glob(pattern))), None)
        if path is None:
            raise BadDataError(f"there is no {Path(folder.name, pattern)}")
        side = to_ras(read_volume(path, may_be_constant=True))
        if not same_grid(side.grid, grid, _GRID_MM):
            raise BadDataError(f"{path.name} is not on the grid of its image")
        sides.append(side.data)
    return np.stack(sides, axis=-1).astype(np.float32)


def _make_places(binds: Sequence[Bind]) -> None:
    """Create the writable folders, and in them the mount points of other folders and files."""
    for outer in binds:
        if not outer.writable:
            continue
        outer.source.mkdir(parents=True, exist_ok=True)
        for bind in binds:
            target = PurePosixPath(bind.target)
            # A container engine would create these mount points as root.
            if bind is not outer and target.is_relative_to(outer.target):
                place = outer.source / target.relative_to(outer.target)
                place.parent.mkdir(parents=True, exist_ok=True)
                if bind.source.is_file():
                    place.touch()
                else:
                    place.mkdir(exist_ok=True)


@contextmanager
def kept_log(staging: Staging, name: str) -> Iterator[Path]:
    """Publish the log of a program, whether it succeeds or fails.

    Parameters
    ----------
    staging : Staging
    name : str
        Name of the log in the output folder.

    Yields
    ------
    Path
        File to which the program's output is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log.txt")
        try:
            yield log
        finally:
            if log.is_file():
                staging.text(name, log.read_text(encoding="utf-8", errors="replace"))


def provenance(title: str, run: ToolRun, log: str) -> dict[str, object]:
    """Describe how a program was run, for the JSON sidecar of its results.

    Parameters
    ----------
    title : str
    run : ToolRun
    log : str
        Name of its log in the output folder.
    """
    return {
        "Name": title,
        "BackEnd": run.back_end,
        "Version": run.version,
        "Command": list(run.command),
        "Seconds": round(run.seconds, 1),
        "Log": f"bids::{log}",
    }


def stage_image(image: Volume, path: Path) -> Path:
    """Write an image for a program, with equal qform and sform.

    Parameters
    ----------
    image : Volume
    path : Path
        ``.nii.gz``.

    Returns
    -------
    Path
        The path given.
    """
    import nibabel as nib

    # Integers are kept; single precision suffices for all other types.
    data = image.data if image.data.dtype.kind in "iu" else image.data.astype(np.float32)
    if data.dtype.itemsize > 4:
        data = data.astype(np.float32)
    # NIfTI stores the first axis fastest.
    nifti = nib.Nifti1Image(np.asfortranarray(data), image.affine)
    nifti.header.set_xyzt_units("mm")
    # DBSegment reads only the qform, others the sform.
    nifti.set_sform(image.affine, code=1)
    nifti.set_qform(image.affine, code=1)
    nib.save(nifti, path)
    return path
