"""Sessions of a dataset and their anatomical images."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bids_app.contrasts import Role, suffixes
from bids_app.dataset.names import LABEL_ENTITIES, parse_name
from bids_app.dataset.tables import read_json
from bids_app.errors import (
    BadDataError,
    CannotCreateError,
    Cause,
    InvalidBIDSError,
    MissingInputError,
    NothingSelectedError,
    Problem,
    permission_denied,
)
from bids_app.options import Selection

# The number of variables in an SQL query is limited; for more subjects, all are queried.
_MOST_IN_QUERY = 500
# Up to this many subjects' folders are indexed one by one, a tenth of a second each.
_FEW = 10
_IMAGE_EXTENSIONS = [".nii.gz", ".nii"]
# In their order: the first that a session has is measured, the others are aligned to it.
_CONTRASTS = suffixes(Role.ANCHOR, Role.OTHER)
_ANCHORS = suffixes(Role.ANCHOR)
# Changes from a subject's first session on are measured on images of this contrast.
_BASELINE = "T1w"


@dataclass(frozen=True)
class Scan:
    """One raw image.

    Attributes
    ----------
    path : Path
        Absolute path.
    contrast : str
        BIDS suffix, for example ``T1w``.
    entities : tuple of (str, str)
        Short entity names and values, ``sub`` and ``ses`` included, in BIDS order.
    """

    path: Path
    contrast: str
    entities: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Entities as in file names, ``sub-01_ses-01_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities)


@dataclass(frozen=True, kw_only=True)
class Session:
    """The unit of work: one visit of one subject.

    Attributes
    ----------
    subject : str
        Label without ``sub-``.
    session : str or None
        Label without ``ses-``; None in datasets without sessions.
    anchors : tuple of Scan
        The images that are measured: all of the first contrast in the order of
        ``bids_app.contrasts`` of which there is one. Empty if there is none.
    problem : Problem or None
        Why the session cannot be processed; None if it can.
    others : tuple of Scan
        One image of every other contrast, to be aligned to the anchors.
    unused : tuple of Scan
        Further images of those contrasts.
    baseline : Scan or None
        The T1w of the subject's first session (by the order of labels) that has one, which need
        not be selected. None for that session itself, and for those measured on another contrast.
    """

    subject: str
    session: str | None = None
    anchors: tuple[Scan, ...] = ()
    problem: Problem | None = None
    others: tuple[Scan, ...] = ()
    unused: tuple[Scan, ...] = ()
    baseline: Scan | None = None

    @property
    def name(self) -> str:
        """``sub-01_ses-01``, or ``sub-01``."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def folder(self) -> Path:
        """Folder of the session below the dataset, ``sub-01/ses-01``."""
        subject = Path(f"sub-{self.subject}")
        return subject / f"ses-{self.session}" if self.session else subject


def check_dataset(bids_dir: Path) -> None:
    """Refuse a folder that is not a BIDS dataset.

    Only what every use of the dataset depends on is checked: a readable
    ``dataset_description.json`` with a name and a BIDS version. A flaw elsewhere affects only the
    sessions concerned.

    Raises
    ------
    MissingInputError
        If the folder is empty.
    InvalidBIDSError
        If the description is absent, not JSON or without its required fields.
    """
    if not any(bids_dir.iterdir()):
        raise MissingInputError(
            f"The dataset {bids_dir} is empty. Give the path of a BIDS dataset."
        )
    path = bids_dir / "dataset_description.json"
    advice = "Add it (see bids.neuroimaging.io) or use --skip-bids-validation."
    if not path.is_file():
        raise InvalidBIDSError(f"{path} is missing: not a BIDS dataset. {advice}")
    try:
        description = read_json(path)
    except BadDataError as error:
        raise InvalidBIDSError(f"{error} {advice}") from error
    for field in ("Name", "BIDSVersion"):
        if not isinstance(description, dict) or not description.get(field):
            raise InvalidBIDSError(f"{path} lacks the required field '{field}'. {advice}")


def index_sessions(bids_dir: Path, selection: Selection) -> list[Session]:
    """List the selected sessions; only the folders of their subjects are read.

    Parameters
    ----------
    bids_dir : Path
    selection : Selection
        Labels, filters, and the folder of pybids' database.

    Returns
    -------
    list of Session
        Sorted by subject and session. Those that cannot be processed carry the reason.

    Raises
    ------
    MissingInputError
        If the dataset has no subject at all.
    NothingSelectedError
        If no session matches the labels.
    CannotCreateError
        If the folder of the database cannot be written.
    """
    present = _subjects_in(bids_dir)
    selected, absent = _select_subjects(bids_dir, present, selection)
    restricted = None if len(selected) == len(present) else selected
    layouts = _layouts(bids_dir, restricted, selection.bids_database_dir)
    every_image = _by_subject(layouts, selected, {})
    images = {
        contrast: _by_subject(layouts, selected, {"suffix": contrast, **filters})
        for contrast, filters in _filters(_CONTRASTS, selection).items()
    }
    sessions = [
        Session(subject=label, problem=_absent(bids_dir / f"sub-{label}")) for label in absent
    ]
    for subject in selected:
        of_subject = {contrast: paths.get(subject, []) for contrast, paths in images.items()}
        sessions += _sessions_of(
            bids_dir / f"sub-{subject}", every_image.get(subject, []), of_subject, selection
        )
    if not sessions:
        raise NothingSelectedError(
            f"None of the requested session labels ({', '.join(selection.session_labels or ())}) "
            f"is in {_shortened(selected)}."
        )
    return sorted(sessions, key=lambda session: (session.subject, session.session or ""))


def _select_subjects(
    bids_dir: Path, present: list[str], selection: Selection
) -> tuple[list[str], list[str]]:
    """Divide the selected labels into those that are present in the dataset and the others."""
    if not present:
        raise MissingInputError(f"{bids_dir} has no subject: expected folders named sub-<label>.")
    requested = selection.participant_labels or tuple(present)
    included = [label for label in requested if label not in selection.exclude_participant_labels]
    selected = [label for label in included if label in present]
    if not selected:
        raise NothingSelectedError(
            f"None of the requested labels ({', '.join(requested)}) is in {bids_dir}, "
            f"which has {_shortened(present)}."
        )
    return selected, [label for label in included if label not in present]


def _subjects_in(bids_dir: Path) -> list[str]:
    """List the labels of a dataset's subjects."""
    with os.scandir(bids_dir) as entries:
        return sorted(
            entry.name.removeprefix("sub-")
            for entry in entries
            if re.fullmatch(r"sub-[0-9a-zA-Z]+", entry.name) and entry.is_dir()
        )


def _filters(contrasts: Iterable[str], selection: Selection) -> dict[str, Mapping[str, object]]:
    """Look up the pybids filters for the images of contrasts; empty where there is none."""
    return {contrast: selection.bids_filters.get(contrast.lower(), {}) for contrast in contrasts}


def _layouts(bids_dir: Path, subjects: list[str] | None, database: Path | None) -> list[Any]:
    """Index the folders of some subjects, or of all if None."""
    # A database is for later runs as well, which may select other subjects.
    if subjects is None or database is not None:
        return [_layout(bids_dir, "[0-9a-zA-Z]+", database)]
    if len(subjects) <= _FEW:
        # With a pattern, pybids would visit the folder of every other subject to ignore it.
        return [_layout(bids_dir / f"sub-{subject}") for subject in subjects]
    return [_layout(bids_dir, "|".join(re.escape(subject) for subject in subjects))]


def _layout(folder: Path, subjects: str | None = None, database: Path | None = None) -> Any:  # noqa: ANN401 (pybids is untyped)
    """Index the images of a folder, if requested only of subjects whose labels match a pattern."""
    from bids import BIDSLayout, BIDSLayoutIndexer

    class Indexer(BIDSLayoutIndexer):  # type: ignore[misc]
        """Skips folders without read permission, at which pybids would fail."""

        def _index_dir(self, path: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return super()._index_dir(path, *args, **kwargs) if _is_readable(path) else ([], [])

    ignored = [re.compile(r"/[^/.]+\.(?!nii(?:\.gz)?$)[^/]*$")]
    if subjects is not None:
        # pybids matches folders without a trailing slash; files of the root contain a full stop.
        others = rf"^/(?!sub-(?:{subjects})(?:/|$))(?:[^/]+/|[^/.]+$)"
        ignored.append(re.compile(others))
    indexer = Indexer(validate=False, index_metadata=False, ignore=ignored)
    try:
        if database is not None:
            database.mkdir(parents=True, exist_ok=True)
        return BIDSLayout(
            folder, validate=False, derivatives=False, indexer=indexer, database_path=database
        )
    except OSError as error:
        if database is None:
            raise
        raise CannotCreateError(
            f"Cannot write to the database folder {database}: {error.strerror}."
        ) from error


def _by_subject(
    layouts: list[Any],
    subjects: list[str],
    filters: Mapping[str, object],
) -> dict[str, list[Path]]:
    """Collect the images that pass filters, by subject, in one query for all subjects."""
    limited = {"subject": subjects} if len(subjects) <= _MOST_IN_QUERY else {}
    query = {"extension": _IMAGE_EXTENSIONS, **limited, **filters}
    images: dict[str, list[Path]] = {}
    # Paths only: the entities of each image would be one more query, and are in its name.
    for layout in layouts:
        for path in map(Path, layout.get(**query, return_type="filename")):
            subject = _entity(path, "sub") or ""
            # An image in the folder of another subject than that of its name belongs to neither.
            if f"sub-{subject}" in path.parts:
                images.setdefault(subject, []).append(path)
    return images


def _sessions_of(
    folder: Path,
    every_image: list[Path],
    images: Mapping[str, list[Path]],
    selection: Selection,
) -> list[Session]:
    """List the selected sessions of one subject.

    Parameters
    ----------
    folder : Path
        Folder of the subject.
    every_image : list of Path
        Images of the subject.
    images : mapping of str to list of Path
        The images that pass the filters, by contrast.
    selection : Selection
    """
    subject = folder.name.removeprefix("sub-")
    if not _is_readable(folder):
        return [Session(subject=subject, problem=_denied(folder))]
    subfolders = {path.name.removeprefix("ses-") for path in folder.glob("ses-*") if path.is_dir()}
    labels = ({_entity(image, "ses") for image in every_image} | subfolders) or {None}
    if selection.session_labels is not None:
        labels = {label for label in labels if label in selection.session_labels}
    candidates = sorted(images[_BASELINE], key=lambda path: (_entity(path, "ses") or "", path))
    baseline = _scan(candidates[0]) if candidates else None
    sessions = []
    for label in sorted(labels, key=lambda value: value or ""):
        scans = {
            contrast: tuple(_scan(path) for path in sorted(paths) if _entity(path, "ses") == label)
            for contrast, paths in images.items()
        }
        session = _session(subject, label, scans, baseline)
        if not session.anchors:
            present = [image for image in every_image if _entity(image, "ses") == label]
            problem = _no_anchor(folder.parent, session, present, selection)
            session = replace(session, problem=problem)
        sessions.append(session)
    return sessions


def _session(
    subject: str,
    label: str | None,
    scans: Mapping[str, tuple[Scan, ...]],
    baseline: Scan | None,
) -> Session:
    """Divide the scans of a session, by contrast, into those to measure and those to align."""
    measured = next((contrast for contrast in _ANCHORS if scans[contrast]), None)
    if measured is None:
        return Session(subject=subject, session=label)
    others = [group for contrast, group in scans.items() if contrast != measured and group]
    is_later = baseline is not None and label not in (None, dict(baseline.entities).get("ses"))
    return Session(
        subject=subject,
        session=label,
        anchors=scans[measured],
        others=tuple(group[0] for group in others),
        unused=tuple(scan for group in others for scan in group[1:]),
        baseline=baseline if is_later and measured == _BASELINE else None,
    )


def _is_readable(folder: str | os.PathLike[str]) -> bool:
    """Whether this user may list a folder and enter it."""
    return os.access(folder, os.R_OK | os.X_OK)


def _entity(path: Path, short: str) -> str | None:
    """Look up the label of an entity in a file's name; pybids turns ``run-01`` into a number."""
    return parse_name(path.name).entities.get(short)


def _scan(path: Path) -> Scan:
    entities, suffix = parse_name(path.name)
    present = tuple((key, entities[key]) for key in LABEL_ENTITIES if key in entities)
    return Scan(path, suffix, present)


def _absent(folder: Path) -> Problem:
    return Problem(Cause.NOT_IN_DATASET, f"There is no folder {folder}.")


def _denied(folder: Path) -> Problem:
    return Problem(Cause.PERMISSION_DENIED, permission_denied(folder))


def _no_anchor(
    bids_dir: Path, session: Session, present: list[Path], selection: Selection
) -> Problem:
    """Describe why a session has no image to measure: permissions, or no file that matches."""
    for folder in (bids_dir / session.folder, bids_dir / session.folder / "anat"):
        if folder.is_dir() and not _is_readable(folder):
            return _denied(folder)
    patterns = " and ".join(f"*_{contrast}.nii[.gz]" for contrast in _ANCHORS)
    text = f"No {' or '.join(_ANCHORS)} image: searched {session.folder}/anat/{patterns}"
    filters = {
        contrast.lower(): dict(entities)
        for contrast, entities in _filters(_ANCHORS, selection).items()
        if entities
    }
    if filters:
        text += f" with the filter {json.dumps(filters, default=str)}"
    contrasts = sorted({parse_name(image.name).suffix for image in present})
    return Problem(Cause.NO_ANCHOR, f"{text}; found {', '.join(contrasts) or 'no image at all'}.")


def _shortened(labels: list[str]) -> str:
    """Enumerate the first few subjects, and count the remaining ones."""
    shown = ", ".join(f"sub-{label}" for label in labels[:5])
    return shown if len(labels) <= 5 else f"{shown} and {len(labels) - 5} more"
