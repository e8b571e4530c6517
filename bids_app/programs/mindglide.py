"""MindGlide: a network for brains with multiple sclerosis (Goebl et al. 2025).

Its label is the deep grey matter, of which another method's mask cuts out the thalami.
"""

from __future__ import annotations

from pathlib import Path

from bids_app.programs.method import BOTH, ExternalMethod, Job
from bids_app.tools.call import Bind, Call

LABELS = {3: BOTH}
_CONTRASTS = ("T1w", "FLAIR", "T2w", "R1map")
_REFERENCE = (
    "Goebl P, Wingrove J, Abdelmannan O, et al. Enabling new insights from old scans by "
    "repurposing clinical MRI archives for multiple sclerosis research. Nature Communications "
    "2025;16. doi:10.1038/s41467-025-58274-8"
)


def _call(job: Job) -> Call:
    weights = ("--model-path", job.weights) if job.weights else ()
    return Call(
        None if job.contained else "mindglide",
        (
            *("-i", job.image, "-o", job.folder / "labels.nii.gz"),
            *("--device", "cuda" if job.gpu else "cpu"),
            *weights,
        ),
        (
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
            *((Bind(job.weights.parent, "/thalbids/weights"),) if job.weights else ()),
        ),
        job.folder,
    )


def _output(job: Job) -> Path:
    return job.folder / "labels.nii.gz"


def _call_1(job: Job) -> Call:
    """Version 1.0 takes a name within ``/mnt``, and writes beside the image."""
    folder = job.image.parent
    return Call(None, (job.image.name,), (Bind(folder, "/mnt", writable=True),), folder)


def _output_1(job: Job) -> Path:
    return job.image.with_name(job.image.name.removesuffix(".nii.gz") + "-seg.nii.gz")


METHOD = ExternalMethod(
    name="mindglide",
    title="MindGlide",
    contrasts=_CONTRASTS,
    labels=LABELS,
    program="mindglide",
    image="ms-pinpoint/mindglide:1.3.0",
    call=_call,
    output=_output,
    seconds=600,
    memory_gib=8,
    methods="MindGlide (MIT) labelled the deep grey matter, of which another "
    "method's mask on the anatomical scan, named in the JSON files, cut out the thalami (in "
    "Ibrahim et al. 2026 FIRST's).",
    references=(_REFERENCE,),
    keeps_grid=True,
)

METHOD_1 = ExternalMethod(
    name="mindglide1",
    title="MindGlide 1.0",
    contrasts=_CONTRASTS,
    labels=LABELS,
    program=None,
    image="mspinpoint/mindglide:may2024",
    call=_call_1,
    output=_output_1,
    seconds=600,
    memory_gib=8,
    methods=METHOD.methods.replace("MindGlide (MIT)", "MindGlide 1.0 (MIT)"),
    references=(_REFERENCE,),
    keeps_grid=True,
    needs_gpu=True,
)
