"""The longitudinal step: every subject's visits in one space, compared there (``--longitudinal``).

Sessions have been measured one by one before, and those results are kept. Here the subject is the
unit of work: the scans of all its visits are moved to the space half-way between them, with every
contrast that two or more of them have, and segmented again on the same grid with the same
intensities. The mean of these segmentations is propagated to every scan by the deformation of its
tissue, so that their difference is that of the subject, and neither that of the interpolation nor
that of independent segmentations. Whether a difference between two visits is one of the subject at
all is judged by how they were acquired and how well they fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from bids_app.dataset.index import Scan, Session
from bids_app.dataset.notes import reasons_to_review
from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.changes import (
    BrainChange,
    ThalamusChange,
    write_brain_changes,
    write_thalamus_changes,
)
from bids_app.derivatives.longitudinal_outputs import (
    write_within_subject_segmentation,
    write_within_subject_volumes,
)
from bids_app.derivatives.results import Measurement
from bids_app.derivatives.verdicts import Fact, Reason, Verdict, in_words
from bids_app.options import Options
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.changes import (
    Comparison,
    brain_changes,
    compare_visits,
    refused_brain_changes,
    refused_changes,
    thalamus_changes,
)
from bids_app.participant.follow_up.page import draw_visits, write_visits_page
from bids_app.participant.follow_up.segmentations import Followed, follow_contrasts
from bids_app.participant.follow_up.space import (
    CommonSpace,
    IncomparableError,
    SpacePlan,
    align_visits,
    place_contrasts,
    plan_spaces,
)
from bids_app.participant.follow_up.stamp import reason_to_follow, stamp_of
from bids_app.participant.follow_up.visits import (
    VisitScan,
    longitudinal_series,
    measured_visits,
    scans_of_series,
)
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.progress import Progress
from bids_app.run.records import read_record, remove_superseded, write_record
from bids_app.run.resources import allocate
from bids_app.run.stamps import Stamp
from bids_app.run.workers import Task, run_sessions
from bids_app.segmentation.methods import segmenters


@dataclass(frozen=True, eq=False)
class SpaceResults:
    """What was measured in one common space.

    Attributes
    ----------
    volumes : list of (Scan, Measurement, str or None)
        Rows of the tables of volumes: anchor, measurement, contrast agents.
    thalamus : list of ThalamusChange
    brain : mapping of (str, str) to BrainChange
        By earlier and later session; empty unless the space is the shared one.
    figures : dict of (str, str) to bytes
        PNG by earlier and later session; empty unless the space is the shared one.
    """

    volumes: list[tuple[Scan, Measurement, str | None]]
    thalamus: list[ThalamusChange]
    brain: Mapping[tuple[str, str], BrainChange]
    figures: dict[tuple[str, str], bytes]


def run(
    sessions: Sequence[Session], outcomes: Sequence[Outcome], options: Options
) -> list[Outcome]:
    """Measure the longitudinal series of every subject whose sessions have been measured.

    Parameters
    ----------
    sessions : sequence of Session
        All requested ones.
    outcomes : sequence of Outcome
        How they ended.
    options : Options

    Returns
    -------
    list of Outcome
        One for each subject, by its name. Those without two measured sessions that have a contrast
        in common are skipped.
    """
    output_dir = options.folders.output_dir
    measured = {item.name for item in outcomes if item.status in ("done", "unchanged")}
    series = longitudinal_series(measured_visits(sessions, measured, output_dir))
    measurable = [each for each in series if each.problem is None]
    resources = allocate(len(measurable), options.resources)
    progress = Progress(len(series), options.run.verbosity)
    ended = []
    with closing(run_sessions(measure_subject, series, options, resources)) as events:
        for event in events:
            progress.show(event)
            if event.outcome is not None:
                ended.append(event.outcome)
                # Nothing to compare is no result, and has no record that could hide a session's.
                if event.outcome.status in ("done", "failed"):
                    write_record(output_dir, event.outcome)
    return ended


def measure_subject(task: Task) -> Outcome:
    """Align the visits of one subject, segment and compare them in their common space.

    Raises
    ------
    ThalbidsError
        If no contrast of two visits can be aligned and segmented, or a result not be written.
    """
    series, options = task.session, task.options
    output_dir = options.folders.output_dir
    task.progress(Stage.COMPARE, "with earlier results")
    scans = scans_of_series(series, output_dir)
    stamp = stamp_of(scans, options)
    reason = reason_to_follow(output_dir, series.name, stamp)
    if not reason:
        return Outcome(name=series.name, status="unchanged", stamp=stamp)
    with staged(output_dir, series.name) as staging:
        context = SessionContext.of(task, staging)
        write_results(follow_in_spaces(plan_spaces(scans), context), context, stamp)
    if record := read_record(output_dir, series.name):
        remove_superseded(output_dir, record, staging.outputs)
    return Outcome(
        name=series.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=staging.outputs,
        warnings=tuple(context.notes),
    )


def follow_in_spaces(plans: Sequence[SpacePlan], context: SessionContext) -> list[SpaceResults]:
    """Measure what can be measured in each space.

    That images were read and do not fit is a result: whoever compared the volumes of their sessions
    all the same would compare two heads.

    Raises
    ------
    BadDataError
        If there is none.
    """
    results, problems = [], []
    for plan in plans:
        try:
            results.append(follow_in_space(plan, context))
        except IncomparableError as error:
            problems.append(error)
            results.append(refused_results(plan, error.refused, context))
    judged = (change for each in results for change in each.thalamus)
    unreadable = (Fact(Reason.UNREADABLE),)
    if problems and all(change.reasons == unreadable for change in judged):
        raise problems[0]
    context.notes.extend(str(problem) for problem in problems)
    return results


def refused_results(
    plan: SpacePlan, refused: Mapping[VisitScan, Fact], context: SessionContext
) -> SpaceResults:
    """State what cannot be measured in a space since scans were refused."""
    methods = segmenters(context.options.methods)
    is_shared = plan.name == names.WITHIN_SUBJECT
    return SpaceResults(
        volumes=[],
        thalamus=refused_changes(context.session.subject, plan, refused, methods),
        brain=refused_brain_changes(plan, refused) if is_shared else {},
        figures={},
    )


def follow_in_space(plan: SpacePlan, context: SessionContext) -> SpaceResults:
    """Measure the contrasts that share a space, at all visits that have them.

    Raises
    ------
    IncomparableError
        If not two visits can be aligned.
    """
    space, heads = align_visits(plan, context)
    images = place_contrasts(space, plan, context)
    comparison = compare_visits(space, images, context.options.folders)
    uncertain = [note.text for each in comparison.acquired for note in each.notes]
    context.notes.extend(text for text in dict.fromkeys(uncertain) if text not in context.notes)
    followed = follow_contrasts(space, heads, images, context)
    del heads  # their probabilities are as large as the images
    volumes, changes = [], []
    figures: dict[tuple[str, str], bytes] = {}
    is_shared = space.name == names.WITHIN_SUBJECT
    for each in followed:
        measured = measure_visits(each, space, comparison)
        of_each = {scan: item.volumes for scan, item in measured.items()}
        rows = list(thalamus_changes(context.session.subject, each, of_each, comparison))
        for scan, item in measured.items():
            write_within_subject_segmentation(
                context.staging, scan.anchor, item, contrasts=each.contrasts, space=space.name
            )
            flagged = marked(item, scan, rows)
            agents = comparison.contrast_agents(scan, each.contrasts)
            volumes.append((scan.anchor, flagged, agents))
        changes += rows
        if is_shared and not figures and each.contrasts == (space.contrast,):
            figures = draw_visits(images[space.contrast], measured)
    refused = refused_results(plan, space.refused, context)
    brain = refused.brain
    if is_shared:
        context.progress(Stage.BRAIN_CHANGE, "")
        brain = {**brain, **brain_changes(space, images, comparison)}
    return SpaceResults(volumes, changes + refused.thalamus, brain, figures)


def measure_visits(
    followed: Followed, space: CommonSpace, comparison: Comparison
) -> dict[VisitScan, Measurement]:
    """Measure and check the thalami of every visit in the common space."""
    measurements = {}
    for scan, thalami in followed.thalami.items():
        acquired = [comparison.acquisitions[contrast][scan] for contrast in followed.contrasts]
        measurements[scan] = Measurement.of(
            followed.method + names.LONGITUDINAL,
            followed.name,
            thalami,
            space.images[0],
            max(each.slice_thickness for each in acquired),
            reasons_to_review(note for each in acquired for note in each.notes),
        )
    return measurements


def marked(
    measured: Measurement, scan: VisitScan, changes: Sequence[ThalamusChange]
) -> Measurement:
    """Flag the volumes of a visit from which and to which no change can be measured.

    Whoever compares volumes without the table of changes would take their difference for one.
    """
    row = names.row_name(scan.anchor)
    of_scan = [each for each in changes if row in (each.from_scan, each.to_scan)]
    if not of_scan or any(each.verdict is not Verdict.NOT_MEASURABLE for each in of_scan):
        return measured
    reason = f"change is not measurable: {in_words(of_scan[0].reasons)}"
    reasons = (*measured.quality.reasons, reason)
    return replace(measured, quality=replace(measured.quality, reasons=reasons))


def write_results(results: Sequence[SpaceResults], context: SessionContext, stamp: Stamp) -> None:
    """Write the tables of a subject (volumes of visits, and changes between them), and its page."""
    subject, staging = context.session.subject, context.staging
    write_within_subject_volumes(staging, [row for each in results for row in each.volumes])
    changes = [row for each in results for row in each.thalamus]
    write_thalamus_changes(staging, subject, changes)
    brain = {pair: change for each in results for pair, change in each.brain.items()}
    if brain:
        write_brain_changes(staging, subject, brain)
    figures = {pair: png for each in results for pair, png in each.figures.items()}
    write_visits_page(context, stamp, changes, brain, figures)
