"""FastSurfer: a network that labels as FreeSurfer does (Henschel et al. 2020, 2022)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.programs.freesurfer import SUBJECT, read_statistics
from bids_app.programs.method import (
    FREESURFER_LABELS,
    ExternalMethod,
    Job,
    SubjectLabels,
    SubjectsDirectory,
)
from bids_app.tools.call import Bind, Call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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
        binds=(
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
        ),
        folder=job.folder,
    )


def _output(job: Job) -> Path:
    return job.folder / SUBJECT / _LABELS


def _measures(folder: Path) -> tuple[npt.NDArray[np.float64], float]:
    statistics = read_statistics(folder / SUBJECT / _STATISTICS)
    return statistics.volumes, statistics.icv


FASTSURFER = ExternalMethod(
    name="fastsurfer",
    title="FastSurfer",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    executable="run_fastsurfer.sh",
    image="deepmi/fastsurfer:cpu-v2.4.2",
    layout=SubjectsDirectory((SubjectLabels(images=(_LABELS,), statistics=_STATISTICS),)),
    call=_call,
    output=_output,
    seconds=1800,
    memory_gib=8,
    sentence="FastSurfer (segmentation only; Apache-2.0) segmented the thalami in its conformed "
    "space; its labels were resampled to the grid of the scan by their headers (nearest "
    "neighbour).",
    citations=("henschel2020", "henschel2022"),
    measures=_measures,
)
