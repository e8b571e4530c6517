"""Change over time: every subject's scans in one space, segmented there (``--longitudinal``).

Sessions have been measured on their own before, and those results stay as they are. Here the
subject is the unit of work: the scans of all its sessions are moved to the space half-way between
them and segmented again with the same grid and intensities. The mean of these outlines is carried
to every scan by the deformation of its tissue, so that their difference is the subject's, and
neither that of the interpolation nor that of outlines drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import groupby

from bids_app import __version__
from bids_app.alignment.brain_change import parenchyma_volumes
from bids_app.alignment.within_subject import align_within_subject
from bids_app.dataset.checksums import sha256
from bids_app.dataset.index import Session
from bids_app.dataset.staging import staged
from bids_app.derivatives.outputs import (
    write_brain_change,
    write_within_subject,
    write_within_subject_segmentation,
    write_within_subject_volumes,
)
from bids_app.derivatives.readback import read_conformed
from bids_app.errors import BadDataError, Cause, Problem
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.progress import Progress
from bids_app.run.records import reason_to_run, write_record
from bids_app.run.resources import allocate
from bids_app.run.stamps import Stamp
from bids_app.run.workers import Task, run_sessions
from bids_app.segmentation import thalnet
from bids_app.segmentation.consistency import make_consistent
from bids_app.segmentation.methods import built_in
from bids_app.segmentation.quality import assess
from bids_app.segmentation.volumes import measure


def run(
    sessions: Sequence[Session], outcomes: Sequence[Outcome], options: Options
) -> list[Outcome]:
    """Measure the course of every subject whose sessions have been measured.

    Parameters
    ----------
    sessions : sequence of Session
        All that were asked for.
    outcomes : sequence of Outcome
        How they ended.
    options : Options

    Returns
    -------
    list of Outcome
        One for each subject, by its name. Those without two measured sessions are skipped.
    """
    measured = {item.name for item in outcomes if item.status in ("done", "unchanged")}
    courses = courses_of(sessions, measured)
    to_measure = [course for course in courses if not course.problem]
    resources = allocate(len(to_measure), options.resources)
    progress = Progress(len(courses), options.run.verbosity)
    ended = []
    with closing(run_sessions(measure_course, courses, options, resources)) as events:
        for event in events:
            progress.show(event)
            if event.outcome is not None:
                ended.append(event.outcome)
                # Nothing to compare is no result, and has no record that could hide a session's.
                if event.outcome.status in ("done", "failed"):
                    write_record(options.folders.output_dir, event.outcome)
    return ended


def courses_of(sessions: Sequence[Session], measured: set[str]) -> list[Session]:
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
        contrast that most of them were measured on (T1w where two are as frequent). Where there
        are not two sessions to compare, ``problem`` says so.
    """
    courses = []
    for subject, own in groupby(sessions, key=lambda session: session.subject):
        ended = [session for session in own if session.name in measured]
        # Without T1w a session is measured on its FLAIR; contrasts cannot be mixed.
        seen = [session.anchors[0].contrast for session in ended]
        contrast = max(seen, key=lambda name: (seen.count(name), name), default="")
        usable = [session for session in ended if session.anchors[0].contrast == contrast]
        scans = tuple(scan for session in usable for scan in session.anchors)
        problem = None
        if len(usable) < 2:
            problem = Problem(
                Cause.SINGLE_VISIT,
                f"{len(usable)} of its sessions could be measured on one contrast: no "
                "change over time to measure (--longitudinal needs two).",
            )
        courses.append(Session(subject, None, scans, problem))
    return courses


def measure_course(task: Task) -> Outcome:
    """Align the scans of one subject, segment them in their common space, write the results.

    Raises
    ------
    ThalbidsError
        If the scans cannot be aligned or segmented, or a result not be written.
    """
    course, options, threads, stage = task.session, task.options, task.threads, task.progress
    stage(Stage.COMPARE, "with earlier results")
    stamp = _stamp_of(course, options)
    reason = reason_to_run(options.folders.output_dir, course.name, stamp)
    if not reason:
        return Outcome(name=course.name, status="unchanged", stamp=stamp)
    stage(Stage.ALIGN, "all scans")
    images, masks = zip(
        *(read_conformed(options.folders.output_dir, scan) for scan in course.anchors), strict=True
    )
    try:
        aligned = align_within_subject(images, masks)
    except BadDataError as error:
        names = ", ".join(scan.path.name for scan in course.anchors)
        raise BadDataError(f"{course.name}: {error} Scans in order: {names}.") from error
    methods = built_in(options.methods.names, flip_averaging=options.methods.flip_averaging)
    measurements = []
    with staged(options.folders.output_dir, course.name) as staging:
        for scan, image, transform in zip(
            course.anchors, aligned.images, aligned.transforms, strict=True
        ):
            write_within_subject(staging, scan, image, transform)
        for method, segment in methods.items():
            results = []
            for scan, image in zip(course.anchors, aligned.images, strict=True):
                stage(Stage.SEGMENT, f"{scan.path.name} with {method}")
                try:
                    results.append(segment({scan.contrast: image}, threads))
                except BadDataError as error:
                    raise BadDataError(f"{scan.path}, aligned: {error}") from error
            brains = [
                Volume(result.brain_mask, image.affine)  # thalnet's for all methods
                for result, image in zip(results, aligned.images, strict=True)
            ]
            stage(Stage.PROPAGATE, f"the segmentation by {method} to all scans")
            outlined = make_consistent(results, aligned.images)
            for scan, acquired, image, result in zip(
                course.anchors, images, aligned.images, outlined, strict=True
            ):
                write_within_subject_segmentation(staging, scan, method, result, image.affine)
                volumes = measure(result, image.voxel_volume)
                quality = assess(result, float(acquired.voxel_size.max()))
                measurements.append((scan, method, volumes, quality))
        write_within_subject_volumes(staging, measurements)
        stage(Stage.BRAIN_CHANGE, "")
        volumes_of_brain = parenchyma_volumes(aligned.images, brains)
        write_brain_change(
            staging, course, zip(course.anchors, volumes_of_brain.tolist(), strict=True)
        )
    return Outcome(
        name=course.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=tuple(sorted(staging.names)),
    )


def _stamp_of(course: Session, options: Options) -> Stamp:
    """Everything that the results of a course depend on."""
    return Stamp(
        inputs={
            str(scan.path.relative_to(options.folders.bids_dir)): sha256(scan.path)
            for scan in course.anchors
        },
        parameters={
            "methods": " ".join(built_in(options.methods.names)),
            "flip averaging": str(options.methods.flip_averaging),
            "unit": "subject",
        },
        software={"thalbids": __version__, **thalnet.weights_checksums()},
    )
