"""The participant stage, from raw BIDS to measured thalami, top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app import __version__, longitudinal
from bids_app.dataset.derivatives import Staging, prepare_output, staged
from bids_app.dataset.description import CITATION, METHODS_PARAGRAPH, describe_dataset
from bids_app.dataset.images import axis_codes, read_volume
from bids_app.dataset.index import Scan, Session, check_dataset, index_sessions
from bids_app.dataset.outputs import (
    MeasuredScan,
    Measurement,
    read_measured_scan,
    write_brain_mask,
    write_image,
    write_maps,
    write_segmentation,
    write_volumes,
)
from bids_app.dataset.sources import find_sources, unprocessed_field_maps
from bids_app.errors import BadDataError, ExitCode, MissingInputError
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.quantification import quantify
from bids_app.run.outcome import Outcome, exit_code_of
from bids_app.run.plan import print_plan
from bids_app.run.progress import Progress
from bids_app.run.records import read_record, reason_to_run, write_record, write_session_table
from bids_app.run.resources import share
from bids_app.run.stamps import Stamp, sha256
from bids_app.run.workers import run_sessions
from bids_app.segmentation import thalnet
from bids_app.segmentation.methods import METHODS
from bids_app.segmentation.volumes import measure

if TYPE_CHECKING:
    from bids_app.report.pages import Anchor

# Above this the shape between slices is mostly interpolated.
THICK_SLICE_MM = 2.0


def run(options: Options) -> ExitCode:
    """Measure every session that was asked for.

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
    if not options.skip_bids_validation:
        check_dataset(options.bids_dir)
    sessions = index_sessions(options)
    to_measure = [session for session in sessions if not session.problem]
    resources = share(len(to_measure), options.nprocs, options.omp_nthreads, options.memory_gib)
    if options.dry_run:
        print_plan(sessions, options, resources)
        return ExitCode.DONE

    prepare_output(options.output_dir)
    describe_dataset(options)
    progress = Progress(len(sessions), options.verbosity)
    outcomes = []
    for event in run_sessions(measure_session, sessions, options, resources):
        progress.tell(event)
        if event.outcome is not None:
            outcomes.append(event.outcome)
            # The record of how the results came about stays as it is if they do.
            if event.outcome.status != "unchanged" and not options.reports_only:
                write_record(options.output_dir, event.outcome)
    if options.longitudinal and not options.reports_only:
        outcomes += longitudinal.run(sessions, outcomes, options)
    write_session_table(options.output_dir)
    progress.conclude(outcomes, options.output_dir)
    return exit_code_of(outcomes)


def measure_session(
    session: Session, options: Options, threads: int, stage: Callable[[str], None]
) -> Outcome:
    """Measure one session and write its results, or say why not.

    Parameters
    ----------
    session : Session
    options : Options
    threads : int
        Processors to use.
    stage : function
        Told what is being done.

    Returns
    -------
    Outcome

    Raises
    ------
    ThalbidsError
        If an image cannot be used or a result not be written; nothing is written then.
    """
    if options.reports_only:
        return redraw_session(session, options)
    stage("compare with earlier results")
    stamp = stamp_of(session, options)
    reason = reason_to_run(options.output_dir, session.name, stamp)
    if not reason:
        return Outcome(session.name, "unchanged", stamp=stamp)

    with staged(options.output_dir, session.name) as staging:
        scans = [
            measure_scan(scan, session, options, threads, stage, staging)
            for scan in session.anchors
        ]
        stage("quantify")
        warnings = quantify_session(session, options, scans[0].brain_mask, staging)
        stage("report")
        write_volumes(staging, session, scans)
        write_session_page(staging, session, scans, stamp, warnings)
    return Outcome(
        session.name,
        "done",
        reason,
        stamp=stamp,
        outputs=tuple(sorted(staging.names)),
        warnings=warnings,
    )


def quantify_session(
    session: Session, options: Options, brain_mask: Volume, staging: Staging
) -> tuple[str, ...]:
    """Compute and write R1 and its companions; say what could not be used, or limits them."""
    quantified = quantify(
        find_sources(session, options),
        brain_mask,
        options,
        unprocessed_field_maps(session, options),
    )
    write_maps(staging, session, quantified.maps)
    return quantified.warnings


def measure_scan(
    scan: Scan,
    session: Session,
    options: Options,
    threads: int,
    stage: Callable[[str], None],
    staging: Staging,
) -> MeasuredScan:
    """Conform one scan, segment it with every method, measure the masks, write the images."""
    stage(f"read {scan.path.name}")
    image = to_ras(read_volume(scan.path))
    write_image(staging, session, scan, image)
    measurements = []
    for method in options.methods:
        stage(f"segment {scan.contrast} with {method}")
        try:
            segmentation = METHODS[method]({scan.contrast: image}, threads)
        except BadDataError as error:
            raise BadDataError(f"{scan.path}: {error}") from error
        write_segmentation(staging, session, scan, method, segmentation, image.affine)
        measurements.append(
            Measurement(
                method,
                scan.contrast,
                Volume(segmentation.dseg, image.affine),
                measure(segmentation, image.voxel_volume),
            )
        )
    brain_mask = Volume(segmentation.brain_mask, image.affine)
    write_brain_mask(staging, session, scan, brain_mask)
    return MeasuredScan(scan, image, brain_mask, tuple(measurements))


def write_session_page(
    staging: Staging,
    session: Session,
    scans: list[MeasuredScan],
    stamp: Stamp,
    warnings: tuple[str, ...],
) -> None:
    """Draw the page of a session: masks over the scan, volumes, provenance, warnings."""
    from bids_app.report.pages import InputFile, SessionReport, session_page

    report = SessionReport(
        subject=session.subject,
        session=session.session or "",
        anchors=tuple(_anchor(session, measured) for measured in scans),
        inputs=tuple(InputFile(path, checksum) for path, checksum in stamp.inputs.items()),
        software=stamp.software,
        methods=METHODS_PARAGRAPH,
        citation=CITATION,
        warnings=warnings,
    )
    staging.text(f"{session.name}.html", session_page(report))


def _anchor(session: Session, measured: MeasuredScan) -> Anchor:
    from bids_app.report.overlays import brain_overlay, thalamus_overlay
    from bids_app.report.pages import Anchor, Overlay, Volumes

    image = measured.image
    size = image.voxel_size
    warnings = []
    if size.max() > THICK_SLICE_MM:
        warnings.append(
            f"Slices of {size.max():.1f} mm: the outline between slices is interpolated, "
            "and volumes are less certain than with 1 mm voxels."
        )
    return Anchor(
        name=measured.scan.name.removeprefix(f"{session.name}_").removeprefix(session.name)
        + f" {measured.scan.contrast}",
        file=f"{session.folder.as_posix()}/anat/{measured.scan.path.name}",
        shape=image.data.shape,
        voxel_size=tuple(float(side) for side in size),
        orientation=axis_codes(measured.scan.path),
        volumes=tuple(
            Volumes(
                method=item.method,
                contrast=item.contrast,
                left_ml=item.volumes.left_ml,
                right_ml=item.volumes.right_ml,
                icv_ml=item.volumes.icv_ml,
                brain_ml=item.volumes.brain_ml,
            )
            for item in measured.measurements
        ),
        thalamus=tuple(
            Overlay(
                f"Thalamus by {item.method} on {item.contrast}",
                thalamus_overlay(image.data, item.dseg.data, size),
            )
            for item in measured.measurements
        ),
        brain=Overlay("Brain mask", brain_overlay(image.data, measured.brain_mask.data, size)),
        warnings=tuple(warnings),
    )


def redraw_session(session: Session, options: Options) -> Outcome:
    """Build a session's page anew from its finished results."""
    scans = [
        read_measured_scan(options.output_dir, session, scan, options.methods)
        for scan in session.anchors
    ]
    record = read_record(options.output_dir, session.name)
    if record is None or record.stamp is None:
        raise MissingInputError(f"{session.name} has not been measured yet; run it first.")
    with staged(options.output_dir, session.name) as staging:
        write_session_page(staging, session, scans, record.stamp, record.warnings)
    return replace(record, reason="page redrawn")


def stamp_of(session: Session, options: Options) -> Stamp:
    """Everything that the results of a session depend on."""
    inputs = {
        str(scan.path.relative_to(options.bids_dir)): sha256(scan.path) for scan in session.anchors
    }
    parameters = {"methods": " ".join(options.methods)}
    sources = find_sources(session, options)
    for image in sources:
        for path in (image.path, *image.sidecars):
            prefix = "" if image.dataset == "raw" else f"{image.dataset}:"
            inputs[f"{prefix}{path.relative_to(image.root)}"] = _sha256_if_readable(path)
    if sources:
        parameters["signal form"] = options.signal_form
        parameters["decay fit"] = options.decay_fit
        parameters["spoiling correction"] = options.spoiling_correction or "none"
    return Stamp(
        inputs=inputs,
        parameters=parameters,
        software={"thalbids": __version__, **thalnet.weights_checksums()},
    )


def _sha256_if_readable(path: Path) -> str:
    """Checksum of a file that the session can do without."""
    try:
        return sha256(path)
    except MissingInputError:
        return "unreadable"
