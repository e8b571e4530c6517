"""MindGlide: a network for brains with multiple sclerosis (Goebl et al. 2025).

Its label is the deep grey matter, which the thalamus mask of another method restricts.
"""

from __future__ import annotations

from pathlib import Path

from bids_app.programs.method import BOTH, ExternalMethod, Job, LabelFiles, Weights, written
from bids_app.tools.call import Bind, Call

LABELS = {3: BOTH}
_LABELS = "labels.nii.gz"
_SENTENCE = (
    "segmented the deep grey matter, which was restricted to the thalami by the mask of another "
    "method on the anatomical scan, given in the JSON files (FIRST in Ibrahim et al. 2026)."
)


def _call(job: Job) -> Call:
    weights = ("--model-path", job.weights) if job.weights else ()
    return Call(
        executable=None if job.contained else "mindglide",
        arguments=(
            *("-i", job.image, "-o", job.folder / _LABELS),
            *("--device", "cuda" if job.gpu else "cpu"),
            *weights,
        ),
        binds=(
            *job.binds,
            *((Bind(job.weights.parent, "/thalbids/weights"),) if job.weights else ()),
        ),
        folder=job.folder,
    )


def _call_1(job: Job) -> Call:
    """Return the run of version 1.0, which takes a name within ``/mnt`` and writes there."""
    folder = job.image.parent
    return Call(
        executable=None,
        arguments=(job.image.name,),
        binds=(Bind(folder, "/mnt", writable=True),),
        folder=folder,
    )


def _output_1(job: Job) -> Path:
    return job.image.with_name(job.image.name.removesuffix(".nii.gz") + "-seg.nii.gz")


MINDGLIDE = ExternalMethod(
    name="mindglide",
    title="MindGlide",
    contrasts=None,
    labels=LABELS,
    executable="mindglide",
    image="ms-pinpoint/mindglide:1.3.0",
    layout=LabelFiles(endings=("_seg", "-seg")),
    call=_call,
    output=written(_LABELS),
    seconds=600,
    memory_gib=8,
    sentence=f"MindGlide (MIT) {_SENTENCE}",
    citations=("goebl2025",),
    keeps_grid=True,
    weights=Weights("its .pt file"),
)

MINDGLIDE_1 = ExternalMethod(
    name="mindglide1",
    title="MindGlide 1.0",
    contrasts=None,
    labels=LABELS,
    executable=None,
    image="mspinpoint/mindglide:may2024",
    layout=LabelFiles(endings=("-seg",)),
    call=_call_1,
    output=_output_1,
    seconds=600,
    memory_gib=8,
    sentence=f"MindGlide 1.0 (MIT) {_SENTENCE}",
    citations=("goebl2025",),
    keeps_grid=True,
    needs_gpu=True,
)
