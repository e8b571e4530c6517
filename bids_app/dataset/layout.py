"""The images in a dataset's folders, as pybids indexes them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_app.dataset.bidsignore import REASON
from bids_app.dataset.inputs import Account, OfferKind
from bids_app.dataset.names import LABEL, parse_name
from bids_app.errors import BadDataError, CannotCreateError
from bids_app.options import ANY_VALUE, REGEX_SEARCH

# Folders of a dataset that hold no subject.
_OTHER_FOLDERS = ("code", "derivatives", "logs", "phenotype", "sourcedata", "stimuli", "subjects")
# The number of variables in an SQL query is limited; for more subjects, all are queried.
_MOST_IN_QUERY = 500
# Up to this many subjects' folders are indexed one by one, a tenth of a second each.
_FEW = 10
# Formats of images that are not read.
_FOREIGN = re.compile(r"\.(?:nii(?:\.\w+)?|mg[hz]|img|nrrd|mnc|dcm)$", re.IGNORECASE)
_IMAGE_EXTENSIONS = [".nii.gz", ".nii"]


def subjects_in(account: Account, *, every: bool) -> list[str]:
    """List the labels of a dataset's subjects.

    Parameters
    ----------
    account : Account
        Has the folder of the dataset.
    every : bool
        Whether to account for folders that look like those of other subjects.

    Returns
    -------
    list of str
        Sorted.
    """
    labels = []
    with os.scandir(account.root) as entries:
        for entry in entries:
            is_named = re.fullmatch(rf"sub-{LABEL}", entry.name) is not None
            if is_named and account.ignored.names(f"{entry.name}/"):
                if every:
                    account.pass_by(entry.path, OfferKind.SUBJECT, REASON)
            elif is_named and entry.is_dir():
                labels.append(entry.name.removeprefix("sub-"))
            elif every and (is_named or _resembles_subject(entry)):
                reason = "not a folder" if is_named else "not named sub-<letters, digits, +>"
                account.pass_by(entry.path, OfferKind.SUBJECT, reason)
            elif every and entry.name.endswith((".nii", ".nii.gz")):
                is_hidden = entry.name.startswith(".")  # as macOS adds to files
                reason = "in no folder of a subject"
                account.pass_by(entry.path, OfferKind.SCAN, reason, expected=is_hidden)
    return sorted(labels)


def _resembles_subject(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is likely to be meant as that of a subject, by its name or content."""
    if entry.name.startswith(".") or entry.name in _OTHER_FOLDERS or not entry.is_dir():
        return False
    return entry.name.lower().startswith("sub") or (Path(entry.path) / "anat").is_dir()


def layouts_of(account: Account, subjects: list[str] | None, database: Path | None) -> list[Any]:
    """Index the images of a dataset.

    Parameters
    ----------
    account : Account
        Has the folder of the dataset, and gets what is passed by.
    subjects : list of str or None
        Labels of the subjects whose folders are indexed; None indexes all.
    database : Path or None
        Folder in which the index is kept for later runs.

    Returns
    -------
    list of bids.BIDSLayout

    Raises
    ------
    CannotCreateError
        If the folder of the database cannot be written.
    BadDataError
        If pybids refuses the dataset or the database.
    """
    # A database is for later runs as well, which may select other subjects.
    if subjects is None or database is not None:
        return [_layout(account, account.root, LABEL, database)]
    if len(subjects) <= _FEW:
        # With a pattern, pybids would visit the folder of every other subject to ignore it.
        return [_layout(account, account.root / f"sub-{subject}") for subject in subjects]
    pattern = "|".join(re.escape(subject) for subject in subjects)
    return [_layout(account, account.root, pattern)]


def _layout(
    account: Account, folder: Path, subjects: str | None = None, database: Path | None = None
) -> Any:  # noqa: ANN401 (pybids is untyped)
    """Index the images of a folder, if requested only of subjects whose labels match a pattern."""
    from bids import BIDSLayout, BIDSLayoutIndexer

    class Indexer(BIDSLayoutIndexer):  # type: ignore[misc]
        """Skips folders at which pybids would fail or go in circles, and accounts for them."""

        def _index_dir(self, path: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            """Index a folder, or account for it as passed by."""
            reason = _reason_to_skip(str(path))
            if Path(str(path)).name in _OTHER_FOLDERS and str(path) != str(folder):
                reason = "a folder of other data within the raw data"
            if not reason:
                return super()._index_dir(path, *args, **kwargs)
            account.pass_by(str(path), OfferKind.FOLDER, reason)
            return [], []

        def _validate_file(self, f: Any) -> Any:  # noqa: ANN401
            """Whether a file is indexed; account for images of other formats, which are not."""
            is_indexed = super()._validate_file(f)
            if not is_indexed and _FOREIGN.search(str(f)):
                is_hidden = Path(str(f)).name.startswith(".")  # as macOS adds to files
                reason = "a hidden file" if is_hidden else "not a .nii or .nii.gz file"
                account.pass_by(str(f), OfferKind.SCAN, reason, expected=is_hidden)
            return is_indexed

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
    except Exception as error:  # of many kinds, from pybids and SQLAlchemy
        cause = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise BadDataError(
            f"pybids cannot index {folder} ({cause}). Check its dataset_description.json and "
            "layout_config.json."
            if database is None
            else f"The index of pybids in {database} cannot be used for {folder} ({cause}). Remove "
            "it, or choose another folder with --bids-database-dir."
        ) from error


def _reason_to_skip(folder: str) -> str:
    """Explain why a folder is not searched for images; empty if it is."""
    if not is_readable(folder):
        return "permission denied"
    if not os.path.islink(folder):  # noqa: PTH114 (every folder of the dataset passes here)
        return ""
    path = Path(folder)
    target, parent = path.resolve(), path.parent.resolve()
    subject = next((above for above in path.parents if above.name.startswith("sub-")), path)
    # Its images have been found already, or are found elsewhere in the folder of the subject.
    is_within = subject != path and target.is_relative_to(subject.resolve())
    if is_within or parent.is_relative_to(target):
        return "a link to another folder of the same subject"
    return ""


def is_readable(folder: str | os.PathLike[str]) -> bool:
    """Whether this user may list a folder and enter it."""
    return os.access(folder, os.R_OK | os.X_OK)


def images_by_subject(
    layouts: list[Any],
    subjects: list[str],
    filters: Mapping[str, object],
    account: Account | None = None,
) -> dict[str, list[Path]]:
    """Collect the images that pass filters, by subject, in one query for all subjects.

    Parameters
    ----------
    layouts : list of bids.BIDSLayout
    subjects : list of str
        Labels of those that are queried.
    filters : mapping of str to object
        Entities, as pybids names them, to values as in `Selection.bids_filters`.
    account : Account, optional
        Gets images that are in the folder of another subject or session, or in ``.bidsignore``;
        the latter are returned without it.

    Returns
    -------
    dict of str to list of Path
    """
    from bids.layout import Query

    filters = dict(filters)
    is_pattern = filters.pop(REGEX_SEARCH, False)
    special: dict[object, object] = {None: Query.NONE, ANY_VALUE: Query.ANY}
    for key, value in filters.items():
        values = value if isinstance(value, list) else [value]
        filters[key] = [special.get(each, each) for each in values]
    limited = {"subject": subjects} if len(subjects) <= _MOST_IN_QUERY and not is_pattern else {}
    query = {"extension": _IMAGE_EXTENSIONS, **limited, **filters, "regex_search": is_pattern}
    images: dict[str, list[Path]] = {}
    length = 0 if account is None else len(str(account.root)) + 1
    # Paths only: the entities of each image would be one more query, and are in its name.
    for layout in layouts:
        for path in map(Path, layout.get(**query, return_type="filename")):
            entities = parse_name(path.name).entities
            subject, session = entities.get("sub", ""), entities.get("ses")
            folder = path.parent.parent.name
            # An image in the folder of another subject than that of its name belongs to neither.
            if f"sub-{subject}" not in path.parts:
                reason = "not named for the subject of its folder"
            elif folder.startswith("ses-") and session not in (None, folder.removeprefix("ses-")):
                reason = "not named for the session of its folder"
            elif account is not None and account.ignored.names(str(path)[length:]):
                reason = REASON
            else:
                images.setdefault(subject, []).append(path)
                continue
            if account is not None:
                account.pass_by(path, OfferKind.SCAN, reason)
    return images


def images_that_pass(
    layouts: list[Any], images: Mapping[str, list[Path]], filters: Mapping[str, object]
) -> dict[str, list[Path]]:
    """Select the images of each subject that pass filters; parameters of `images_by_subject`."""
    passing = images_by_subject(layouts, list(images), filters)
    return {
        subject: [path for path in paths if path in passing.get(subject, ())]
        for subject, paths in images.items()
    }
