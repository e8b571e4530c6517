"""One session, from its images to its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from bids_app.dataset.checksums import Content
from bids_app.dataset.index import Session
from bids_app.dataset.inputs import Offer
from bids_app.dataset.notes import Note
from bids_app.dataset.sources import find_sources, unprocessed_field_maps
from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.description import describe_probabilities
from bids_app.derivatives.norm_results import read_norm_results
from bids_app.derivatives.outputs import write_maps, write_table, write_volumes
from bids_app.derivatives.readback import measured_anchors, read_measured_scan, read_steps
from bids_app.derivatives.results import MeasuredScan, QuantitativeMap
from bids_app.derivatives.steps import Step
from bids_app.derivatives.value_columns import NUCLEI_COLUMNS, VALUE_COLUMNS
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.participant.align import align_contrasts, read_other_contrasts
from bids_app.participant.context import SessionContext
from bids_app.participant.edited import note_misnamed, only_added, with_edits
from bids_app.participant.nuclei import groups_of, rows_of
from bids_app.participant.offers import REASONS, kind_of_source
from bids_app.participant.page import write_session_page
from bids_app.participant.programs import measure_programs
from bids_app.participant.quantify import quantify
from bids_app.participant.segment import images_to_segment, measure_contrasts, segment_anchors
from bids_app.participant.siena import measure_brain_change
from bids_app.participant.stamp import scanner_of, stamp_of, without
from bids_app.participant.template import (
    still_holds,
    without_notes_on_templates,
    write_in_templates,
)
from bids_app.participant.values import values_of
from bids_app.programs.edited import EDITED
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.records import (
    measured_record,
    read_record,
    reason_to_run,
    remove_superseded,
    write_record,
)
from bids_app.run.stamps import Stamp
from bids_app.run.workers import Task


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
    record = read_record(options.folders.output_dir, session.name)
    if record is not None and only_added(record, stamp, options.folders.output_dir):
        return complete_session(task, record, stamp, reason)

    with staged(options.folders.output_dir, session.name) as staging:
        context = SessionContext.of(task, staging)
        anchors = segment_anchors(context)
        maps = quantify_session(anchors[0].measured.brain_mask, context)
        others = read_other_contrasts(maps, context)
        scans, values, nuclei_rows = [], [], []
        for anchor in anchors:
            aligned = align_contrasts(anchor.measured, others, context)
            scan = replace(anchor.measured, aligned=aligned)
            images = images_to_segment(scan, context)
            measurements = (
                *scan.measurements,
                *measure_contrasts(replace(anchor, measured=scan), images, context),
                *measure_programs(scan, images, context),
            )
            nuclei = groups_of(scan, {each.method for each in measurements}, context)
            nuclei_rows += rows_of(scan, nuclei)
            of_scan = values_of(scan, anchor.segmentations["thalnet"], maps, nuclei)
            values += of_scan
            scan = replace(scan, measurements=measurements, values=tuple(of_scan))
            scans.append(with_edits(scan, context))
        measure_brain_change([scan.scan for scan in scans], context)
        write_table(staging, names.values_table(session), values, VALUE_COLUMNS)
        if nuclei_rows:
            write_table(staging, names.nuclei_table(session), nuclei_rows, NUCLEI_COLUMNS)
        stamp = without(stamp, context.failed)
        map_steps = [step for item in maps for step in item.steps]
        outputs = _write_summary(scans, map_steps, stamp, context)
    return Outcome(
        name=session.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=outputs,
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


def complete_session(task: Task, record: Outcome, stamp: Stamp, reason: str) -> Outcome:
    """Replace masks that were corrected by hand, and add spaces, in results that are valid.

    Parameters
    ----------
    task : Task
    record : Outcome
        Record of the run that measured the session.
    stamp : Stamp
        With the corrected masks and the spaces.
    reason : str
        Why the session is run.

    Returns
    -------
    Outcome

    Raises
    ------
    ThalbidsError
        If a result cannot be read or written.
    """
    session, options = task.session, task.options
    output_dir = options.folders.output_dir
    task.progress(Stage.READ, "results")
    scans = [
        replace(
            read_measured_scan(output_dir, session, scan),
            scanner=scanner_of(scan, options.folders),
        )
        for scan in measured_anchors(session, record)
    ]
    steps = read_steps(output_dir, session.folder)
    with staged(output_dir, session.name) as staging:
        context = SessionContext.of(task, staging)
        # What was noted on corrected masks is noted again.
        about = tuple(f"{name} " for name in stamp.inputs if name.startswith(f"{EDITED}:"))
        notes = [note for note in record.warnings if not note.startswith(about)]
        context.notes[:] = without_notes_on_templates(notes, scans)
        scans = [with_edits(scan, context) for scan in scans]
        outputs = _write_summary(scans, steps, stamp, context, record.outputs)
    remove_superseded(output_dir, record, outputs)
    return replace(
        record,
        reason=reason,
        stamp=stamp,
        outputs=outputs,
        warnings=tuple(context.notes),
    )


def _write_summary(
    scans: Sequence[MeasuredScan],
    map_steps: Sequence[Step],
    stamp: Stamp,
    context: SessionContext,
    earlier: Mapping[str, Content | None] = MappingProxyType({}),
) -> dict[str, Content | None]:
    """Write what depends on all masks of a session: in the templates, their volumes, the page.

    Parameters
    ----------
    scans : sequence of MeasuredScan
        With the masks that were corrected by hand.
    map_steps : sequence of Step
        Steps of the quantitative maps.
    stamp : Stamp
    context : SessionContext
    earlier : mapping of str to Content
        Results of the run that measured the session, if another one completes it.

    Returns
    -------
    dict of str to Content
        All results of the session that hold.
    """
    staging = context.staging
    note_misnamed(context)
    scans = write_in_templates(scans, context, earlier)
    context.progress(Stage.REPORT, "")
    write_volumes(staging, context.session, scans)
    kept = {
        name: content
        for name, content in earlier.items()
        if name not in staging.withdrawn and still_holds(name, scans)
    }
    notes, files = tuple(context.notes), {**kept, **staging.outputs}
    write_session_page(staging, context.session, scans, map_steps, stamp, notes, files=files)
    outputs = {**kept, **staging.outputs}
    describe_probabilities(context.options.folders, outputs)
    return outputs


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
        write_session_page(
            staging,
            session,
            scans,
            steps,
            stamp,
            record.warnings,
            files=record.outputs,
            norm=norm,
        )
    # Otherwise the next run would find a page other than the one recorded.
    write_record(output_dir, replace(record, outputs={**record.outputs, **staging.outputs}))
    return replace(record, reason="page redrawn")
