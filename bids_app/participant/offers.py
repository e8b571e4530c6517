"""What becomes of the images and filters that a run is offered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bids_app.contrasts import Role, suffixes
from bids_app.dataset.index import Session
from bids_app.dataset.inputs import TABLE_PARTS, Account, Offer, OfferKind
from bids_app.dataset.names import parse_name
from bids_app.dataset.notes import NoteKind
from bids_app.dataset.sources import is_source
from bids_app.options import Options, Selection

_NOT_MEASURED = "its session has not been measured yet"
_MEASURED = suffixes(Role.ANCHOR, Role.OTHER)
# Why an image is not used, by the kind of the note that its session has about it.
REASONS = {
    NoteKind.PASSED_BY: "not a magnitude image",
    NoteKind.CHOICE: "another image has the same name",
}


def offers_of(sessions: Sequence[Session], account: Account, options: Options) -> list[Offer]:
    """List everything offered to the participant stage.

    Images that may be used are pending until their session has been measured. Images of types that
    are never measured, such as functional ones, are counted by type.

    Parameters
    ----------
    sessions : sequence of Session
        The selected ones.
    account : Account
        What the index found.
    options : Options

    Returns
    -------
    list of Offer
    """
    offers = [*account.offers, *_filters(options)]
    others: Counter[str] = Counter()
    length = len(str(account.root)) + 1
    by_labels = {(session.subject, session.session): session for session in sessions}
    for subject, images in account.images.items():
        for image in images:
            entities, suffix = parse_name(image.name)
            path = str(image)[length:]
            folder, above = image.parent.name, path.split("/")[1]
            label = entities.get("ses", above[4:] if above.startswith("ses-") else None)
            session = by_labels.get((subject, label))
            if session is None:
                continue
            if folder not in ("anat", "fmap") and suffix not in _MEASURED:
                others[f"{path.rpartition('/')[0]}/*_{suffix}"] += 1
                continue
            offers.append(_offer(image, path, session, options.selection))
    return offers + [
        Offer(pattern, OfferKind.IMAGES, f"{count} of a type not measured", expected=True)
        for pattern, count in others.items()
    ]


def _offer(image: Path, path: str, session: Session, selection: Selection) -> Offer:
    """State what is known of an image before its session has been measured."""
    entities, suffix = parse_name(image.name)
    folder = image.parent.name
    kind = OfferKind.FIELD_MAP if folder == "fmap" else OfferKind.SCAN
    if image in _scans_of(session):
        return Offer(path, OfferKind.SCAN, _NOT_MEASURED, expected=True, pending=True)
    if any(image == scan.path for scan in session.unused):
        return Offer(path, kind, "another image of its contrast is")
    note = next((note for note in session.notes if note.path == str(image)), None)
    if note is not None and note.kind in REASONS:
        return Offer(path, kind, REASONS[note.kind])
    if not is_source(entities, suffix):
        return Offer(path, kind, _reason(entities, suffix, selection), expected=True)
    kind = kind_of_source(path)
    if not path.startswith(f"{session.folder}/{folder}/"):
        return Offer(path, kind, "not in the folder anat or fmap of its session")
    return Offer(path, kind, _NOT_MEASURED, expected=True, pending=True)


def kind_of_source(place: str) -> OfferKind:
    """Distinguish a field map from other maps and acquisitions by its folder."""
    return OfferKind.FIELD_MAP if "/fmap/" in place else OfferKind.MAP


def known_kinds(selection: Selection) -> list[OfferKind]:
    """List the kinds of which a run finds all that are of no session.

    A run on part of a dataset does not look for folders that may be meant as those of subjects.
    """
    if selection.participant_labels is not None:
        return [OfferKind.FILTER]
    return [kind for kind in OfferKind if kind not in TABLE_PARTS]


def _scans_of(session: Session) -> set[Path]:
    """Collect the scans of a session that are to be measured or aligned."""
    scans = (*session.anchors, *session.others)
    return {scan.path for scan in scans if not scan.is_map}


def _reason(entities: Mapping[str, str], suffix: str, selection: Selection) -> str:
    """Explain why an image of the session is neither measured nor aligned."""
    if is_source({**entities, "part": "mag"}, suffix):
        return REASONS[NoteKind.PASSED_BY]
    if is_source({**entities, "space": "orig"}, suffix):
        return f"a map in the space {entities['space']}"
    if suffix in _MEASURED and selection.bids_filters.get(suffix.lower()):
        return "excluded by the filter file"
    return f"{suffix or 'an image without suffix'} is not measured"


def _filters(options: Options) -> Iterator[Offer]:
    """List the keys of the filter file; those of other programs select nothing."""
    queries = (
        *(suffix.lower() for suffix in _MEASURED),
        *map(str.lower, options.folders.derivatives),
    )
    for query, entities in options.selection.bids_filters.items():
        is_used = query in queries
        reason = "" if is_used else "a query for images that are not measured"
        for key in entities:
            yield Offer(f"{query}.{key}", OfferKind.FILTER, reason, expected=True)
