"""FastSurfer: a network that labels as FreeSurfer does (Henschel et al. 2020, 2022)."""

from __future__ import annotations

import os

from bids_app.programs.freesurfer import SUBJECT, measures_in
from bids_app.programs.method import (
    FREESURFER_LABELS,
    ExternalMethod,
    Job,
    SubjectLabels,
    SubjectsDirectory,
    written,
)
from bids_app.tools.call import Call

_LABELS, _STATISTICS = "mri/aparc.DKTatlas+aseg.deep.mgz", "stats/aseg+DKT.stats"


def _call(job: Job) -> Call:
    device = () if job.gpu else ("--device", "cpu", "--viewagg_device", "cpu")
    return Call(
        executable=None if job.contained else "run_fastsurfer.sh",
        arguments=(
            *("--t1", job.image, "--sid", SUBJECT, "--sd", job.folder),
            *("--seg_only", "--no_cereb", "--no_hypothal", "--threads", str(job.threads)),
            *device,
            # It refuses to run as root otherwise.
            *(("--allow_root",) if os.getuid() == 0 else ()),
        ),
        binds=job.binds,
        folder=job.folder,
    )


FASTSURFER = ExternalMethod(
    name="fastsurfer",
    title="FastSurfer",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    executable="run_fastsurfer.sh",
    image="deepmi/fastsurfer:cpu-v2.4.2",
    layout=SubjectsDirectory((SubjectLabels(images=(_LABELS,), statistics=_STATISTICS),)),
    call=_call,
    output=written(f"{SUBJECT}/{_LABELS}"),
    seconds=1800,
    memory_gib=8,
    sentence="FastSurfer (segmentation only; Apache-2.0) segmented the thalami in its conformed "
    "space; its labels were resampled to the grid of the scan by their headers (nearest "
    "neighbour).",
    citations=("henschel2020", "henschel2022"),
    measures=measures_in(f"{SUBJECT}/{_STATISTICS}"),
)
