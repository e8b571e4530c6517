"""SynthSeg: a network for any contrast and resolution (Billot et al. 2023)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.programs.method import FREESURFER_LABELS, ExternalMethod, Job
from bids_app.tools.call import Bind, Call

_LABELS, _VOLUMES = "labels.nii.gz", "volumes.csv"


def _call(job: Job) -> Call:
    return Call(
        "mri_synthseg",
        (
            *("--i", job.image, "--o", job.folder / _LABELS, "--vol", job.folder / _VOLUMES),
            *("--threads", str(job.threads)),
            *(() if job.gpu else ("--cpu",)),
        ),
        (
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
        ),
        job.folder,
        version_arguments=(),
    )


def _output(job: Job) -> Path:
    return job.folder / _LABELS


def _measures(folder: Path) -> tuple[npt.NDArray[np.float64], float]:
    """Volumes from its posterior probabilities."""
    path = folder / _VOLUMES
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            row = next(csv.DictReader(stream, skipinitialspace=True))
        sides = [float(row[f"{side} thalamus"]) for side in ("left", "right")]
        return np.array(sides), float(row["total intracranial"])
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise BadDataError(
            f"{path.name} is not SynthSeg's table of volumes ({error!r})."
        ) from error


METHOD = ExternalMethod(
    name="synthseg",
    title="SynthSeg",
    contrasts=("T1w", "FLAIR", "T2w", "R1map"),
    labels=FREESURFER_LABELS,
    program="mri_synthseg",
    image="freesurfer/freesurfer:7.4.1",
    call=_call,
    output=_output,
    seconds=120,
    memory_gib=8,
    methods="SynthSeg (mri_synthseg; Apache-2.0) labelled the thalami at 1 mm; its labels were "
    "taken to the grid of the scan by their headers (nearest neighbour). Its volumes from "
    "posterior probabilities and its intracranial volume are reported as it gives them.",
    references=(
        "Billot B, Greve DN, Puonti O, et al. SynthSeg: segmentation of brain MRI scans of any "
        "contrast and resolution without retraining. Medical Image Analysis 2023;86:102789. "
        "doi:10.1016/j.media.2023.102789",
    ),
    measures=_measures,
)
