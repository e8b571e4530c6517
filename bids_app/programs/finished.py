"""Finished segmentations given with ``-d NAME=PATH``: matched by name, read on a scan's grid."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bids_app.dataset.images import read_labels, read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import entities_of, natural
from bids_app.dataset.sources import DERIVATIVE
from bids_app.dataset.staging import write_if_different
from bids_app.errors import BadDataError, MissingInputError, permission_denied
from bids_app.images.geometry import AffineArray, Grid, same_grid
from bids_app.images.lta import read_lta
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.programs import precomputed
from bids_app.programs.edited import EDITED
from bids_app.programs.freesurfer import Statistics, read_statistics
from bids_app.programs.layouts import Finished, Place, is_image, results_of, unmatched
from bids_app.programs.mask_folders import masks_of
from bids_app.programs.method import FinishedMethod
from bids_app.programs.placement import placed, placed_probabilities, recoded
from bids_app.programs.registry import AUXILIARY_PROGRAMS, EXTERNAL_METHODS, READABLE_METHODS
from bids_app.segmentation.result import ProbableThalami, Thalami
from bids_app.segmentation.sides import LEFT, RIGHT

IntArray = npt.NDArray[np.int64]


def datasets(options: Options) -> dict[str, Path]:
    """Return the folders given with ``-d`` that hold segmentations.

    Excluded are quantitative maps, corrected masks, results of programs that do not segment, and
    the reference of the group stage.
    """
    readable = {name for name, program in AUXILIARY_PROGRAMS.items() if program.readable}
    others = {DERIVATIVE, EDITED, "manual", options.methods.reference, *readable}
    return {name: path for name, path in options.folders.derivatives.items() if name not in others}


def find_finished(
    session: Session, scan: Scan, options: Options
) -> tuple[list[Finished], dict[str, str]]:
    """List the results for one anchor in the datasets given, by names alone.

    Parameters
    ----------
    session : Session
    scan : Scan
        One of its anchors.
    options : Options

    Returns
    -------
    results : list of Finished
        At most one for each method and contrast.
    problems : dict of str to str
        By dataset, if several of its files fit equally well, or permission is denied.
    """
    results: list[Finished] = []
    problems = {}
    place = Place(session, scan, _sessions(session, options))
    for name, root in datasets(options).items():
        try:
            program = READABLE_METHODS.get(name)
            if isinstance(program, FinishedMethod):
                results += masks_of(program, root, place)
            elif program is not None:
                results += results_of(program, root, place)
            else:
                filters = options.selection.bids_filters.get(name.lower(), {})
                results += precomputed.find(name, root, place, filters)
        except BadDataError as error:
            problems[name] = str(error)
        except PermissionError as error:
            problems[name] = permission_denied(error.filename)
    return results, problems


def why_none(session: Session, scan: Scan, name: str, options: Options) -> str:
    """State why a dataset has no result of an anchor: what there is, and what was expected."""
    place = Place(session, scan, _sessions(session, options))
    root = options.folders.derivatives[name]
    return unmatched(READABLE_METHODS.get(name), root, place)


def finished_files(session: Session, options: Options) -> list[tuple[str, Path, Path]]:
    """List the files of finished results of a session: dataset, its folder, file."""
    files = [
        (item.dataset, item.root, path)
        for scan in session.anchors
        for item in find_finished(session, scan, options)[0]
        for path in item.files
    ]
    return list(dict.fromkeys(files))


def read_finished(
    result: Finished, grid: Grid, to_contrast: AffineArray | None
) -> tuple[Thalami, str | None]:
    """Read labels, resample them on the grid of the anchor, and read the volumes next to them.

    Parameters
    ----------
    result : Finished
    grid : Grid
        Grid of the anchor.
    to_contrast : (4, 4) float64 or None
        World coordinates of the anchor to those of the contrast that was segmented; None for the
        anchor itself.

    Returns
    -------
    thalami : Thalami
        On the grid of the anchor; labels as in `bids_app.programs.placement.placed`.
    problem : str or None
        Why the table of volumes is not used.

    Raises
    ------
    MissingInputError, BadDataError
        If a label image cannot be read or used.
    """
    program = EXTERNAL_METHODS.get(result.dataset)
    tables = result.labels or ((program.labels,) if program else ())
    dseg = np.zeros(grid.shape, dtype=np.uint8)
    voxels = np.zeros(2, dtype=np.int64)
    for path, table in zip(result.paths, tables, strict=True):
        if path.name.partition(".")[0].endswith("_mask"):
            # Masks are stored as 1, 255 or probabilities.
            mask = to_ras(read_volume(path, may_be_constant=True))
            labels = Volume((mask.data != 0).astype(np.uint8), mask.affine)
        else:
            labels = to_ras(read_labels(path))
        sides = recoded(labels, table)
        voxels += [np.count_nonzero(sides.data == side) for side in (LEFT, RIGHT)]
        transform = transform_to_labels(result, labels.grid, grid, to_contrast)
        # The first mask takes precedence where two overlap.
        np.copyto(dseg, placed(sides, grid, transform), where=dseg == 0)
    if voxels.any() and not dseg.any():
        raise BadDataError(
            f"{result.paths[0]} has {voxels.sum()} voxels of the thalami, but none inside the "
            "scan: it is of another head, or was moved to another space. Give the result of this "
            "scan."
        )
    thalami = Thalami(dseg=dseg)
    if result.probabilities:
        probable = [
            to_ras(read_volume(path, may_be_constant=True)) for path in result.probabilities
        ]
        probseg = placed_probabilities(probable, grid, transform)
        thalami = ProbableThalami(dseg=dseg, probseg=probseg)
    if result.statistics is None:
        return thalami, None
    try:
        statistics = read_statistics(result.statistics)
        _check_statistics(statistics, voxels, result)
    except BadDataError as error:
        return thalami, f"{error} The masks are used without it; make it again from them."
    return replace(thalami, soft_volumes=statistics.volumes, icv=statistics.icv), None


def transform_to_labels(
    result: Finished, labels: Grid, grid: Grid, to_contrast: AffineArray | None
) -> AffineArray | None:
    """Return the transform from the space of the anchor to that of labels; None if they agree.

    Parameters
    ----------
    result : Finished
    labels, grid : Grid
        Grids of the labels and of the anchor.
    to_contrast : (4, 4) float64 or None
        As in `read_finished`.

    Raises
    ------
    MissingInputError, BadDataError
        If FreeSurfer's transform to its template cannot be used.
    """
    if result.transform is not None:
        return _longitudinal(result.transform)
    # Labels lie in the space of the contrast that was segmented, unless name or grid show that
    # they were moved to the anchor.
    return None if result.in_anchor_space or same_grid(labels, grid) else to_contrast


def _check_statistics(statistics: Statistics, voxels: IntArray, result: Finished) -> None:
    """Reject a table of volumes that has none of the thalami, or was made from other labels."""
    path, image = result.statistics, result.paths[0].name
    if not np.isfinite(statistics.volumes).any():
        raise BadDataError(f"{path} has no volume of a thalamus (labels 10 and 49).")
    if (np.abs(statistics.voxels - voxels) > result.counts_within * voxels).any():
        listed, counted = (
            " and ".join(f"{value:.0f}" for value in pair) for pair in (statistics.voxels, voxels)
        )
        raise BadDataError(
            f"{path} is not of {image}: it lists {listed} voxels of the left and right thalamus, "
            f"and {image} has {counted}. The labels were changed after it was made, or it is of "
            "another head."
        )


def _longitudinal(path: Path) -> AffineArray:
    """Read the transform from a time point to the template, in whose space its labels lie."""
    try:
        return read_lta(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise MissingInputError(
            f"{path} cannot be read ({error.strerror}), but the labels of FreeSurfer's "
            "longitudinal stream lie in the space of its template. Keep both folders together."
        ) from error
    except ValueError as error:
        raise BadDataError(f"{path} is not a transform of FreeSurfer: {error}.") from error


def _sessions(session: Session, options: Options) -> tuple[str, ...]:
    """List the labels of all sessions of a subject."""
    folder = options.folders.bids_dir / f"sub-{session.subject}"
    folders = (path for path in folder.glob("ses-*") if path.is_dir())
    return tuple(sorted((path.name.removeprefix("ses-") for path in folders), key=natural))


class Match(NamedTuple):
    """One row of the table of finished results.

    Attributes
    ----------
    dataset : str
        Name of the dataset.
    session, method, contrast, file : str
        Session, method and contrast of a result, and its files relative to the dataset; ``n/a`` for
        what a row does not have.
    problem : str
        Why a session has no result, or that a file belongs to no session; otherwise ``n/a``.
    """

    dataset: str
    session: str = "n/a"
    method: str = "n/a"
    contrast: str = "n/a"
    file: str = "n/a"
    problem: str = "n/a"


def match_table(sessions: Iterable[Session], options: Options) -> list[Match]:
    """Tabulate which finished results belong to which session, and which to none.

    Parameters
    ----------
    sessions : iterable of Session
        All sessions that were requested.
    options : Options

    Returns
    -------
    list of Match
        Sorted. A session without results of a dataset has one row, and so has every folder or image
        that belongs to no session.
    """
    rows: list[Match] = []
    used: set[tuple[str, str]] = set()
    selected = [session for session in sessions if session.anchors]
    for session in selected:
        results: list[Finished] = []
        problems: dict[str, str] = {}
        for scan in session.anchors:
            results_of_scan, problems_of_scan = find_finished(session, scan, options)
            results += results_of_scan
            problems |= problems_of_scan
        rows += [_match(session, item) for item in results]
        rows += [
            Match(
                name,
                session.name,
                problem=problems.get(name) or why_none(session, session.anchors[0], name, options),
            )
            for name in datasets(options)
            if all(item.dataset != name for item in results)
        ]
        used |= {
            (item.dataset, path.relative_to(item.root).parts[0])
            for item in results
            for path in item.paths
        }
    subjects: dict[str, list[str]] = {}
    for session in selected:
        subjects.setdefault(session.subject, []).extend(
            [f"ses-{session.session}"] if session.session else []
        )
    for name, root in datasets(options).items():
        rows += [
            Match(name, file=entry, problem=_why_unused(root / entry, subjects))
            for entry in _subject_entries(root, subjects, options)
            if (name, entry) not in used
        ]
    return sorted(rows)


def _why_unused(path: Path, subjects: Mapping[str, Sequence[str]]) -> str:
    """State why a folder or image of a subject is the result of no session."""
    entities = entities_of(path, path.parent)
    subject, label = entities.get("sub", ""), entities.get("ses")
    sessions = subjects.get(subject)
    if sessions is None:
        return f"the BIDS dataset has no scan of sub-{subject}"
    listed = " ".join(sessions) or "no sessions"
    if label is not None and f"ses-{label}" not in sessions:
        return f"the BIDS dataset has no scan of ses-{label} of sub-{subject}, which has {listed}"
    if label is None and len(sessions) > 1:
        return f"the name gives no session of sub-{subject}, which has {listed}"
    return "no label image in it was expected or chosen"


def _match(session: Session, result: Finished) -> Match:
    files = " ".join(path.relative_to(result.root).as_posix() for path in result.paths)
    return Match(result.dataset, session.name, result.method, result.contrast, files)


def write_match_table(sessions: Iterable[Session], options: Options) -> None:
    """Write ``logs/derivatives.tsv``, unless the run is one task of a SLURM array.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    # Tasks of an array would overwrite the table of one another.
    if not datasets(options) or os.environ.get("SLURM_ARRAY_TASK_ID"):
        return
    lines = (
        "\t".join(" ".join(cell.split()) for cell in row) + "\n"
        for row in (Match._fields, *match_table(sessions, options))
    )
    write_if_different(options.folders.output_dir / "logs" / "derivatives.tsv", "".join(lines))


def _subject_entries(root: Path, subjects: Container[str], options: Options) -> Iterator[str]:
    """List the folders and images of subjects in a dataset.

    Those of subjects that the BIDS dataset holds but that were not requested are excluded.
    """
    # One level suffices: what belongs to a subject bears its label there.
    for entry in sorted(root.glob("sub-*")):
        subject = entities_of(entry, root).get("sub", "")
        others = subject not in subjects and (options.folders.bids_dir / f"sub-{subject}").is_dir()
        if not others and (entry.is_dir() or is_image(entry)):
            yield entry.name
