"""SynthSeg: a network for any contrast and resolution (Billot et al. 2023)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.errors import BadDataError
from bids_app.programs.method import FREESURFER_LABELS, ExternalMethod, Job, LabelFiles, written
from bids_app.tools.call import Call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LABELS, _VOLUMES = "labels.nii.gz", "volumes.csv"


def _call(job: Job) -> Call:
    return Call(
        executable="mri_synthseg",
        arguments=(
            *("--i", job.image, "--o", job.folder / _LABELS, "--vol", job.folder / _VOLUMES),
            *("--threads", str(job.threads)),
            *(() if job.gpu else ("--cpu",)),
        ),
        binds=job.binds,
        folder=job.folder,
        version_arguments=(),
    )


def _measures(folder: Path) -> tuple[npt.NDArray[np.float64], float]:
    """Read volumes from its posterior probabilities."""
    import numpy as np

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


SYNTHSEG = ExternalMethod(
    name="synthseg",
    title="SynthSeg",
    contrasts=None,
    labels=FREESURFER_LABELS,
    executable="mri_synthseg",
    image="freesurfer/freesurfer:7.4.1",
    layout=LabelFiles(endings=("_synthseg", "-synthseg")),
    call=_call,
    output=written(_LABELS),
    seconds=120,
    memory_gib=8,
    sentence="SynthSeg (mri_synthseg; Apache-2.0) segmented the thalami at 1 mm; its labels were "
    "resampled to the grid of the scan by their headers (nearest neighbour). Its volumes from "
    "posterior probabilities and its intracranial volume are reported unchanged.",
    citations=("billot2023",),
    measures=_measures,
)
