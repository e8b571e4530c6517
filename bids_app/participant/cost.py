"""Predicted time and memory of a session, from the number of voxels of its images."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.dataset.headers import MOST_VOXELS
from bids_app.dataset.images import count_voxels
from bids_app.dataset.index import Session
from bids_app.options import Options
from bids_app.programs.method import AuxiliaryProgram, ExternalMethod, Workload
from bids_app.programs.selection import all_programs, workload_of
from bids_app.run.records import read_record
from bids_app.segmentation.methods import BUILT_IN, built_in

# Measured by benchmarks/cost_model.py at 2 and 1 mm by one processor.
_START_SECONDS = 2.0
_SECONDS_PER_SCAN = 6.5  # the networks' input has as many voxels in every scan
_SECONDS_PER_MEGAVOXEL = 0.4
_SECONDS_PER_CONTRAST = 11.0  # to align another one, and to segment it alone and with the scan
_SECONDS_PER_CONTRAST_MEGAVOXEL = 1.6
_SECONDS_PER_SOURCE = 0.2  # each image that quantitative maps are made from
_SECONDS_PER_SOURCE_MEGAVOXEL = 0.02
# For each scan that is registered to a template; it is the same at 2 and 1 mm, as all is averaged.
_SECONDS_PER_TEMPLATE = 50.0
_TEMPLATE_MIB = 300.0
# For each scan that --longitudinal compares with the subject's others.
_SECONDS_PER_VISIT = 3.5
_SECONDS_PER_VISIT_MEGAVOXEL = 5.0
_VISIT_MIB_PER_MEGAVOXEL = 90.0
# For each of its other contrasts, by megavoxels of the scan (3 contrasts at 2 visits of a patient).
_SECONDS_PER_VISIT_CONTRAST_MEGAVOXEL = 1.0
_VISIT_CONTRAST_MIB_PER_MEGAVOXEL = 8.0
_BASE_MIB = 290.0
_MIB_PER_MEGAVOXEL = 16.0
_CONTRAST_MIB = 350.0  # of libraries, and of images that are held at once
_CONTRAST_MIB_PER_MEGAVOXEL = 16.0
# A scan whose header cannot be read is assumed to have 256 x 256 x 256 voxels.
_UNKNOWN_VOXELS = 256**3


@dataclass(frozen=True)
class Cost:
    """Time and memory of a session.

    Attributes
    ----------
    seconds : float
        Wall time.
    peak_mib : float
        Highest resident memory.
    """

    seconds: float
    peak_mib: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """Amount of work in a session.

    Attributes
    ----------
    voxels : tuple of int
        Voxels of each scan that is measured.
    contrasts : int
        Other contrasts, which are aligned to each of them.
    sources : int
        Images that quantitative maps are made from.
    seconds_per_image : float
        Time of the built-in methods, in addition to the networks.
    registers : bool
        Whether one of them registers images.
    templates : int
        Templates in whose space results are written.
    """

    voxels: tuple[int, ...]
    contrasts: int = 0
    sources: int = 0
    seconds_per_image: float = 0.0
    registers: bool = False
    templates: int = 0


def predict(load: Load, threads: int) -> Cost:
    """Predict the cost of one session.

    Parameters
    ----------
    load : Load
    threads : int
        Processors. Only the networks use more than one.

    Returns
    -------
    Cost
    """
    mega = [count / 1e6 for count in load.voxels]
    largest, scans = max(mega, default=0.0), len(mega)
    images = scans * (1 + load.contrasts)
    seconds = scans * _SECONDS_PER_SCAN / threads + sum(mega) * _SECONDS_PER_MEGAVOXEL
    seconds += load.contrasts * (
        scans * _SECONDS_PER_CONTRAST + sum(mega) * _SECONDS_PER_CONTRAST_MEGAVOXEL
    )
    seconds += load.sources * (_SECONDS_PER_SOURCE + largest * _SECONDS_PER_SOURCE_MEGAVOXEL)
    seconds += images * load.seconds_per_image
    seconds += scans * load.templates * _SECONDS_PER_TEMPLATE
    mib = _BASE_MIB + largest * _MIB_PER_MEGAVOXEL
    if load.contrasts or load.registers:
        mib += _CONTRAST_MIB + largest * _CONTRAST_MIB_PER_MEGAVOXEL
    if load.templates:
        mib += _TEMPLATE_MIB
    return Cost(_START_SECONDS + seconds, mib)


def predict_series(series: Session) -> Cost:
    """Predict the cost of comparing all scans of a subject.

    Parameters
    ----------
    series : Session
        Its anchors are the scans; the others of a session are followed on the grid of each.

    Returns
    -------
    Cost
        Time by one processor: few of the steps use more.
    """
    mega = [_voxels(scan.path) / 1e6 for scan in series.anchors]
    others = Counter(scan.session for scan in series.others)
    of_others = [
        each
        for scan, each in zip(series.anchors, mega, strict=True)
        for _ in range(others[scan.session])
    ]
    seconds = _SECONDS_PER_VISIT * (len(mega) + len(of_others))
    seconds += _SECONDS_PER_VISIT_MEGAVOXEL * sum(mega)
    seconds += _SECONDS_PER_VISIT_CONTRAST_MEGAVOXEL * sum(of_others)
    mib = _BASE_MIB + _VISIT_MIB_PER_MEGAVOXEL * sum(mega)
    mib += _VISIT_CONTRAST_MIB_PER_MEGAVOXEL * sum(of_others)
    return Cost(_START_SECONDS + seconds, mib)


def predict_sessions(
    sessions: Iterable[Session], threads: int, options: Options
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
    options : Options
        Their output folder may hold the records of earlier runs.

    Returns
    -------
    dict of str to Cost
        By name of the session.
    """
    measured = [session for session in sessions if not session.problem]
    loads = {session.name: load_of(session, options) for session in measured}
    costs = {name: predict(load, threads) for name, load in loads.items()}
    programs = all_programs(options)
    if programs:
        return {
            session.name: _with_programs(
                costs[session.name], workload_of(session, options), programs
            )
            for session in measured
        }
    records = {name: read_record(options.folders.output_dir, name) for name in costs}
    done = {name: kept for name, kept in records.items() if kept and kept.status == "done"}
    if not done:
        return costs
    slower = statistics.median(kept.seconds / costs[name].seconds for name, kept in done.items())
    larger = statistics.median(kept.peak_mib / costs[name].peak_mib for name, kept in done.items())
    return {
        name: Cost(cost.seconds * slower, cost.peak_mib * larger) for name, cost in costs.items()
    }


def load_of(session: Session, options: Options) -> Load:
    """Count what is to be done in a session, by the names and headers of its files."""
    from bids_app.dataset.sources import find_sources

    sources = [each for each in find_sources(session, options.folders) if each.suffix != "TB1map"]
    methods = [built_in(name) for name in options.methods.names if name in BUILT_IN]
    return Load(
        voxels=tuple(_voxels(scan.path) for scan in session.anchors),
        contrasts=len(session.others) + bool(sources),
        sources=len(sources),
        seconds_per_image=sum(method.seconds for method in methods),
        registers=any(method.registers for method in methods),
        templates=len(options.methods.output_spaces),
    )


def _with_programs(
    cost: Cost, workload: Workload, programs: Sequence[ExternalMethod | AuxiliaryProgram]
) -> Cost:
    """Add the runs of programs to the cost of a session."""
    runs = [(program, program.runs(workload)) for program in programs]
    return Cost(
        cost.seconds + sum(count * program.seconds for program, count in runs),
        max([cost.peak_mib, *(1024 * program.memory_gib for program, count in runs if count)]),
    )


def _voxels(path: Path) -> int:
    """Count the voxels of an image, or assume a typical number where its header cannot be true."""
    count = count_voxels(path)
    return count if count is not None and 0 < count <= MOST_VOXELS else _UNKNOWN_VOXELS
