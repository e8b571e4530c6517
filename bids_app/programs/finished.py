"""Finished segmentations given with ``-d NAME=PATH``: found by name, read onto a scan's grid."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import entities_of
from bids_app.dataset.sources import DERIVATIVE
from bids_app.dataset.staging import write_if_different
from bids_app.errors import BadDataError, MissingInputError, permission_denied
from bids_app.images.geometry import AffineArray, same_grid
from bids_app.images.lta import read_lta
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.programs import layouts, precomputed
from bids_app.programs.layouts import Finished, Place
from bids_app.programs.method import Labels, placed
from bids_app.programs.registry import EXTERNAL


def datasets(options: Options) -> dict[str, Path]:
    """Folders given with ``-d`` that hold segmentations.

    Left out are quantitative maps, SIENA's reports and the reference of the group stage.
    """
    others = {DERIVATIVE, "siena", "manual", options.methods.reference}
    return {name: path for name, path in options.folders.derivatives.items() if name not in others}


def find_finished(
    session: Session, scan: Scan, options: Options
) -> tuple[list[Finished], dict[str, str]]:
    """List what the datasets given hold for one anchor, by names alone.

    Parameters
    ----------
    session : Session
    scan : Scan
        One of its anchors.
    options : Options

    Returns
    -------
    found : list of Finished
        At most one for each method and contrast.
    problems : dict of str to str
        By dataset, where several of its files fit equally well, or a folder is closed.
    """
    found: list[Finished] = []
    problems = {}
    place = Place(session, scan, _only_session(session, options))
    for name, root in datasets(options).items():
        try:
            if name in layouts.SUBJECTS_DIR:
                found += layouts.in_subjects_dir(name, root, place)
            elif name in layouts.FLAT:
                found += layouts.among_files(name, root, place)
            else:
                wanted = options.selection.bids_filters.get(name.lower(), {})
                found += precomputed.find(name, root, place, wanted)
        except BadDataError as error:
            problems[name] = str(error)
        except PermissionError as error:
            problems[name] = permission_denied(error.filename)
    return found, problems


def finished_files(session: Session, options: Options) -> list[tuple[str, Path, Path]]:
    """List the files of finished results of a session: dataset, its folder, file."""
    files = [
        (item.dataset, item.root, path)
        for scan in session.anchors
        for item in find_finished(session, scan, options)[0]
        for path in item.files
    ]
    return list(dict.fromkeys(files))


def read_finished(result: Finished, grid: Volume, to_contrast: AffineArray | None) -> Labels:
    """Read labels and bring them onto the grid of the anchor.

    Parameters
    ----------
    result : Finished
    grid : Volume
        The anchor.
    to_contrast : (4, 4) float64 or None
        World coordinates of the anchor to those of the contrast that was segmented; None for the
        anchor itself.

    Returns
    -------
    (X, Y, Z) uint8
        On the anchor's grid; values as `bids_app.programs.method.placed` gives them.

    Raises
    ------
    MissingInputError, BadDataError
        If a file cannot be read or used.
    """
    program = EXTERNAL.get(result.dataset)
    tables = result.labels or ((program.labels,) if program else ())
    dseg = np.zeros(grid.data.shape, dtype=np.uint8)
    for path, table in zip(result.paths, tables, strict=True):
        labels = to_ras(read_volume(path, may_be_constant=True))
        if path.name.partition(".")[0].endswith("_mask"):
            labels = Volume((labels.data != 0).astype(np.uint8), labels.affine)
        transform = to_contrast
        if result.in_anchor_space or same_grid(labels.grid, grid.grid):
            transform = None
        if result.transform is not None:
            transform = _longitudinal(result.transform)
        np.copyto(dseg, placed(labels, table, grid, transform), where=dseg == 0)
    return dseg


def _longitudinal(path: Path) -> AffineArray:
    """Transform from a time point to the template in whose space its labels lie."""
    try:
        return read_lta(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise MissingInputError(
            f"{path} cannot be read ({error.strerror}), but the labels of FreeSurfer's "
            "longitudinal stream lie in the space of its template. Keep its folder beside them."
        ) from error
    except ValueError as error:
        raise BadDataError(f"{path} is not FreeSurfer's transform: {error}.") from error


def _only_session(session: Session, options: Options) -> bool:
    """Whether a subject has no other session, so that results by subject can be its."""
    folder = options.folders.bids_dir / f"sub-{session.subject}"
    return len([path for path in folder.glob("ses-*") if path.is_dir()]) < 2


def match_table(sessions: Iterable[Session], options: Options) -> list[tuple[str, ...]]:
    """Tabulate which finished results belong to which session, and which to none.

    Parameters
    ----------
    sessions : iterable of Session
        All that were asked for.
    options : Options

    Returns
    -------
    list of tuple of str
        ``dataset``, ``session``, ``method``, ``contrast``, ``file`` (relative to the dataset) and
        ``problem``; the names of the columns come first. A session without results of a dataset
        has one row that says so, and so has every folder or image that belongs to no session.
    """
    rows: list[tuple[str, ...]] = []
    given = datasets(options)
    used: dict[str, set[str]] = {name: set() for name in given}
    selected = [session for session in sessions if session.anchors]
    for session in selected:
        matched: list[Finished] = []
        problems: dict[str, str] = {}
        for scan in session.anchors:
            found, unclear = find_finished(session, scan, options)
            matched += found
            problems |= unclear
        for name in given:
            own = [item for item in matched if item.dataset == name]
            for item in own:
                names = [path.relative_to(item.root).as_posix() for path in item.paths]
                used[name].update(text.split("/")[0] for text in names)
                rows.append(
                    (name, session.name, item.method, item.contrast, " ".join(names), "n/a")
                )
            if not own:
                rows.append(
                    (name, session.name, "n/a", "n/a", "n/a", problems.get(name, "nothing found"))
                )
    subjects = {session.subject for session in selected}
    for name, root in given.items():
        unused = _unused(root, used[name], subjects, options)
        rows += [(name, "n/a", "n/a", "n/a", entry, "belongs to no session") for entry in unused]
    header = ("dataset", "session", "method", "contrast", "file", "problem")
    return [header, *sorted(rows)]


def write_match_table(sessions: Iterable[Session], options: Options) -> None:
    """Write ``logs/derivatives.tsv``, unless the run is one task of a SLURM array.

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    if not datasets(options) or os.environ.get("SLURM_ARRAY_TASK_ID"):
        return
    lines = (
        "\t".join(" ".join(cell.split()) for cell in row) + "\n"
        for row in match_table(sessions, options)
    )
    write_if_different(options.folders.output_dir / "logs" / "derivatives.tsv", "".join(lines))


def _unused(root: Path, used: set[str], subjects: set[str], options: Options) -> Sequence[str]:
    """Subjects' folders and images of a dataset that no session has taken.

    Those of subjects of the dataset that were not asked for are left out.
    """
    found = []
    for entry in sorted(root.glob("sub-*")):
        subject = entities_of(entry, root).get("sub", "")
        others = subject not in subjects and (options.folders.bids_dir / f"sub-{subject}").is_dir()
        if entry.name in used or others or not (entry.is_dir() or layouts.is_image(entry)):
            continue
        found.append(entry.name)
    return found
