"""FreeSurfer: subcortical segmentation of ``recon-all`` (Fischl et al. 2002)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.errors import BadDataError, MissingInputError
from bids_app.programs.method import (
    FREESURFER_LABELS,
    ExternalMethod,
    Job,
    SubjectLabels,
    SubjectsDirectory,
    written,
)
from bids_app.segmentation.nuclei import Group
from bids_app.segmentation.sides import LEFT, RIGHT
from bids_app.tools.call import Call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SUBJECT = "thalbids"
_ASEG, _STATISTICS = "mri/aseg.mgz", "stats/aseg.stats"
# FreeSurfer's thalamic nuclei: the hundreds give the side, as in its table of colours (8103
# Left-AV, 8203 Right-AV).
_HUNDREDS = {8100: LEFT, 8200: RIGHT}
_NUCLEI = {first + place: side for first, side in _HUNDREDS.items() for place in range(100)}
# Tens and units of each nucleus by FreeSurferColorLUT.txt, groups by Iglesias et al. 2018, Table 1.
# The reticular nucleus (R, 25) is in no group; later versions divide PuM into PuMm and PuMl.
_GROUPS: Mapping[Group, Mapping[int, str]] = {
    Group.ANTERIOR: {3: "AV"},
    Group.LATERAL: {8: "LD", 10: "LP"},
    Group.VENTRAL: {26: "VA", 27: "VAmc", 28: "VLa", 29: "VLp", 30: "VM", 33: "VPL"},
    Group.INTRALAMINAR: {4: "CeM", 5: "CL", 6: "CM", 17: "Pc", 18: "Pf"},
    Group.MEDIAL: {12: "MDl", 13: "MDm", 16: "MV(Re)", 19: "Pt", 34: "PaV"},
    Group.POSTERIOR: {
        9: "LGN",
        11: "L-Sg",
        15: "MGN",
        20: "PuA",
        21: "PuI",
        22: "PuL",
        23: "PuM",
        35: "PuMm",
        36: "PuMl",
    },
}
_LAYOUT = SubjectsDirectory(
    (
        # Parcellations of the cortex keep the subcortical labels of the aseg.
        SubjectLabels(
            images=(_ASEG, "mri/aparc+aseg.mgz", "mri/aparc.*+aseg.mgz"),
            statistics=_STATISTICS,
        ),
        # Nuclei on the grid of the aseg, else on their finer one. Names: ThalamicNuclei.v12.T1,
        # .v13.T1 (5 to 7), ThalamicNuclei (8), and .long in the longitudinal stream.
        SubjectLabels(
            images=("mri/ThalamicNuclei*.FSvoxelSpace.mgz", "mri/ThalamicNuclei*.mgz"),
            tables=("mri/ThalamicNuclei*.volumes.txt", "stats/thalamic-nuclei*.stats"),
            labels=_NUCLEI,
            groups={
                first + place: group
                for first in _HUNDREDS
                for group, nuclei in _GROUPS.items()
                for place in nuclei
            },
            suffix="Nuclei",
        ),
        # recon-all 8 writes the first.
        SubjectLabels(
            images=("mri/synthseg.rca.mgz", "mri/synthseg.mgz", "mri/synthseg/*seg*.mgz"),
            tables=("stats/synthseg*.csv",),
            suffix="Synthseg",
        ),
        SubjectLabels(
            images=("mri/samseg/seg.mgz", "samseg/seg.mgz"),
            tables=("mri/samseg/samseg*.stats", "samseg/samseg*.stats"),
            suffix="Samseg",
        ),
    )
)
# FreeSurfer 5.1 and earlier omit the first word.
_ETIV = re.compile(r"^# Measure (?:EstimatedTotal)?IntraCranialVol,.*", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Volumes of the thalami as FreeSurfer reports them.

    Attributes
    ----------
    volumes : (2,) float64
        Left and right thalamus in mm³, corrected for partial volumes by ``mri_segstats``; NaN
        where the table has no row for it.
    voxels : (2,) float64
        Number of voxels that had the label; NaN likewise.
    icv : float
        Estimated total intracranial volume (Buckner et al. 2004) in mm³, NaN if absent.
    """

    volumes: npt.NDArray[np.float64]
    voxels: npt.NDArray[np.float64]
    icv: float


def read_statistics(path: Path) -> Statistics:
    """Read FreeSurfer's own volumes (``aseg.stats`` and files of the same format).

    Parameters
    ----------
    path : Path

    Returns
    -------
    Statistics

    Raises
    ------
    BadDataError
        If the file cannot be read or contains text in the place of numbers.
    """
    import numpy as np

    rows = dict.fromkeys(FREESURFER_LABELS, (float("nan"), float("nan")))
    try:
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            fields = line.split()
            if not line.startswith("#") and len(fields) > 3 and int(fields[1]) in rows:
                rows[int(fields[1])] = (float(fields[2]), float(fields[3]))
        etiv = _ETIV.search(text)
        icv = float(etiv[0].split(",")[3]) if etiv else float("nan")
    except (OSError, ValueError, IndexError) as error:
        raise BadDataError(f"{path} is not a FreeSurfer table of volumes ({error}).") from error
    voxels, volumes = np.array(list(rows.values())).T
    return Statistics(volumes, voxels, icv)


def measures_in(name: str) -> Callable[[Path], tuple[npt.NDArray[np.float64], float]]:
    """Return the function that reads volumes and intracranial volume from a program's own table.

    Parameters
    ----------
    name : str
        Path of a table in FreeSurfer's format within the folder of the job.
    """

    def measures(folder: Path) -> tuple[npt.NDArray[np.float64], float]:
        statistics = read_statistics(folder / name)
        return statistics.volumes, statistics.icv

    return measures


def find_licence(given: Path | None) -> Path:
    """Find FreeSurfer's licence file.

    Parameters
    ----------
    given : Path or None
        As specified by the user; None: ``$FS_LICENSE``, then ``$FREESURFER_HOME/license.txt``.

    Returns
    -------
    Path

    Raises
    ------
    MissingInputError
        If there is none.
    BadDataError
        If it is not a licence.
    """
    candidates = [given] if given else []
    if not given and os.environ.get("FS_LICENSE"):
        candidates.append(Path(os.environ["FS_LICENSE"]))
    elif not given and os.environ.get("FREESURFER_HOME"):
        candidates.append(Path(os.environ["FREESURFER_HOME"], "license.txt"))
    # A file that is specified must be valid: the next candidate is not tried instead.
    for path in candidates:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split()
        except OSError as error:
            raise MissingInputError(
                f"FreeSurfer's licence {path} cannot be read: {error.strerror}."
            ) from error
        # The file holds an e-mail address, a number and the keys.
        if len(lines) < 3 or "@" not in lines[0]:
            raise BadDataError(
                f"{path} is not FreeSurfer's licence: expected an e-mail address, a number and "
                "keys. Download it again from surfer.nmr.mgh.harvard.edu/registration.html."
            )
        return path
    raise MissingInputError(
        "FreeSurfer requires a licence, which is free. Get it from "
        "surfer.nmr.mgh.harvard.edu/registration.html and specify it with --fs-license-file, or "
        "set FS_LICENSE."
    )


def _call(job: Job) -> Call:
    return Call(
        executable="recon-all",
        arguments=(
            *("-all", "-s", SUBJECT, "-i", job.image, "-sd", job.folder),
            *("-openmp", str(job.threads)),
        ),
        binds=job.binds,
        folder=job.folder,
        environment={
            # Some scripts read the variable in spite of -sd.
            "SUBJECTS_DIR": "/thalbids/out" if job.contained else str(job.folder),
            **_licence(job),
        },
    )


def _licence(job: Job) -> dict[str, str]:
    """Return where FreeSurfer finds the licence file, a copy next to the image."""
    licence = job.image.with_name("license.txt")
    where = f"/thalbids/in/{licence.name}" if job.contained else str(licence)
    return {"FS_LICENSE": where} if licence.is_file() else {}


FREESURFER = ExternalMethod(
    name="freesurfer",
    title="FreeSurfer",
    contrasts=("T1w",),
    labels=FREESURFER_LABELS,
    executable="recon-all",
    image="freesurfer/freesurfer:7.4.1",
    layout=_LAYOUT,
    call=_call,
    output=written(f"{SUBJECT}/{_ASEG}"),
    seconds=8 * 3600,
    memory_gib=8,
    sentence="FreeSurfer (recon-all; FreeSurfer Software License) segmented the thalami in its "
    "conformed space; its labels were resampled to the grid of the scan by their headers (nearest "
    "neighbour). Its volumes corrected for partial volume effects and its estimated total "
    "intracranial volume (eTIV) are reported unchanged.",
    citations=("buckner2004", "fischl2002"),
    measures=measures_in(f"{SUBJECT}/{_STATISTICS}"),
    needs_licence=True,
    takes_spaces=False,
)
