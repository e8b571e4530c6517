"""How long a session takes and how much memory it needs, predicted from its images' voxels."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.dataset.index import Session
from bids_app.run.records import read_record
from bids_app.segmentation.external import ExternalMethod

# Least squares over simulated scans of 0.8 to 2 mm; measured by benchmarks/cost_model.py.
_START_SECONDS = 3.0
_SECONDS_PER_SCAN = 10.0  # by one processor; the networks look at as many voxels in every scan
_SECONDS_PER_MEGAVOXEL = 0.6
_BASE_MIB = 290.0
_MIB_PER_MEGAVOXEL = 16.0
# A scan whose header cannot be read is taken for one of 256 x 256 x 256.
_UNKNOWN_VOXELS = 256**3


@dataclass(frozen=True)
class Cost:
    """What a session takes.

    Attributes
    ----------
    seconds : float
        Wall time.
    peak_mib : float
        Highest resident memory.
    """

    seconds: float
    peak_mib: float


def predict(voxels: Sequence[int], threads: int) -> Cost:
    """Predict the cost of one session.

    Parameters
    ----------
    voxels : sequence of int
        Of each scan that is measured.
    threads : int
        Processors.

    Returns
    -------
    Cost
    """
    mega = [count / 1e6 for count in voxels]
    scans = len(mega) * _SECONDS_PER_SCAN / threads
    return Cost(
        _START_SECONDS + scans + sum(mega) * _SECONDS_PER_MEGAVOXEL,
        _BASE_MIB + max(mega, default=0.0) * _MIB_PER_MEGAVOXEL,
    )


def predict_sessions(
    sessions: Iterable[Session],
    threads: int,
    output_dir: Path,
    programs: Sequence[ExternalMethod] = (),
) -> dict[str, Cost]:
    """Predict the cost of every session that can be measured.

    Where some have been measured already, by this machine and with these options most likely, the
    prediction is scaled by the median of what they took over what was predicted for them. What
    other programs take is by their own documentation, and is not scaled.

    Parameters
    ----------
    sessions : iterable of Session
    threads : int
        Processors for each.
    output_dir : Path
        Holds the records of earlier runs, if there were any.
    programs : sequence of ExternalMethod
        To be run on every image that they can segment.

    Returns
    -------
    dict of str to Cost
        By name of the session.
    """
    measured = [session for session in sessions if not session.problem]
    costs = {
        session.name: predict([_voxels(scan.path) for scan in session.anchors], threads)
        for session in measured
    }
    if programs:
        return {
            session.name: _with_programs(costs[session.name], session, programs)
            for session in measured
        }
    records = {name: read_record(output_dir, name) for name in costs}
    done = {name: kept for name, kept in records.items() if kept and kept.status == "done"}
    if not done:
        return costs
    slower = statistics.median(kept.seconds / costs[name].seconds for name, kept in done.items())
    larger = statistics.median(kept.peak_mib / costs[name].peak_mib for name, kept in done.items())
    return {
        name: Cost(cost.seconds * slower, cost.peak_mib * larger) for name, cost in costs.items()
    }


def _with_programs(cost: Cost, session: Session, programs: Sequence[ExternalMethod]) -> Cost:
    contrasts = [scan.contrast for scan in session.anchors]
    contrasts += [scan.contrast for scan in session.others] * len(session.anchors)
    images = [sum(each in program.contrasts for each in contrasts) for program in programs]
    return Cost(
        cost.seconds
        + sum(n * program.seconds for n, program in zip(images, programs, strict=True)),
        max(cost.peak_mib, *(1024 * program.memory_gib for program in programs)),
    )


def _voxels(path: Path) -> int:
    """Number of voxels by the header; the data are not read."""
    import nibabel as nib
    import numpy as np

    try:
        return int(np.prod(nib.Nifti1Image.from_filename(path).shape[:3]))
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
        return _UNKNOWN_VOXELS
