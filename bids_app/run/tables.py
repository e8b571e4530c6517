"""Tables of all sessions, joined from their records: how they ended, what they were offered."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bids_app.dataset.inputs import Offer, OfferKind, read_inputs, write_inputs
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_records, write_session_table

# Why images of a session without results are not used.
_WITHOUT_RESULTS = {"failed": "its session failed", "skipped": "its session was skipped"}
_NOT_RECORDED = "its use was not recorded"


def settled(offers: Iterable[Offer], outcome: Outcome) -> tuple[Offer, ...]:
    """Decide by the outcome of a session what became of the images that it was offered.

    Parameters
    ----------
    offers : iterable of Offer
        Those of the session, as the index gives them.
    outcome : Outcome
        Its ``inputs`` are what its process decided, or those of its record.

    Returns
    -------
    tuple of Offer
        None is pending. Images of other datasets are added.
    """
    decided: dict[str, Offer] = {}
    for offer in outcome.inputs:
        # An image may be of use in one way and not in another.
        if not offer.reason or offer.path not in decided:
            decided[offer.path] = offer
    rows = {offer.path: _settled(offer, decided, outcome.status) for offer in offers}
    elsewhere = {path: offer for path, offer in decided.items() if path.startswith("bids:")}
    return tuple((rows | elsewhere).values())


def _settled(offer: Offer, decided: dict[str, Offer], status: str) -> Offer:
    if not offer.pending:
        return offer
    if status in _WITHOUT_RESULTS:
        return replace(offer, reason=_WITHOUT_RESULTS[status], pending=False)
    if offer.path not in decided:
        return replace(offer, reason=_NOT_RECORDED, pending=False)
    reason, expected = decided[offer.path].reason, decided[offer.path].expected
    return replace(offer, reason=reason, expected=expected, pending=False)


def is_array_task() -> bool:
    """Whether this run is one task of a SLURM array, which measures one of many sessions."""
    return bool(os.environ.get("SLURM_ARRAY_TASK_ID"))


def update_tables(
    output_dir: Path, offers: Iterable[Offer], replaces: Collection[OfferKind]
) -> None:
    """Write the tables at the end of a run, unless the run is one task of a SLURM array.

    Each of many tasks would read the records of all others; the group stage writes them instead.
    Parameters as of `write_tables`.
    """
    if not is_array_task():
        write_tables(output_dir, read_records(output_dir), offers, replaces)


def write_tables(
    output_dir: Path,
    records: Sequence[Outcome],
    offers: Iterable[Offer] = (),
    replaces: Collection[OfferKind] = (),
) -> None:
    """Write ``logs/sessions.tsv`` and ``logs/inputs.tsv``.

    Inputs of a session are those of its record, whichever run wrote it, so that runs on parts of a
    dataset do not lose each other's.

    Parameters
    ----------
    output_dir : Path
    records : sequence of Outcome
        Those of all sessions.
    offers : iterable of Offer
        Inputs of sessions without record, and those that are of no session.
    replaces : collection of OfferKind
        Kinds of which ``offers`` lists all that are of no session; others are kept as they are.

    Raises
    ------
    CannotCreateError
        If they cannot be written.
    """
    if records:
        write_session_table(output_dir, records)
    rows: list[Offer] = []
    recorded: set[str | None] = set()
    for record in records:
        if record.inputs:
            rows += record.inputs
            recorded |= {record.name, record.name.partition("_ses-")[0]}
    new = [offer for offer in offers if offer.owner not in recorded]
    recorded |= {offer.owner for offer in new if offer.owner}
    kept = [
        row
        for row in read_inputs(output_dir)
        if (row.owner is None and row.kind not in replaces)
        or (row.owner is not None and row.owner not in recorded)
    ]
    write_inputs(output_dir, [*rows, *new, *kept])
