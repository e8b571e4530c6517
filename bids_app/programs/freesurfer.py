"""FreeSurfer: subcortical segmentation of ``recon-all`` (Fischl et al. 2002)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError, MissingInputError
from bids_app.programs.method import FREESURFER_LABELS, ExternalMethod, Job
from bids_app.tools.call import Bind, Call

SUBJECT = "thalbids"
_ETIV = re.compile(r"^# Measure EstimatedTotalIntraCranialVol,.*", re.MULTILINE)


def read_statistics(path: Path) -> tuple[npt.NDArray[np.float64], float]:
    """Read FreeSurfer's own volumes (``aseg.stats`` and files like it).

    Parameters
    ----------
    path : Path

    Returns
    -------
    soft_volumes : (2,) float64
        Left and right thalamus in mm³, corrected for partial volumes by ``mri_segstats``; NaN
        where the table has no row of it.
    icv : float
        Estimated total intracranial volume (Buckner et al. 2004) in mm³, NaN if not there.

    Raises
    ------
    BadDataError
        If the file cannot be read or holds text where numbers belong.
    """
    volumes = dict.fromkeys(FREESURFER_LABELS, float("nan"))
    try:
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            fields = line.split()
            if not line.startswith("#") and len(fields) > 3 and int(fields[1]) in volumes:
                volumes[int(fields[1])] = float(fields[3])
        etiv = _ETIV.search(text)
        icv = float(etiv[0].split(",")[3]) if etiv else float("nan")
    except (OSError, ValueError, IndexError) as error:
        raise BadDataError(f"{path} is not a FreeSurfer table of volumes ({error}).") from error
    return np.array(list(volumes.values())), icv


def find_licence(given: Path | None) -> Path:
    """Find FreeSurfer's licence file.

    Parameters
    ----------
    given : Path or None
        By the user; otherwise ``$FS_LICENSE``, then ``$FREESURFER_HOME/license.txt``.

    Returns
    -------
    Path

    Raises
    ------
    MissingInputError
        If there is none.
    BadDataError
        If it is not one.
    """
    candidates = [given] if given else []
    if not given and os.environ.get("FS_LICENSE"):
        candidates.append(Path(os.environ["FS_LICENSE"]))
    elif not given and os.environ.get("FREESURFER_HOME"):
        candidates.append(Path(os.environ["FREESURFER_HOME"], "license.txt"))
    for path in candidates:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split()
        except OSError as error:
            raise MissingInputError(
                f"FreeSurfer's licence {path} cannot be read: {error.strerror}."
            ) from error
        # An e-mail address, a number and the keys.
        if len(lines) < 3 or "@" not in lines[0]:
            raise BadDataError(
                f"{path} is not FreeSurfer's licence: expected an e-mail address, a number and "
                "keys. Fetch it again from surfer.nmr.mgh.harvard.edu/registration.html."
            )
        return path
    raise MissingInputError(
        "FreeSurfer does not work without its licence, which is free. Get it from "
        "surfer.nmr.mgh.harvard.edu/registration.html and give it with --fs-license-file, or "
        "set FS_LICENSE."
    )


def _call(job: Job) -> Call:
    return Call(
        "recon-all",
        (
            *("-all", "-s", SUBJECT, "-i", job.image, "-sd", job.folder),
            *("-openmp", str(job.threads)),
        ),
        (
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
        ),
        job.folder,
        {
            # Not the user's own, of which some scripts take more than -sd tells them.
            "SUBJECTS_DIR": "/thalbids/out" if job.contained else str(job.folder),
            **_licence(job),
        },
    )


def _licence(job: Job) -> dict[str, str]:
    """The licence file has been put beside the image."""
    licence = job.image.with_name("license.txt")
    where = f"/thalbids/in/{licence.name}" if job.contained else str(licence)
    return {"FS_LICENSE": where} if licence.is_file() else {}


def _output(job: Job) -> Path:
    return job.folder / SUBJECT / "mri" / "aseg.mgz"


def _measures(folder: Path) -> tuple[npt.NDArray[np.float64], float]:
    return read_statistics(folder / SUBJECT / "stats" / "aseg.stats")


METHOD = ExternalMethod(
    name="freesurfer",
    title="FreeSurfer",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    program="recon-all",
    image="freesurfer/freesurfer:7.4.1",
    call=_call,
    output=_output,
    seconds=8 * 3600,
    memory_gib=8,
    methods="FreeSurfer (recon-all; FreeSurfer Software License) labelled the thalami in its "
    "conformed space; its labels were taken to the grid of the scan by their headers (nearest "
    "neighbour). Its partial volume corrected volumes and estimated total intracranial volume "
    "(eTIV) are reported as it gives them.",
    references=(
        "Buckner RL, Head D, Parker J, et al. A unified approach for morphometric and functional "
        "data analysis in young, old, and demented adults using automated atlas-based head size "
        "normalization. NeuroImage 2004;23:724-738.",
        "Fischl B, Salat DH, Busa E, et al. Whole brain segmentation: automated labeling of "
        "neuroanatomical structures in the human brain. Neuron 2002;33:341-355.",
    ),
    measures=_measures,
    needs_licence=True,
    takes_spaces=False,
)
