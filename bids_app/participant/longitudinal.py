"""The longitudinal step: every subject's visits in one space, segmented there (``--longitudinal``).

Sessions have been measured one by one before, and those results are kept. Here the subject is the
unit of work: the scans of all its visits are moved to the space half-way between them and segmented
again on the same grid with the same intensities. The mean of these segmentations is propagated to
every scan by the deformation of its tissue, so that their difference is that of the subject, and
neither that of the interpolation nor that of independent segmentations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby

from bids_app import __version__
from bids_app.alignment.brain_change import parenchyma_volumes
from bids_app.alignment.within_subject import WithinSubject, align_within_subject
from bids_app.contrasts import Role, suffixes
from bids_app.dataset.checksums import sha256
from bids_app.dataset.images import header_notes
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.notes import Note, NoteKind, reasons_to_review
from bids_app.dataset.staging import staged
from bids_app.derivatives.outputs import (
    write_brain_change,
    write_within_subject,
    write_within_subject_segmentation,
    write_within_subject_volumes,
)
from bids_app.derivatives.readback import measured_anchors, read_conformed
from bids_app.errors import BadDataError, BadImageError, Cause, MissingInputError, Problem
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.participant.context import SessionContext
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.progress import Progress
from bids_app.run.records import read_record, reason_to_run, write_record
from bids_app.run.resources import allocate
from bids_app.run.stamps import Stamp
from bids_app.run.workers import Task, run_sessions
from bids_app.segmentation import thalnet
from bids_app.segmentation.consistency import make_consistent
from bids_app.segmentation.method import Segment
from bids_app.segmentation.methods import BUILT_IN, segmenters
from bids_app.segmentation.quality import assess
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.volumes import measure


@dataclass(frozen=True, eq=False)
class Visits:
    """The scans of a subject, as they were acquired and in their common space.

    Attributes
    ----------
    scans : tuple of Scan
    acquired : tuple of Volume
        RAS, each on its own grid.
    notes : tuple of tuple of Note
        What the header of each raw scan leaves uncertain.
    aligned : WithinSubject
    """

    scans: tuple[Scan, ...]
    acquired: tuple[Volume, ...]
    notes: tuple[tuple[Note, ...], ...]
    aligned: WithinSubject


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
        One for each subject, by its name. Those without two measured sessions are skipped.
    """
    output_dir = options.folders.output_dir
    measured = {item.name for item in outcomes if item.status in ("done", "unchanged")}
    with_results = [
        replace(session, anchors=measured_anchors(session, read_record(output_dir, session.name)))
        for session in sessions
    ]
    series = longitudinal_series(with_results, measured)
    measurable = [each for each in series if each.problem is None]
    resources = allocate(len(measurable), options.resources)
    progress = Progress(len(series), options.run.verbosity)
    ended = []
    with closing(run_sessions(measure_series, series, options, resources)) as events:
        for event in events:
            progress.show(event)
            if event.outcome is not None:
                ended.append(event.outcome)
                # Nothing to compare is no result, and has no record that could hide a session's.
                if event.outcome.status in ("done", "failed"):
                    write_record(output_dir, event.outcome)
    return ended


def longitudinal_series(sessions: Sequence[Session], measured: set[str]) -> list[Session]:
    """Gather each subject's scans of all measured sessions.

    Parameters
    ----------
    sessions : sequence of Session
        Sorted by subject.
    measured : set of str
        Names of the sessions that have results.

    Returns
    -------
    list of Session
        One for each subject, named ``sub-01``, with the scans of all its sessions in order, of the
        contrast that most of them were measured on (the first in the order of
        ``bids_app.contrasts`` where two are as frequent). Where there are not two sessions to
        compare, there is a ``problem``.
    """
    series = []
    for subject, sessions_of_subject in groupby(sessions, key=lambda session: session.subject):
        ended = [session for session in sessions_of_subject if session.name in measured]
        # Without T1w a session is measured on another contrast; contrasts cannot be mixed.
        measured_on = [session.anchors[0].contrast for session in ended]
        contrast = max(suffixes(Role.ANCHOR), key=measured_on.count)
        usable = [session for session in ended if session.anchors[0].contrast == contrast]
        scans = tuple(scan for session in usable for scan in _without_agent(session.anchors))
        agents = dict.fromkeys(scan.contrast_agent or "none" for scan in scans)
        notes = _agent_notes(subject, agents) if len(agents) > 1 else ()
        problem = None
        if len(usable) < 2:
            problem = Problem(
                Cause.SINGLE_VISIT,
                f"{len(usable)} of its sessions could be measured on one contrast: no "
                "change over time to measure (--longitudinal needs two).",
            )
        series.append(Session(subject=subject, anchors=scans, problem=problem, notes=notes))
    return series


def _without_agent(scans: Sequence[Scan]) -> Sequence[Scan]:
    """Select the scans of a session without contrast agent, or all if all have one."""
    return [scan for scan in scans if scan.contrast_agent is None] or scans


def _agent_notes(subject: str, agents: Iterable[str]) -> tuple[Note]:
    text = (
        f"The sessions of sub-{subject} differ in contrast agent ({', '.join(agents)}): their "
        "change is not one of volume alone."
    )
    return (Note(NoteKind.CONTRAST_AGENT, f"sub-{subject}", text),)


def measure_series(task: Task) -> Outcome:
    """Align the scans of one subject, segment them in their common space, write the results.

    Raises
    ------
    ThalbidsError
        If the scans cannot be aligned or segmented, or a result not be written.
    """
    series, options = task.session, task.options
    task.progress(Stage.COMPARE, "with earlier results")
    stamp = _stamp_of(series, options)
    reason = reason_to_run(options.folders.output_dir, series.name, stamp)
    if not reason:
        return Outcome(name=series.name, status="unchanged", stamp=stamp)
    with staged(options.folders.output_dir, series.name) as staging:
        context = SessionContext.of(task, staging)
        visits, segmented = _segmented_visits(context)
        for scan, image, transform in zip(
            visits.scans, visits.aligned.images, visits.aligned.transforms, strict=True
        ):
            write_within_subject(staging, scan, image, transform)
        context.notes.extend(note.text for notes in visits.notes for note in notes)
        measurements = []
        for method, segmentations in segmented.items():
            context.progress(Stage.PROPAGATE, f"the segmentation by {method} to all scans")
            consistent = make_consistent(segmentations, visits.aligned.images)
            for scan, acquired, notes, image, result in zip(
                visits.scans,
                visits.acquired,
                visits.notes,
                visits.aligned.images,
                consistent,
                strict=True,
            ):
                write_within_subject_segmentation(staging, scan, method, result, image.affine)
                volumes = measure(result, image.voxel_volume)
                thickness = float(acquired.voxel_size.max())
                quality = assess(result, thickness, reasons_to_review(notes))
                measurements.append((scan, method, volumes, quality))
        write_within_subject_volumes(staging, measurements)
        context.progress(Stage.BRAIN_CHANGE, "")
        brains = [
            Volume(result.brain_mask, image.affine)  # thalnet's for all methods
            for result, image in zip(segmented["thalnet"], visits.aligned.images, strict=True)
        ]
        brain_volumes = parenchyma_volumes(visits.aligned.images, brains).tolist()
        write_brain_change(staging, series.subject, zip(visits.scans, brain_volumes, strict=True))
    return Outcome(
        name=series.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=staging.outputs,
        warnings=tuple(context.notes),
    )


def _segmented_visits(context: SessionContext) -> tuple[Visits, dict[str, list[Segmentation]]]:
    """Align the scans and segment them in their common space, all but those that cannot be.

    Parameters
    ----------
    context : SessionContext
        Gets a note for each scan that cannot.

    Returns
    -------
    visits : Visits
    segmentations : dict of str to list of Segmentation
        Segmentations of each scan in the common space, by method.

    Raises
    ------
    BadDataError
        If not two sessions are left to compare, with all reasons.
    """
    series, methods = context.session, segmenters(context.options.methods)
    scans = list(series.anchors)
    while True:
        try:
            context.progress(Stage.ALIGN, "all scans")
            visits = _align(scans, context.options)
            return visits, {
                method: _segment(method, segment, visits, context)
                for method, segment in methods.items()
            }
        except BadImageError as error:
            bad = scans.pop(error.index)
            if len({dict(scan.entities).get("ses") for scan in scans}) < 2:
                reasons = " ".join((*context.notes, str(error)))
                raise BadDataError(f"{series.name}: {reasons}") from error
            context.notes.append(f"{bad.path.name} is not compared with the other visits: {error}")


def _align(scans: Sequence[Scan], options: Options) -> Visits:
    """Read the scans of all visits and move them half-way between one another."""
    images, masks, notes = [], [], []
    for index, scan in enumerate(scans):
        try:
            image, mask = read_conformed(options.folders.output_dir, scan)
            notes.append(header_notes(scan.path))
        except (MissingInputError, BadDataError) as error:
            raise BadImageError(str(error), index) from error
        images.append(image)
        masks.append(mask)
    try:
        aligned = align_within_subject(images, masks)
    except BadImageError as error:
        names = ", ".join(scan.path.name for scan in scans)
        raise BadImageError(f"{error} Scans in order: {names}.", error.index) from error
    return Visits(tuple(scans), tuple(images), tuple(notes), aligned)


def _segment(
    method: str, segment: Segment, visits: Visits, context: SessionContext
) -> list[Segmentation]:
    """Segment every scan in the common space."""
    segmentations = []
    for index, (scan, image) in enumerate(zip(visits.scans, visits.aligned.images, strict=True)):
        context.progress(Stage.SEGMENT, f"{scan.path.name} with {method}")
        try:
            segmentations.append(segment({scan.contrast: image}, context.threads))
        except BadDataError as error:
            raise BadImageError(f"{scan.path}, aligned: {error}", index) from error
    return segmentations


def _stamp_of(series: Session, options: Options) -> Stamp:
    """Everything that the results of a longitudinal series depend on."""
    methods = options.methods
    return Stamp(
        inputs={
            str(scan.path.relative_to(options.folders.bids_dir)): sha256(scan.path)
            for scan in series.anchors
        },
        parameters={
            "methods": " ".join(name for name in methods.names if name in BUILT_IN),
            "flip averaging": str(methods.flip_averaging),
            "unit": "subject",
        },
        software={"thalbids": __version__, **thalnet.weights_checksums()},
    )
