"""Which sessions a dataset holds, and which images each offers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_app.dataset.names import LABEL_ENTITIES, parse_name
from bids_app.errors import (
    CannotCreateError,
    Cause,
    InvalidBIDSError,
    MissingInputError,
    NothingSelectedError,
    Problem,
    permission_denied,
)
from bids_app.options import Options

# SQL has its limits; above this all subjects are asked for.
_MOST_IN_QUERY = 500
# So many subjects' folders are indexed each on its own, in a tenth of a second.
_FEW = 10
_IMAGE_EXTENSIONS = [".nii.gz", ".nii"]
# What is measured, the first that a session has; the later ones are aligned to it.
_CONTRASTS = ("T1w", "FLAIR", "T2w")
_ANCHORS = ("T1w", "FLAIR")


@dataclass(frozen=True)
class Scan:
    """One raw image.

    Attributes
    ----------
    path : Path
        Absolute.
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
        """The entities as they stand in file names, ``sub-01_ses-01_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities)


@dataclass(frozen=True)
class Session:
    """The unit of work: one visit of one subject.

    Attributes
    ----------
    subject : str
        Label without ``sub-``.
    session : str or None
        Label without ``ses-``; None in datasets without sessions.
    anchors : tuple of Scan
        The images that are measured, every T1w or else every FLAIR; empty where there is none.
    problem : Problem or None
        Why the session cannot be processed; None where it can.
    others : tuple of Scan
        One image of every other contrast, to be aligned to the anchors.
    unused : tuple of Scan
        Further images of those contrasts.
    baseline : Scan or None
        Where the session is measured on T1w and is not the first with one of its subject, by the
        order of labels: the first one's T1w. It may belong to a session that was not asked for.
    """

    subject: str
    session: str | None
    anchors: tuple[Scan, ...]
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
        """Where the session lies below the dataset, ``sub-01/ses-01``."""
        subject = Path(f"sub-{self.subject}")
        return subject / f"ses-{self.session}" if self.session else subject


def check_dataset(bids_dir: Path) -> None:
    """Refuse a folder that is not a BIDS dataset.

    Only what every use of the dataset rests on is checked: a readable
    ``dataset_description.json`` with a name and a BIDS version. A flaw elsewhere stops only what
    depends on it.

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
    advice = "Add it (bids.neuroimaging.io tells how) or use --skip-bids-validation."
    try:
        description = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InvalidBIDSError(f"{path} is missing: not a BIDS dataset. {advice}") from error
    except (OSError, ValueError) as error:
        raise InvalidBIDSError(f"{path} is not readable JSON ({error}). {advice}") from error
    for field in ("Name", "BIDSVersion"):
        if not isinstance(description, dict) or not description.get(field):
            raise InvalidBIDSError(f"{path} lacks the required field '{field}'. {advice}")


def index_sessions(options: Options) -> list[Session]:
    """Find the sessions that were asked for; only their subjects' folders are read.

    Parameters
    ----------
    options : Options
        Dataset, labels and filters.

    Returns
    -------
    list of Session
        Sorted by subject and session. Those that cannot be processed carry the reason.

    Raises
    ------
    MissingInputError
        If the dataset holds no subject at all.
    NothingSelectedError
        If labels or filters leave nothing.
    """
    bids_dir = options.folders.bids_dir
    with os.scandir(bids_dir) as entries:
        present = sorted(
            entry.name.removeprefix("sub-")
            for entry in entries
            if re.fullmatch(r"sub-[0-9a-zA-Z]+", entry.name) and entry.is_dir()
        )
    if not present:
        raise MissingInputError(
            f"{options.folders.bids_dir} holds no subject: expected folders named sub-<label>."
        )
    asked = options.selection.participant_labels or tuple(present)
    excluded = set(options.selection.exclude_participant_labels)
    selected = [label for label in asked if label not in excluded]
    absent = [label for label in selected if label not in present]
    selected = [label for label in selected if label in present]
    if not selected:
        raise NothingSelectedError(
            f"None of the labels asked for ({', '.join(asked)}) is in {options.folders.bids_dir}, "
            f"which holds {_some(present)}."
        )
    sessions = [Session(label, None, (), _absent(bids_dir / f"sub-{label}")) for label in absent]
    layouts = _layouts(options, None if len(selected) == len(present) else selected)
    everything = _by_subject(layouts, selected, {})
    filters = {
        contrast: options.selection.bids_filters.get(contrast.lower(), {})
        for contrast in _CONTRASTS
    }
    scans = {
        contrast: _by_subject(layouts, selected, {"suffix": contrast, **own})
        for contrast, own in filters.items()
    }
    for subject in selected:
        own = {contrast: found.get(subject, []) for contrast, found in scans.items()}
        sessions.extend(_sessions_of(options, subject, everything.get(subject, []), own))
    if not sessions:
        raise NothingSelectedError(
            f"The session labels asked for ({', '.join(options.selection.session_labels or ())}) "
            f"are in none of {_some(selected)}."
        )
    return sorted(sessions, key=lambda session: (session.subject, session.session or ""))


def _layouts(options: Options, subjects: list[str] | None) -> list[Any]:
    """Index the folders of some subjects, or with None of all."""
    database = options.selection.bids_database_dir
    # A database serves later runs too, which may want other subjects.
    if subjects is None or database is not None:
        return [_layout(options.folders.bids_dir, "[0-9a-zA-Z]+", database)]
    if len(subjects) <= _FEW:
        # pybids would look at every other subject's folder, if only to leave it.
        return [_layout(options.folders.bids_dir / f"sub-{subject}") for subject in subjects]
    return [_layout(options.folders.bids_dir, "|".join(re.escape(subject) for subject in subjects))]


def _layout(folder: Path, subjects: str | None = None, database: Path | None = None) -> Any:  # noqa: ANN401 (pybids is untyped)
    """Index the images of a folder; of a dataset only those of the subjects that match."""
    from bids import BIDSLayout, BIDSLayoutIndexer

    class Indexer(BIDSLayoutIndexer):  # type: ignore[misc]
        """Passes by folders that are closed to this user; pybids would give up at the first."""

        def _index_dir(self, path: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
            return super()._index_dir(path, *rest, **named) if _is_open(path) else ([], [])

    ignored = [re.compile(r"/[^/.]+\.(?!nii(?:\.gz)?$)[^/]*$")]
    if subjects is not None:
        # pybids asks about a folder without a slash at its end; files of the root have a full stop.
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
    """Images that pass the filters, by subject: one query for all, as each takes its time."""
    asked = {"subject": subjects} if len(subjects) <= _MOST_IN_QUERY else {}
    query = {"extension": _IMAGE_EXTENSIONS, **asked, **filters}
    found: dict[str, list[Path]] = {}
    # Paths only: an image's entities would be one more query each, and they stand in its name.
    for layout in layouts:
        for path in map(Path, layout.get(**query, return_type="filename")):
            subject = _entity(path, "sub") or ""
            # An image that lies in another subject's folder than its name says is nobody's.
            if f"sub-{subject}" in path.parts:
                found.setdefault(subject, []).append(path)
    return found


def _sessions_of(
    options: Options,
    subject: str,
    images: list[Path],
    scans: Mapping[str, list[Path]],
) -> list[Session]:
    root = options.folders.bids_dir / f"sub-{subject}"
    if not _is_open(root):
        return [Session(subject, None, (), _denied(root))]
    labels = {_entity(image, "ses") for image in images}
    folders = {folder.name.removeprefix("ses-") for folder in root.glob("ses-*") if folder.is_dir()}
    labels = (labels | folders) or {None}
    if options.selection.session_labels is not None:
        labels = {label for label in labels if label in options.selection.session_labels}
    t1w = sorted(scans["T1w"], key=lambda path: (_entity(path, "ses") or "", path))
    sessions = []
    for label in sorted(labels, key=lambda value: value or ""):
        own = [image for image in images if _entity(image, "ses") == label]
        found = {
            contrast: tuple(_scan(path) for path in sorted(paths) if _entity(path, "ses") == label)
            for contrast, paths in scans.items()
        }
        measured = next((contrast for contrast in _ANCHORS if found[contrast]), None)
        if measured is None:
            closed = _closed_folder(options.folders.bids_dir / Session(subject, label, ()).folder)
            problem = _denied(closed) if closed else _no_anchor(subject, label, own, options)
            sessions.append(Session(subject, label, (), problem))
            continue
        others = [some for contrast, some in found.items() if contrast != measured and some]
        sessions.append(
            Session(
                subject,
                label,
                found[measured],
                others=tuple(some[0] for some in others),
                unused=tuple(scan for some in others for scan in some[1:]),
                baseline=(
                    _scan(t1w[0])
                    if measured == "T1w" and label not in (None, _entity(t1w[0], "ses"))
                    else None
                ),
            )
        )
    return sessions


def _is_open(folder: str | os.PathLike[str]) -> bool:
    """Whether this user may list a folder and enter it."""
    return os.access(folder, os.R_OK | os.X_OK)


def _closed_folder(session: Path) -> Path | None:
    """The first folder on the way to a session's images that is closed to this user."""
    for folder in (session, session / "anat"):
        if folder.is_dir() and not _is_open(folder):
            return folder
    return None


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


def _no_anchor(subject: str, label: str | None, images: list[Path], options: Options) -> Problem:
    folder = Session(subject, label, ()).folder
    searched = f"No T1w or FLAIR image: searched {folder}/anat/*_T1w.nii[.gz] and *_FLAIR.nii[.gz]"
    filters = {
        name: dict(options.selection.bids_filters[name])
        for name in ("t1w", "flair")
        if options.selection.bids_filters.get(name)
    }
    if filters:
        searched += f" with the filter {json.dumps(filters, default=str)}"
    found = sorted({parse_name(image.name).suffix for image in images})
    text = f"{searched}; found {', '.join(found) if found else 'no image at all'}."
    return Problem(Cause.NO_ANCHOR, text)


def _some(labels: list[str]) -> str:
    shown = ", ".join(f"sub-{label}" for label in labels[:5])
    return shown if len(labels) <= 5 else f"{shown} and {len(labels) - 5} more"
