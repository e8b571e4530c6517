"""FSL FIRST: shape models of subcortical structures (Patenaude et al. 2011)."""

from __future__ import annotations

from pathlib import Path

from bids_app.errors import BadDataError
from bids_app.programs.method import FREESURFER_LABELS, ExternalMethod, Job
from bids_app.tools.call import LOG_LINES, Bind, Call


def _call(job: Job) -> Call:
    return Call(
        "run_first_all",
        # No space in the list: what follows one would be another argument.
        ("-b", "-s", "L_Thal,R_Thal", "-i", job.image, "-o", job.folder / "first"),
        (
            # The registration is written beside the image where that can be written.
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
        ),
        job.folder,
        {
            "FSLOUTPUTTYPE": "NIFTI_GZ",
            # fsl_sub would hand the work to a cluster and return before it is done.
            "SGE_ROOT": "",
            "FSLSUBALREADYRUN": "true",
            "FSLPARALLEL": "0",
        },
        version_arguments=(),
    )


def _output(job: Job) -> Path:
    """Named after the boundary correction of the last structure: none for the thalamus.

    The exit status of run_first_all says nothing: its steps leave their errors in files.
    """
    found = sorted(job.folder.glob("first_all_*_firstseg.nii.gz"))
    if found:
        return found[0]
    for path in sorted(job.folder.glob("first.logs/*.e*")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if lines:
            said = "\n".join(lines[-LOG_LINES:])
            raise BadDataError(f"one of its steps failed ({path.name}):\n{said}")
    raise BadDataError(
        "it left no labels of both thalami (*_firstseg.nii.gz). If FSL is set up to hand its work "
        "to a cluster, have it work at once ('method: shell' in fsl_sub.yml)."
    )


METHOD = ExternalMethod(
    name="first",
    title="FIRST",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    program="run_first_all",
    image="brainlife/fsl:6.0.7.4",
    call=_call,
    output=_output,
    seconds=600,
    memory_gib=2,
    methods="FIRST (run_first_all of FSL, free for non-commercial use) outlined both thalami in "
    "the brain that thalnet's mask leaves; it kept every boundary voxel, as is its default for "
    "the thalamus.",
    references=(
        "Patenaude B, Smith SM, Kennedy DN, Jenkinson M. A Bayesian model of shape and appearance "
        "for subcortical brain segmentation. NeuroImage 2011;56:907-922.",
    ),
    brain_only=True,
    takes_spaces=False,
    keeps_grid=True,
)
