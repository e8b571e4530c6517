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

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath

from bids_app.dataset.checksums import Content
from bids_app.dataset.index import Session
from bids_app.dataset.notes import reasons_to_review
from bids_app.dataset.scanner import Scanner
from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.changes import ThalamusChange
from bids_app.derivatives.longitudinal_outputs import write_within_subject_segmentation
from bids_app.derivatives.outputs import volumes_row
from bids_app.derivatives.results import Measurement
from bids_app.derivatives.verdicts import Fact, Reason, Verdict, in_words
from bids_app.images.volume import Volume
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
from bids_app.participant.follow_up.figures import draw_pairs
from bids_app.participant.follow_up.page import write_visits_page
from bids_app.participant.follow_up.results import Row, SpaceResults, read_results, write_results
from bids_app.participant.follow_up.segmentations import Followed, follow_contrasts
from bids_app.participant.follow_up.space import (
    CommonSpace,
    IncomparableError,
    SpacePlan,
    align_visits,
    place_contrasts,
    plan_spaces,
)
from bids_app.participant.follow_up.stamp import (
    is_unaffected,
    outputs_of,
    reason_to_follow,
    stamp_of,
)
from bids_app.participant.follow_up.visits import (
    VisitScan,
    longitudinal_series,
    measured_visits,
    scans_of_series,
)
from bids_app.participant.page import link_to_visits
from bids_app.run.outcome import NOT_RUN, Outcome, Stage
from bids_app.run.progress import Progress
from bids_app.run.records import measured_record, read_record, remove_superseded, write_record
from bids_app.run.resources import allocate
from bids_app.run.workers import Task, run_sessions
from bids_app.segmentation.methods import segmenters


def run(
    sessions: Sequence[Session], outcomes: Sequence[Outcome], options: Options
) -> list[Outcome]:
    """Measure the longitudinal series of every subject whose sessions have been measured.

    With ``--reports-only``, the pages of those that have been are drawn again.

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
    work = measure_subject
    if options.run.reports_only:
        # Visits are shown as they were compared, even if the page of one cannot be drawn again.
        measured = {session.name for session in sessions}
        work = redraw_subject
    series = longitudinal_series(measured_visits(sessions, measured, output_dir))
    if options.run.reports_only:
        series = [each for each in series if _was_followed(each, output_dir)]
    measurable = [each for each in series if each.problem is None]
    resources = allocate(len(measurable), options.resources)
    progress = Progress(len(series), options.run.verbosity)
    ended = []
    with closing(run_sessions(work, series, options, resources)) as events:
        for event in events:
            progress.show(event)
            if event.outcome is not None:
                ended.append(event.outcome)
                _record(event.outcome, options)
    for each in series:
        link_to_visits(each, output_dir)
    return ended


def _was_followed(series: Session, output_dir: Path) -> bool:
    record = read_record(output_dir, series.name)
    return series.problem is None and record is not None and record.status == "done"


def _record(outcome: Outcome, options: Options) -> None:
    output_dir = options.folders.output_dir
    if options.run.reports_only:
        before = read_record(output_dir, outcome.name)
        # A page that cannot be drawn does not make the results worse.
        if before is not None and outcome.status == "done":
            write_record(output_dir, replace(before, outputs=outcome.outputs))
    # Nothing to compare is no result, and has no record that could hide a session's.
    elif outcome.status in ("done", "failed"):
        write_record(output_dir, outcome)


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
    plans = plan_spaces(scans)
    kept = [plan for plan in plans if is_unaffected(plan, stamp, options.folders, series.name)]
    if reason != NOT_RUN:
        reason = f"{reason}; {what_is_measured(plans, kept)}"
    record = read_record(output_dir, series.name)
    with staged(output_dir, series.name) as staging:
        context = SessionContext.of(task, staging)
        results = follow_in_spaces(plans, kept, context)
        write_results(results, series.subject, staging)
        write_visits_page(context, results, stamp, reason)
    outputs: dict[str, Content | None] = dict(staging.outputs)
    if record:
        for plan in kept:
            outputs |= outputs_of(plan, record)
        remove_superseded(output_dir, record, outputs)
    return Outcome(
        name=series.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=outputs,
        warnings=tuple(context.notes),
    )


def what_is_measured(plans: Sequence[SpacePlan], kept: Sequence[SpacePlan]) -> str:
    """State which contrasts of which visits are measured again, and which are not.

    Examples
    --------
    >>> what_is_measured([SpacePlan("withinSubject", ("T1w",), ())], [])
    'measured again at all visits, since each moves their common space: T1w'
    """
    texts = {
        "measured again at all visits, since each moves their common space": [
            plan for plan in plans if plan not in kept
        ],
        "kept": kept,
    }
    return "; ".join(
        f"{text}: {', '.join(name for plan in of_kind for name in plan.contrasts)}"
        for text, of_kind in texts.items()
        if of_kind
    )


def follow_in_spaces(
    plans: Sequence[SpacePlan], kept: Collection[SpacePlan], context: SessionContext
) -> SpaceResults:
    """Measure what can be measured in each space, but for those whose results are kept.

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
            if plan in kept:
                output_dir = context.options.folders.output_dir
                results.append(read_results(plan, context.session.subject, output_dir))
            else:
                results.append(follow_in_space(plan, context))
        except IncomparableError as error:
            problems.append(error)
            results.append(refused_results(plan, error.refused, context))
    judged = (change for each in results for change in each.thalamus)
    unreadable = (Fact(Reason.UNREADABLE),)
    if problems and all(change.reasons == unreadable for change in judged):
        raise problems[0]
    context.notes.extend(str(problem) for problem in problems)
    return SpaceResults.joined(results)


def refused_results(
    plan: SpacePlan, refused: Mapping[VisitScan, Fact], context: SessionContext
) -> SpaceResults:
    """State what cannot be measured in a space since scans were refused."""
    methods = segmenters(context.options.methods)
    is_shared = plan.name == names.WITHIN_SUBJECT
    return SpaceResults(
        volumes={},
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
    changes: list[ThalamusChange] = []
    volumes: dict[PurePosixPath, list[Row]] = {}
    figures: dict[tuple[str, str], bytes] = {}
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
            table = names.within_subject_volumes_table(names.session_of(scan.anchor))
            volumes.setdefault(table, []).append(
                volumes_row(scan.anchor, flagged, agents, Scanner())
            )
        changes += rows
        if not figures and each.contrasts == (space.contrast,):
            figures = drawn(images[space.contrast], measured)
    refused = refused_results(plan, space.refused, context)
    brain = refused.brain
    if space.name == names.WITHIN_SUBJECT:
        context.progress(Stage.BRAIN_CHANGE, "")
        brain = {**brain, **brain_changes(space, images, comparison, threads=context.threads)}
    return SpaceResults(volumes, [*changes, *refused.thalamus], brain, figures)


def drawn(
    images: Mapping[VisitScan, Volume], measured: Mapping[VisitScan, Measurement]
) -> dict[tuple[str, str], bytes]:
    """Draw pairs of visits on the contrast by which they were aligned."""
    return draw_pairs(list(measured), lambda scan: (images[scan], measured[scan].dseg))


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


def redraw_subject(task: Task) -> Outcome:
    """Draw the page of a subject's visits again from finished results.

    Raises
    ------
    MissingInputError
        If the subject has not been followed yet.
    BadDataError
        If a result is damaged.
    """
    series, output_dir = task.session, task.options.folders.output_dir
    record, stamp = measured_record(output_dir, series.name)
    plans = plan_spaces(scans_of_series(series, output_dir))
    results = [read_results(plan, series.subject, output_dir) for plan in plans]
    with staged(output_dir, series.name) as staging:
        context = replace(SessionContext.of(task, staging), notes=list(record.warnings))
        write_visits_page(context, SpaceResults.joined(results), stamp, record.reason)
    # Otherwise the next run would find a page other than the one recorded.
    return replace(record, reason="page redrawn", outputs={**record.outputs, **staging.outputs})
