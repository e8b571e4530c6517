"""The participant stage, from raw BIDS to measured thalami, top to bottom."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace

from bids_app.dataset.index import Session, index_sessions
from bids_app.dataset.inputs import Account, Offer, lines
from bids_app.dataset.notes import Note
from bids_app.dataset.sources import find_sources, unprocessed_field_maps
from bids_app.dataset.staging import prepare_output, staged
from bids_app.dataset.validity import check_dataset
from bids_app.derivatives.description import describe_dataset, write_configuration
from bids_app.derivatives.norm_results import read_norm_results
from bids_app.derivatives.outputs import write_maps, write_volumes
from bids_app.derivatives.readback import measured_anchors, read_measured_scan, read_steps
from bids_app.derivatives.results import QuantitativeMap
from bids_app.errors import ExitCode
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.participant.align import align_contrasts, read_other_contrasts
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.stage import run as follow_subjects
from bids_app.participant.map_anchor import with_map_anchors
from bids_app.participant.offers import REASONS, kind_of_source, known_kinds, offers_of
from bids_app.participant.page import write_session_page
from bids_app.participant.plan import print_plan
from bids_app.participant.programs import measure_programs
from bids_app.participant.quantify import quantify
from bids_app.participant.segment import images_to_segment, measure_contrasts, segment_anchors
from bids_app.participant.siena import measure_brain_change
from bids_app.participant.stamp import stamp_of, without
from bids_app.programs.finished import write_match_table
from bids_app.programs.selection import all_programs, check_programs
from bids_app.programs.siena import SIENA
from bids_app.run.outcome import Outcome, Stage, exit_code_of
from bids_app.run.progress import Progress
from bids_app.run.records import (
    measured_record,
    read_record,
    reason_to_run,
    write_record,
)
from bids_app.run.resources import Allocation, allocate
from bids_app.run.tables import settled, update_tables
from bids_app.run.workers import Task, run_sessions
from bids_app.segmentation import thalnet


def run(options: Options) -> ExitCode:
    """Measure every requested session.

    Parameters
    ----------
    options : Options

    Returns
    -------
    ExitCode
        Derived from how the sessions ended.

    Raises
    ------
    ThalbidsError
        If nothing can be done at all; problems of single sessions are recorded instead.
    """
    if not options.selection.skip_bids_validation:
        check_dataset(options.folders.bids_dir)
    account = Account(options.folders.bids_dir)
    indexed = index_sessions(options.folders.bids_dir, options.selection, account)
    sessions = with_map_anchors(indexed, options.folders)
    offers = offers_of(sessions, account, options)
    sys.stderr.write("".join(f"{line}\n" for line in lines(offers)))
    measurable = [session for session in sessions if session.problem is None]
    resources = allocate(len(measurable), options.resources)
    if options.run.dry_run:
        print_plan(sessions, options, resources)
        return ExitCode.DONE
    _prepare(sessions, options)
    outcomes = []
    try:
        outcomes += _measure_sessions(sessions, offers, options, resources)
        if options.methods.longitudinal or options.run.reports_only:
            outcomes += follow_subjects(sessions, outcomes, options)
    finally:
        update_tables(options.folders.output_dir, offers, known_kinds(options.selection))
    return exit_code_of(outcomes)


def _prepare(sessions: Sequence[Session], options: Options) -> None:
    """Check that all programs can be run, and describe the output folder."""
    if not options.run.reports_only:
        check_programs(options)
    prepare_output(options.folders.output_dir)
    describe_dataset(options)
    write_configuration(options, thalnet.weights_checksums())
    write_match_table(sessions, options)
    if SIENA in all_programs(options) and all(session.baseline is None for session in sessions):
        sys.stderr.write("SIENA is not run: no session has an earlier one with a T1w.\n")


def _measure_sessions(
    sessions: Sequence[Session], offers: Sequence[Offer], options: Options, resources: Allocation
) -> list[Outcome]:
    """Measure the sessions in processes of their own and record how they end."""
    progress = Progress(len(sessions), options.run.verbosity)
    by_owner: dict[str | None, list[Offer]] = {}
    for offer in offers:
        by_owner.setdefault(offer.owner, []).append(offer)
    outcomes, decided = [], []
    with closing(run_sessions(measure_session, sessions, options, resources)) as events:
        for event in events:
            progress.show(event)
            if event.outcome is None:
                continue
            outcomes.append(event.outcome)
            if not options.run.reports_only:
                owners = dict.fromkeys((event.name, event.name.partition("_ses-")[0]))
                pending = [offer for owner in owners for offer in by_owner.get(owner, ())]
                decided += _record(event.outcome, pending, options)
    sys.stderr.write("".join(f"{line}\n" for line in lines(decided)))
    progress.conclude(outcomes, options.folders.output_dir)
    return outcomes


def _record(outcome: Outcome, offers: Collection[Offer], options: Options) -> list[Offer]:
    """Write the record of a session; return what was decided about its pending inputs."""
    output_dir = options.folders.output_dir
    # The record of how unchanged results came about is kept.
    kept = read_record(output_dir, outcome.name) if outcome.status == "unchanged" else outcome
    if kept is None:
        return []
    inputs = settled(offers, kept)
    write_record(output_dir, replace(kept, inputs=inputs))
    return [offer for offer in inputs if offer not in offers]


def measure_session(task: Task) -> Outcome:
    """Measure one session and write its results.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Outcome

    Raises
    ------
    ThalbidsError
        If an image cannot be used or a result not be written; nothing is written then.
    """
    session, options = task.session, task.options
    if options.run.reports_only:
        return redraw_session(session, options)
    task.progress(Stage.COMPARE, "with earlier results")
    stamp = stamp_of(session, options)
    reason = reason_to_run(options.folders.output_dir, session.name, stamp)
    if not reason:
        return Outcome(name=session.name, status="unchanged", stamp=stamp)

    with staged(options.folders.output_dir, session.name) as staging:
        context = SessionContext.of(task, staging)
        anchors = segment_anchors(context)
        maps = quantify_session(anchors[0].measured.brain_mask, context)
        others = read_other_contrasts(maps, context)
        scans = []
        for anchor in anchors:
            aligned = align_contrasts(anchor.measured, others, context)
            scan = replace(anchor.measured, aligned=aligned)
            images = images_to_segment(scan, context)
            measurements = (
                *scan.measurements,
                *measure_contrasts(replace(anchor, measured=scan), images, context),
                *measure_programs(scan, images, context),
            )
            scans.append(replace(scan, measurements=measurements))
        measure_brain_change([scan.scan for scan in scans], context)
        stamp = without(stamp, context.failed)
        context.progress(Stage.REPORT, "")
        write_volumes(staging, session, scans)
        map_steps = [step for item in maps for step in item.steps]
        write_session_page(staging, session, scans, map_steps, stamp, tuple(context.notes))
    return Outcome(
        name=session.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=staging.outputs,
        warnings=tuple(context.notes),
        inputs=tuple(context.inputs),
    )


def quantify_session(brain_mask: Volume, context: SessionContext) -> tuple[QuantitativeMap, ...]:
    """Compute and write R1 and the accompanying maps; note what could not be used.

    Parameters
    ----------
    brain_mask : Volume
        Brain mask of the first anchor.
    context : SessionContext
    """
    context.progress(Stage.QUANTIFY, "")
    session, options = context.session, context.options
    copies: dict[str, Note] = {}
    quantified = quantify(
        find_sources(session, options.folders, copies),
        brain_mask,
        options.maps,
        unprocessed_field_maps(session, options.folders.bids_dir),
    )
    texts = (*(note.text for note in copies.values()), *quantified.warnings)
    # The index has reported copies of images that it lists itself.
    context.notes.extend(text for text in texts if text not in context.notes)
    context.inputs.extend(quantified.inputs)
    context.inputs.extend(
        Offer(place, kind_of_source(place), REASONS[note.kind]) for place, note in copies.items()
    )
    write_maps(context.staging, quantified.maps)
    return quantified.maps


def redraw_session(session: Session, options: Options) -> Outcome:
    """Draw a session's page again from its finished results.

    Raises
    ------
    MissingInputError
        If it has not been measured yet.
    BadDataError
        If a result is damaged.
    """
    output_dir = options.folders.output_dir
    record, stamp = measured_record(output_dir, session.name)
    scans = [
        read_measured_scan(output_dir, session, scan) for scan in measured_anchors(session, record)
    ]
    steps = read_steps(output_dir, session.folder)
    with staged(output_dir, session.name) as staging:
        norm = read_norm_results(output_dir, session.subject, session.session)
        write_session_page(staging, session, scans, steps, stamp, record.warnings, norm=norm)
    # Otherwise the next run would find a page other than the one recorded.
    write_record(output_dir, replace(record, outputs={**record.outputs, **staging.outputs}))
    return replace(record, reason="page redrawn")
