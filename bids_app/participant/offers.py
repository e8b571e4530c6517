"""What becomes of the images and filters that a run is offered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bids_app.contrasts import Role, suffixes
from bids_app.dataset.index import Session
from bids_app.dataset.inputs import Account, Offer, OfferKind
from bids_app.dataset.names import parse_name
from bids_app.dataset.notes import NoteKind
from bids_app.dataset.sources import is_source
from bids_app.options import Options, Selection

_MEASURED = suffixes(Role.ANCHOR, Role.OTHER)
# Why an image is not used, by the kind of the note that its session has about it.
_REASONS = {
    NoteKind.PASSED_BY: "not a magnitude image",
    NoteKind.CHOICE: "another image has the same name",
}


def offers_of(sessions: Sequence[Session], account: Account, options: Options) -> list[Offer]:
    """List everything offered to the participant stage, used or not.

    Images of types that are never measured, such as functional ones, are counted by type.

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
    used, unused = _scans_of(sessions)
    length = len(str(account.root)) + 1
    notes = {
        note.path: note.kind
        for session in sessions
        for note in session.notes
        if note.kind in _REASONS
    }
    selected = {(session.subject, session.session) for session in sessions}
    for subject, images in account.images.items():
        for image in images:
            entities, suffix = parse_name(image.name)
            path = str(image)[length:]
            folder, above = image.parent.name, path.split("/")[1]
            session = entities.get("ses", above[4:] if above.startswith("ses-") else None)
            if (subject, session) not in selected:
                continue
            kind = OfferKind.FIELD_MAP if folder == "fmap" else OfferKind.SCAN
            if image in used:
                offers.append(Offer(path, OfferKind.SCAN))
            elif image in unused:
                offers.append(Offer(path, kind, "another image of its contrast is"))
            elif str(image) in notes:
                offers.append(Offer(path, kind, _REASONS[notes[str(image)]]))
            elif is_source(entities, suffix):
                kind = OfferKind.MAP if folder == "anat" else kind
                offers.append(Offer(path, kind, considered=True))
            elif folder in ("anat", "fmap"):
                offers.append(Offer(path, kind, _reason(suffix, options.selection), expected=True))
            else:
                others[f"{folder}/*_{suffix}"] += 1
    return offers + [
        Offer(pattern, OfferKind.IMAGES, f"{count} images of a type not measured", expected=True)
        for pattern, count in others.items()
    ]


def _scans_of(sessions: Sequence[Session]) -> tuple[set[Path], set[Path]]:
    """Collect the scans that are measured or aligned, and others of the same contrasts."""
    used, unused = set(), set()
    for session in sessions:
        used |= {scan.path for scan in (*session.anchors, *session.others)}
        unused |= {scan.path for scan in session.unused}
        if session.baseline is not None:
            used.add(session.baseline.path)
    return used, unused


def _reason(suffix: str, selection: Selection) -> str:
    """Explain why an image of the session is neither measured nor aligned."""
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
