"""FSL FIRST: shape models of subcortical structures (Patenaude et al. 2011)."""

from __future__ import annotations

from pathlib import Path

from bids_app.errors import BadDataError
from bids_app.programs.method import FREESURFER_LABELS, ExternalMethod, Job, LabelFiles
from bids_app.tools.call import LOG_LINES, Call


def _call(job: Job) -> Call:
    return Call(
        executable="run_first_all",
        # Without a space in the list, which would split it into two arguments.
        arguments=("-b", "-s", "L_Thal,R_Thal", "-i", job.image, "-o", job.folder / "first"),
        # The registration is written next to the image if that is possible.
        binds=job.binds,
        folder=job.folder,
        environment={
            "FSLOUTPUTTYPE": "NIFTI_GZ",
            # fsl_sub would submit the work to a cluster and return before it has finished.
            "SGE_ROOT": "",
            "FSLSUBALREADYRUN": "true",
            "FSLPARALLEL": "0",
        },
        version_arguments=(),
    )


def _output(job: Job) -> Path:
    """Return its labels, whose name holds the boundary correction (none for the thalamus).

    The exit status of run_first_all is 0 even if a step fails; the steps write errors into files.
    """
    segmentations = sorted(job.folder.glob("first_all_*_firstseg.nii.gz"))
    if segmentations:
        return segmentations[0]
    for path in sorted(job.folder.glob("first.logs/*.e*")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if lines:
            tail = "\n".join(lines[-LOG_LINES:])
            raise BadDataError(f"one of its steps failed ({path.name}):\n{tail}")
    raise BadDataError(
        "it wrote no labels of both thalami (*_firstseg.nii.gz). If FSL submits its work to a "
        "cluster, configure it to run locally ('method: shell' in fsl_sub.yml)."
    )


FIRST = ExternalMethod(
    name="first",
    title="FIRST",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    executable="run_first_all",
    image="brainlife/fsl:6.0.7.4",
    layout=LabelFiles(endings=("_firstseg",)),
    call=_call,
    output=_output,
    seconds=600,
    memory_gib=2,
    sentence="FIRST (run_first_all of FSL, free for non-commercial use) segmented both thalami in "
    "the image within thalnet's brain mask; all boundary voxels were kept, which is its default "
    "for the thalamus.",
    citations=("patenaude2011",),
    brain_only=True,
    takes_spaces=False,
    keeps_grid=True,
)
