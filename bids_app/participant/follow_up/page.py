"""The page of a subject's visits, from the changes between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.names import natural
from bids_app.derivatives import names
from bids_app.derivatives.changes import BrainChange, ThalamusChange
from bids_app.derivatives.methods_section import methods_text, works
from bids_app.derivatives.steps import steps_of
from bids_app.derivatives.verdicts import Verdict, in_words
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.figures import in_order
from bids_app.participant.follow_up.results import SpaceResults
from bids_app.run.outcome import NOT_RUN
from bids_app.run.stamps import Stamp

if TYPE_CHECKING:
    from bids_app.report.visits_page import BrainRow, ChangeRow

_CAPTION = (
    "{first} and {later} on the same slices of the space half-way between the visits, with the "
    "border of the thalami at both, and the shift of the border from {first} to {later} along its "
    "normal (blue: outward, vermilion: inward). For the shift, the labels are smoothed by 1 mm."
)


def write_visits_page(
    context: SessionContext, results: SpaceResults, stamp: Stamp, history: str
) -> None:
    """Write the page of a subject's visits: changes, what differs between them, and figures.

    Parameters
    ----------
    context : SessionContext
    results : SpaceResults
        Those of all spaces.
    stamp : Stamp
    history : str
        Why the visits were compared, and what was measured again.
    """
    from bids_app.report.session_page import Overlay
    from bids_app.report.visits_page import PairReport, VisitsReport, visits_page

    rows: dict[tuple[str, str], list[ThalamusChange]] = {}
    for change in results.thalamus:
        rows.setdefault((change.from_session, change.to_session), []).append(change)
    brain, figures = results.brain, results.figures
    pairs = tuple(
        PairReport(
            first=pair[0],
            later=pair[1],
            changes=tuple(_change_row(each) for each in rows[pair]),
            brain=_brain_row(brain[pair]) if pair in brain else None,
            figure=Overlay(_CAPTION.format(first=pair[0], later=pair[1]), figures[pair], "png")
            if pair in figures
            else None,
        )
        for pair in in_order(rows, key=lambda pair: pair)
    )
    measured = [each for each in results.thalamus if each.verdict is not Verdict.NOT_MEASURABLE]
    used = [change.method for change in measured]
    steps = steps_of((change.method, change.contrast) for change in measured)
    subject = context.session.subject
    sessions = sorted({session for pair in rows for session in pair}, key=natural)
    report = VisitsReport(
        subject=subject,
        pairs=pairs,
        pages={
            session: str(
                names.session_page(replace(context.session, session=session.removeprefix("ses-")))
            )
            for session in sessions
            if session.startswith("ses-")
        },
        software=stamp.software,
        methods=methods_text(used, steps),
        citation=works(used, steps),
        warnings=tuple(context.notes),
        history="" if history == NOT_RUN else history,
    )
    context.staging.text(names.visits_page(subject), visits_page(report))


def _change_row(change: ThalamusChange) -> ChangeRow:
    from bids_app.report.visits_page import ChangeRow

    return ChangeRow(
        method=change.method,
        contrast=change.contrast,
        is_single=change.contrast in CONTRASTS,
        left=change.left_change,
        right=change.right_change,
        total=change.total_change,
        raw=change.total_change_raw,
        scaled=change.total_change_scaled,
        low=change.change_low,
        high=change.change_high,
        scale=change.scale,
        scale_error=change.scale_error,
        verdict=change.verdict.value,
        rank=list(Verdict).index(change.verdict),
        reason=_given_text(in_words(change.reasons)),
        differences=_given_text(change.differences),
    )


def _brain_row(change: BrainChange) -> BrainRow:
    from bids_app.report.visits_page import BrainRow

    return BrainRow(change.percent, change.verdict.value, _given_text(in_words(change.reasons)))


def _given_text(text: str) -> str:
    return "" if text == "n/a" else text
