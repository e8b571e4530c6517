"""What travels through the work on one session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from bids_app.dataset.index import Scan
from bids_app.dataset.inputs import Offer, OfferKind
from bids_app.dataset.staging import Staging
from bids_app.run.workers import Task


@dataclass(frozen=True, eq=False)
class SessionContext(Task):
    """A session's work while it is done.

    Attributes
    ----------
    staging : Staging
        Files that are published together at the end.
    notes : list of str
        What could not be made or limits the results; grows.
    failed : list of str
        Programs to be run again when the session is; grows.
    inputs : list of Offer
        What became of the images of the session; grows.
    """

    staging: Staging
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    inputs: list[Offer] = field(default_factory=list)

    @classmethod
    def of(cls, task: Task, staging: Staging) -> Self:
        """Open the context of a task, with the notes of its session."""
        notes = [note.text for note in task.session.notes]
        return cls(task.session, task.options, task.threads, task.progress, staging, notes)

    def account_for(self, scan: Scan, reason: str = "") -> None:
        """Record that a scan is used, or why it is not; images of a map are recorded with it."""
        if scan.is_map:
            return
        path = scan.path.relative_to(self.options.folders.bids_dir).as_posix()
        self.inputs.append(Offer(path, OfferKind.SCAN, reason))
