"""FastSurfer: a network that labels as FreeSurfer does (Henschel et al. 2020, 2022)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.programs.freesurfer import SUBJECT, read_statistics
from bids_app.programs.method import FREESURFER_LABELS, ExternalMethod, Job
from bids_app.tools.call import Bind, Call


def _call(job: Job) -> Call:
    device = () if job.gpu else ("--device", "cpu", "--viewagg_device", "cpu")
    return Call(
        None if job.contained else "run_fastsurfer.sh",
        (
            *("--t1", job.image, "--sid", SUBJECT, "--sd", job.folder),
            *("--seg_only", "--no_cereb", "--no_hypothal", "--threads", str(job.threads)),
            *device,
            *(("--allow_root",) if os.getuid() == 0 else ()),
        ),
        (
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
        ),
        job.folder,
    )


def _output(job: Job) -> Path:
    return job.folder / SUBJECT / "mri" / "aparc.DKTatlas+aseg.deep.mgz"


def _measures(folder: Path) -> tuple[npt.NDArray[np.float64], float]:
    return read_statistics(folder / SUBJECT / "stats" / "aseg+DKT.stats")


METHOD = ExternalMethod(
    name="fastsurfer",
    title="FastSurfer",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    program="run_fastsurfer.sh",
    image="deepmi/fastsurfer:cpu-v2.4.2",
    call=_call,
    output=_output,
    seconds=1800,
    memory_gib=8,
    methods="FastSurfer (segmentation only; Apache-2.0) labelled the thalami in its conformed "
    "space; its labels were taken to the grid of the scan by their headers (nearest neighbour).",
    references=(
        "Henschel L, Conjeti S, Estrada S, Diers K, Fischl B, Reuter M. FastSurfer: a fast and "
        "accurate deep learning based neuroimaging pipeline. NeuroImage 2020;219:117012.",
        "Henschel L, Kügler D, Reuter M. FastSurferVINN: building resolution-independence into "
        "deep learning segmentation methods. NeuroImage 2022;251:118933.",
    ),
    measures=_measures,
)
