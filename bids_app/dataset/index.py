"""Sessions of a dataset and their anatomical images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bids_app.contrasts import CONTRASTS, Role, suffixes
from bids_app.dataset.bidsignore import REASON
from bids_app.dataset.choice import Candidate, Choice, choose, usable
from bids_app.dataset.inputs import Account, OfferKind
from bids_app.dataset.layout import (
    images_by_subject,
    images_that_pass,
    is_readable,
    layouts_of,
    subjects_in,
)
from bids_app.dataset.metadata import INGREDIENT, Sidecars
from bids_app.dataset.names import LABEL, entities_of, natural, of_result, ordered, parse_name
from bids_app.dataset.notes import Note, NoteKind
from bids_app.dataset.skipped import shortened, skipped_sentence
from bids_app.dataset.weighting import weighted
from bids_app.errors import (
    Cause,
    MissingInputError,
    NothingSelectedError,
    Problem,
    permission_denied,
)
from bids_app.options import Selection

# Folders of a subject that hold no session.
_DATA_TYPES = (
    *("anat", "beh", "dwi", "eeg", "emg", "fmap", "func", "ieeg", "meg", "micr", "motion", "mrs"),
    *("nirs", "perf", "pet"),
)
# In their order: the first that a session has is measured, the others are aligned to it.
_CONTRASTS = suffixes(Role.ANCHOR, Role.OTHER)
_ANCHORS = suffixes(Role.ANCHOR)
_ALIGNED = tuple(contrast for contrast in _CONTRASTS if CONTRASTS[contrast].alignment)
_SERIES = tuple(contrast for contrast in _CONTRASTS if CONTRASTS[contrast].series)
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
    ingredient : str or None
        Contrast agent by its JSON files.
    dataset : str
        ``raw``, or the name under which its derivative was given.
    """

    path: Path
    contrast: str
    entities: tuple[tuple[str, str], ...]
    ingredient: str | None = None
    dataset: str = "raw"

    @property
    def name(self) -> str:
        """Entities as in file names, ``sub-01_ses-01_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities)

    @property
    def session(self) -> str | None:
        """Label of ``ses-``; None without session."""
        return dict(self.entities).get("ses")

    @property
    def is_map(self) -> bool:
        """Whether it is a map that is measured because there is no other image."""
        return CONTRASTS[self.contrast].role is Role.MAP

    @property
    def contrast_agent(self) -> str | None:
        """Label of ``ce-``, else what its JSON files name; None without contrast agent."""
        return dict(self.entities).get("ce", self.ingredient)


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
        ``bids_app.contrasts`` of which there is one, but for those whose results would have the
        name of another's. Empty if there is none.
    problem : Problem or None
        Why the session cannot be processed; None if it can.
    others : tuple of Scan
        One image of every other contrast, to be aligned to the anchors.
    unused : tuple of Scan
        Further images of these contrasts.
    baseline : Scan or None
        The T1w of the subject's first session (by the order of labels) that has one, which need
        not be selected. None for that session itself, and for those measured on another contrast.
    baseline_choice : str
        Why it was chosen among several; empty if there was one.
    notes : tuple of Note
        What was chosen by `bids_app.dataset.choice`, and images that cannot be measured.
    """

    subject: str
    session: str | None = None
    anchors: tuple[Scan, ...] = ()
    problem: Problem | None = None
    others: tuple[Scan, ...] = ()
    unused: tuple[Scan, ...] = ()
    baseline: Scan | None = None
    baseline_choice: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def name(self) -> str:
        """``sub-01_ses-01`` or ``sub-01``; ``sub-01_visits`` for visits, one without session."""
        return "_".join(self.folder.parts) + ("_visits" if {None} < self.visits else "")

    @property
    def visits(self) -> set[str | None]:
        """Sessions of the anchors: several in the longitudinal series of a subject."""
        return {scan.session for scan in self.anchors}

    @property
    def folder(self) -> Path:
        """Folder of the session below the dataset, ``sub-01/ses-01``."""
        subject = Path(f"sub-{self.subject}")
        return subject / f"ses-{self.session}" if self.session else subject


def index_sessions(
    bids_dir: Path, selection: Selection, account: Account | None = None
) -> list[Session]:
    """List the selected sessions; only the folders of their subjects are read.

    Parameters
    ----------
    bids_dir : Path
    selection : Selection
        Labels, filters, and the folder of pybids' database.
    account : Account, optional
        Gets what is found, and what is passed by.

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
    account = Account(bids_dir) if account is None else account
    present = subjects_in(account, every=selection.participant_labels is None)
    selected, absent = _select_subjects(account, present, selection)
    restricted = None if len(selected) == len(present) else selected
    layouts = layouts_of(account, restricted, selection.bids_database_dir)
    account.images = images_by_subject(layouts, selected, {}, account)
    by_suffix = _by_suffix(account.images)
    images = {
        contrast: images_that_pass(layouts, account.images, {"suffix": contrast, **filters})
        if filters
        else by_suffix.get(contrast, {})
        for contrast, filters in _filters(_CONTRASTS, selection).items()
    }
    sessions = [Session(subject=label, problem=_absent(account, label)) for label in absent]
    sidecars = Sidecars(bids_dir)
    for subject in selected:
        of_subject = {contrast: paths.get(subject, []) for contrast, paths in images.items()}
        folder = bids_dir / f"sub-{subject}"
        sessions += _sessions_of(account, folder, of_subject, selection, sidecars)
    if not sessions:
        raise NothingSelectedError(
            f"None of the requested session labels ({', '.join(selection.session_labels or ())}) "
            f"is in {shortened(selected)}."
        )
    return sorted(sessions, key=lambda session: (session.subject, natural(session.session)))


def _select_subjects(
    account: Account, present: list[str], selection: Selection
) -> tuple[list[str], list[str]]:
    """Divide the selected labels into those that are present in the dataset and the others."""
    if not present:
        text = f"{account.root} has no subject: expected folders named sub-<label>."
        ignored = any(offer.reason == REASON for offer in account.offers)
        raise MissingInputError(f"{text[:-1]}, not {REASON}." if ignored else text)
    requested = selection.participant_labels or tuple(present)
    included = [label for label in requested if label not in selection.exclude_participant_labels]
    selected = [label for label in included if label in present]
    absent = [label for label in included if label not in present]
    if not selected:
        text = f"None of the requested labels ({', '.join(requested)}) is in {account.root}, "
        text += f"which has {shortened(present)}."
        raise NothingSelectedError(" ".join([text, *(_absent(account, x).text for x in absent)]))
    return selected, absent


def _by_suffix(images: Mapping[str, list[Path]]) -> dict[str, dict[str, list[Path]]]:
    """Sort the images of each subject by suffix, without a query for each."""
    sorted_images: dict[str, dict[str, list[Path]]] = {}
    for subject, paths in images.items():
        for path in paths:
            of_suffix = sorted_images.setdefault(parse_name(path.name).suffix, {})
            of_suffix.setdefault(subject, []).append(path)
    return sorted_images


def _filters(contrasts: Iterable[str], selection: Selection) -> dict[str, Mapping[str, object]]:
    """Look up the pybids filters for the images of contrasts; empty where there is none."""
    return {contrast: selection.bids_filters.get(contrast.lower(), {}) for contrast in contrasts}


def _sessions_of(
    account: Account,
    folder: Path,
    images: Mapping[str, list[Path]],
    selection: Selection,
    sidecars: Sidecars,
) -> list[Session]:
    """List the selected sessions of one subject.

    Parameters
    ----------
    account : Account
        Has every image of the subject.
    folder : Path
        Folder of the subject.
    images : mapping of str to list of Path
        The images that pass the filters, by contrast.
    selection : Selection
    sidecars : Sidecars
        JSON files of the dataset.
    """
    subject = folder.name.removeprefix("sub-")
    if not is_readable(folder):
        return [Session(subject=subject, problem=_denied(folder))]
    every_image = account.images.get(subject, [])
    named = {_session_of(image, folder) for image in every_image}
    labels = (named | _sessions_in(folder, account)) or {None}
    if selection.session_labels is not None:
        labels = {label for label in labels if label in selection.session_labels}
    scans, notes = _scans_of(images, sidecars)
    baseline = _baseline(scans[_BASELINE])
    sessions = []
    for label in sorted(labels, key=natural):
        of_session = {
            contrast: [scan for scan in group if scan.session == label]
            for contrast, group in scans.items()
        }
        for contrast in _SERIES:
            preferred = _ANCHORS[: _ANCHORS.index(contrast)]
            if not any(of_session[each] for each in preferred):
                of_session[contrast] = _weighted(contrast, images[contrast], label, sidecars)
        session = _session(subject, label, of_session, baseline)
        about = (note for note in notes if _session_of(Path(note.path), folder) == label)
        session = replace(session, notes=(*about, *session.notes))
        if not session.anchors:
            present = [image for image in every_image if _session_of(image, folder) == label]
            problem = _no_anchor(folder.parent, session, present, selection)
            session = replace(session, problem=problem)
        sessions.append(session)
    return sessions


def _sessions_in(folder: Path, account: Account) -> set[str | None]:
    """List the labels of a subject's session folders, and account for other folders."""
    labels: set[str | None] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _DATA_TYPES or entry.name.startswith(".") or not entry.is_dir():
                continue
            is_named = re.fullmatch(rf"ses-{LABEL}", entry.name) is not None
            if is_named and account.ignored.names(f"{folder.name}/{entry.name}/"):
                account.pass_by(entry.path, OfferKind.SESSION, REASON)
            elif is_named:
                labels.add(entry.name.removeprefix("ses-"))
            elif entry.name.lower().startswith("ses"):
                reason = "not named ses-<letters, digits, +>"
                account.pass_by(entry.path, OfferKind.SESSION, reason)
            else:
                account.pass_by(entry.path, OfferKind.FOLDER, "not a data type of BIDS")
    return labels


def _scans_of(
    images: Mapping[str, list[Path]], sidecars: Sidecars
) -> tuple[dict[str, list[Scan]], list[Note]]:
    """Describe the images that can be used, by contrast, and why others cannot."""
    scans, notes = {}, []
    for contrast, paths in images.items():
        kept, passed_by = usable([] if contrast in _SERIES else paths)
        scans[contrast] = [_scan(path, sidecars) for path in kept]
        notes += passed_by
    return scans, notes


def _weighted(
    contrast: str, images: Iterable[Path], label: str | None, sidecars: Sidecars
) -> list[Scan]:
    """Describe the images with the series' weighting among a subject's images and one session."""
    weighting = CONTRASTS[contrast].series
    if weighting is None:
        return []
    of_session = [path for path in images if _session_of(path, sidecars.root) == label]
    return [_scan(path, sidecars) for path in weighted(of_session, sidecars, weighting)]


def _baseline(scans: Sequence[Scan]) -> Choice[Scan] | None:
    """Choose among the scans of the first session that has one."""
    if not scans:
        return None
    first = min(scan.session or "" for scan in scans)
    candidates = [scan for scan in scans if (scan.session or "") == first]
    return choose_scan(candidates, f"{_BASELINE} images of the first session")


def choose_scan(scans: Iterable[Scan], what: str) -> Choice[Scan]:
    """Choose among scans by the rule of `bids_app.dataset.choice`."""
    candidates = (
        Candidate(item=scan, path=scan.path, contrast_agent=scan.contrast_agent is not None)
        for scan in scans
    )
    return choose(candidates, what)


def _session(
    subject: str,
    label: str | None,
    scans: Mapping[str, Sequence[Scan]],
    baseline: Choice[Scan] | None,
) -> Session:
    """Divide the scans of a session, by contrast, into those to measure and those to align."""
    measured = next((contrast for contrast in _ANCHORS if scans[contrast]), None)
    if measured is None:
        return Session(subject=subject, session=label)
    anchors = _distinct(scans[measured], measured)
    others = [
        choose_scan(group, f"{contrast} images")
        for contrast, group in scans.items()
        if contrast != measured and contrast in _ALIGNED and group
    ]
    is_later = baseline is not None and label not in (None, baseline.chosen.session)
    earlier = baseline if is_later and measured == _BASELINE else None
    choices = [*anchors, *others]
    return Session(
        subject=subject,
        session=label,
        anchors=tuple(choice.chosen for choice in anchors),
        others=tuple(choice.chosen for choice in others),
        unused=tuple(scan for choice in choices for scan in choice.ranked[1:]),
        baseline=earlier.chosen if earlier else None,
        baseline_choice=earlier.sentence if earlier else "",
        notes=(
            *_choice_notes(choices),
            *(_agent_note(each.chosen) for each in choices if each.chosen.contrast_agent),
        ),
    )


def _distinct(scans: Iterable[Scan], contrast: str) -> list[Choice[Scan]]:
    """Choose one scan of those whose results would have the same name."""
    groups: dict[tuple[tuple[str, str], ...], list[Scan]] = {}
    for scan in scans:
        # Names of maps keep the fewest entities.
        named = of_result(dict(scan.entities), "R1map", contrast)
        groups.setdefault(ordered(named), []).append(scan)
    what = f"{contrast} images whose results would have the same name"
    return [choose_scan(group, what) for group in groups.values()]


def _choice_notes(choices: Iterable[Choice[Scan]]) -> list[Note]:
    return [
        Note(NoteKind.CHOICE, str(choice.chosen.path), choice.sentence)
        for choice in choices
        if choice.sentence
    ]


def _agent_note(scan: Scan) -> Note:
    source = f"{INGREDIENT}: {scan.ingredient}" if "ce" not in dict(scan.entities) else ""
    source = source or f"ce-{scan.contrast_agent}"
    text = f"{scan.path.name} was acquired with contrast agent ({source})."
    return Note(NoteKind.CONTRAST_AGENT, str(scan.path), text)


def _session_of(path: Path, folder: Path) -> str | None:
    """Look up the session of an image in its name, or else in its folder."""
    return parse_name(path.name).entities.get("ses") or entities_of(path, folder).get("ses")


def _scan(path: Path, sidecars: Sidecars) -> Scan:
    entities, suffix = parse_name(path.name)
    session = _session_of(path, sidecars.root)
    if session is not None:
        entities["ses"] = session
    return Scan(path, suffix, ordered(entities), sidecars.ingredient_of(path))


def _absent(account: Account, label: str) -> Problem:
    folder, ignored = account.root / f"sub-{label}", account.ignored.names(f"sub-{label}/")
    text = f"{folder} is {REASON}." if ignored else f"There is no folder {folder}."
    return Problem(Cause.NOT_IN_DATASET, text)


def _denied(folder: Path) -> Problem:
    return Problem(Cause.PERMISSION_DENIED, permission_denied(folder))


def _no_anchor(
    bids_dir: Path, session: Session, present: list[Path], selection: Selection
) -> Problem:
    """Describe why a session has no image to measure: permissions, or no file that matches."""
    for folder in (bids_dir / session.folder, bids_dir / session.folder / "anat"):
        if folder.is_dir() and not is_readable(folder):
            return _denied(folder)
    filters = {
        contrast.lower(): dict(entities)
        for contrast, entities in _filters(_ANCHORS, selection).items()
        if entities
    }
    present_suffixes = (parse_name(image.name).suffix for image in present)
    text = skipped_sentence(session.folder.as_posix(), present_suffixes, filters)
    return Problem(Cause.NO_ANCHOR, text)
