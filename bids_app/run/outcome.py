"""Stages of a session's work, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bids_app.dataset.checksums import Content
from bids_app.dataset.inputs import Offer
from bids_app.dataset.names import parse_name
from bids_app.errors import Cause, ExitCode
from bids_app.run.stamps import Stamp

Status = Literal["done", "unchanged", "skipped", "failed"]
# The reason to run a session that has no results yet.
NOT_RUN = "not run yet"


class Stage(StrEnum):
    """What a session's process is doing; the values name the columns of ``logs/sessions.tsv``."""

    START = "start"
    WAIT = "wait"
    COMPARE = "compare"
    READ = "read"
    SEGMENT = "segment"
    QUANTIFY = "quantify"
    ALIGN = "align"
    RUN = "run"
    NORMALISE = "normalise"
    PROPAGATE = "propagate"
    BRAIN_CHANGE = "brain_change"
    REPORT = "report"


@dataclass(frozen=True)
class StageCost:
    """What one stage of a session took.

    Attributes
    ----------
    stage : Stage
        A stage that was entered several times is counted once, with all its time.
    seconds : float
        Wall time.
    peak_mib : float
        Highest resident memory while it ran.
    """

    stage: Stage
    seconds: float
    peak_mib: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one session, as listed in ``logs/sessions.tsv``.

    Attributes
    ----------
    name : str
        ``sub-01_ses-01``.
    status : {'done', 'unchanged', 'skipped', 'failed'}
        Unchanged: an earlier run's results are still valid. Skipped: there was nothing to measure.
    reason : str
        Why it failed or was skipped, or why it was run again; empty otherwise.
    cause : Cause or None
        The kind of that reason where it failed or was skipped.
    exit_code : ExitCode
        What a run of this session alone would return.
    seconds : float
        Wall time.
    peak_mib : float
        Highest resident memory of its process.
    stamp : Stamp or None
        What the results were made from, if there are any.
    outputs : mapping of str to Content
        Its files, relative to the output folder, and what was written to them; None in results of
        earlier versions, which did not record it.
    warnings : tuple of str
        What could not be made or limits the results, though the session is done.
    stages : tuple of StageCost
        In the order in which they began.
    inputs : tuple of Offer
        What became of its images. Its process gives what only it can decide, a record all of them.
    visits : bool
        Whether it is the longitudinal series of a participant, which compares sessions and is none.
    """

    name: str
    status: Status
    reason: str = ""
    cause: Cause | None = None
    exit_code: ExitCode = ExitCode.DONE
    seconds: float = 0.0
    peak_mib: float = 0.0
    stamp: Stamp | None = None
    outputs: Mapping[str, Content | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    stages: tuple[StageCost, ...] = ()
    inputs: tuple[Offer, ...] = ()
    visits: bool = False

    @property
    def entities(self) -> Mapping[str, str]:
        """Labels of participant and, unless it is ``sub-01``, session, by ``sub`` and ``ses``."""
        return parse_name(self.name).entities


def exit_code_of(outcomes: list[Outcome]) -> ExitCode:
    """Derive the exit code of a run from its sessions.

    0 if every session that could be measured was; the common code if all failed alike, or if
    nothing could be measured; 1 if only some failed.
    """
    good = [o for o in outcomes if o.status in ("done", "unchanged")]
    failed = [o for o in outcomes if o.status == "failed"]
    if good:
        return ExitCode.SOME_SESSIONS_FAILED if failed else ExitCode.DONE
    codes = {outcome.exit_code for outcome in (failed or outcomes)}
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_SESSIONS_FAILED
