"""The page of a subject's visits, from the changes between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bids_app.derivatives import names
from bids_app.derivatives.changes import BrainChange, ThalamusChange
from bids_app.derivatives.methods_section import methods_text, works
from bids_app.derivatives.results import Measurement
from bids_app.derivatives.steps import steps_of
from bids_app.derivatives.verdicts import Verdict, in_words
from bids_app.images.volume import Volume
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.changes import pairs_of_visits
from bids_app.participant.follow_up.visits import VisitScan
from bids_app.run.stamps import Stamp

if TYPE_CHECKING:
    from bids_app.report.visits_page import BrainRow, ChangeRow

# More figures would make a page of more than 1.5 MB.
_MOST_FIGURES = 3
_CAPTION = (
    "{first} and {later} on the same slices of the space half-way between the visits, with the "
    "border of the thalami at both, and the shift of the border from {first} to {later} along its "
    "normal (blue: outward, vermilion: inward). For the shift, the labels are smoothed by 1 mm."
)


def draw_visits(
    images: Mapping[VisitScan, Volume], measured: Mapping[VisitScan, Measurement]
) -> dict[tuple[str, str], bytes]:
    """Draw the visits of the first pairs side by side.

    Parameters
    ----------
    images : mapping of VisitScan to Volume
        Those of the contrast by which the visits were aligned.
    measured : mapping of VisitScan to Measurement
        On that contrast.

    Returns
    -------
    dict of (str, str) to bytes
        PNG by earlier and later session.
    """
    from bids_app.report.shift_map import Visit, visits_figure

    figures = {}
    for pair in pairs_of_visits(list(measured))[:_MOST_FIGURES]:
        first, later = (
            Visit(scan.session, images[scan].data, measured[scan].dseg.data) for scan in pair
        )
        size = images[pair[0]].voxel_size
        figures[first.name, later.name] = visits_figure(first, later, size)
    return figures


def write_visits_page(
    context: SessionContext,
    stamp: Stamp,
    changes: Sequence[ThalamusChange],
    brain: Mapping[tuple[str, str], BrainChange],
    figures: Mapping[tuple[str, str], bytes],
) -> None:
    """Write the page of a subject's visits: changes, what differs between them, and figures.

    Parameters
    ----------
    context : SessionContext
    stamp : Stamp
    changes : sequence of ThalamusChange
    brain : mapping of (str, str) to BrainChange
        By earlier and later session.
    figures : mapping of (str, str) to bytes
        As `draw_visits` gives them.
    """
    from bids_app.report.session_page import Overlay
    from bids_app.report.visits_page import PairReport, VisitsReport, visits_page

    rows: dict[tuple[str, str], list[ThalamusChange]] = {}
    for change in changes:
        rows.setdefault((change.from_session, change.to_session), []).append(change)
    pairs = tuple(
        PairReport(
            first=pair[0],
            later=pair[1],
            changes=tuple(_change_row(each) for each in of_pair),
            brain=_brain_row(brain[pair]) if pair in brain else None,
            figure=Overlay(_CAPTION.format(first=pair[0], later=pair[1]), figures[pair])
            if pair in figures
            else None,
        )
        for pair, of_pair in rows.items()
    )
    used = [change.method for change in changes]
    steps = steps_of((change.method, change.contrast) for change in changes)
    subject = context.session.subject
    sessions = dict.fromkeys(session for pair in rows for session in pair)
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
    )
    context.staging.text(names.visits_page(subject), visits_page(report))


def _change_row(change: ThalamusChange) -> ChangeRow:
    from bids_app.report.visits_page import ChangeRow

    return ChangeRow(
        method=change.method,
        contrast=change.contrast,
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
        is_doubtful=change.verdict is Verdict.CHECK,
        reason=_given_text(in_words(change.reasons)),
        differences=_given_text(change.differences),
    )


def _brain_row(change: BrainChange) -> BrainRow:
    from bids_app.report.visits_page import BrainRow

    return BrainRow(change.percent, change.verdict.value, _given_text(in_words(change.reasons)))


def _given_text(text: str) -> str:
    return "" if text == "n/a" else text
