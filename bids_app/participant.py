"""The participant stage, from raw BIDS to measured thalami, top to bottom."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bids_app import __version__, longitudinal
from bids_app.alignment.flirt import FLIRT, flirt_strategies
from bids_app.alignment.strategies import STRATEGIES, align, apply
from bids_app.alignment.transforms import itk_text
from bids_app.dataset.derivatives import Staging, prepare_output, staged
from bids_app.dataset.description import (
    describe_dataset,
    methods_text,
    other_programs,
    works,
    write_configuration,
)
from bids_app.dataset.finished import datasets, write_match_table
from bids_app.dataset.flirt import FlirtRuns
from bids_app.dataset.images import axis_codes, read_volume
from bids_app.dataset.index import Scan, Session, check_dataset, index_sessions
from bids_app.dataset.outputs import (
    AlignedContrast,
    MeasuredScan,
    Measurement,
    QuantitativeMap,
    joint_name,
    map_source,
    qualities,
    raw_source,
    write_aligned,
    write_brain_mask,
    write_ensemble,
    write_image,
    write_maps,
    write_scaled,
    write_segmentation,
    write_volumes,
)
from bids_app.dataset.results import read_measured_scan, read_steps
from bids_app.dataset.siena import SIENA
from bids_app.dataset.sources import find_sources, unprocessed_field_maps
from bids_app.dataset.steps import steps_of
from bids_app.errors import BadDataError, ExitCode, MissingInputError, ThalbidsError
from bids_app.external import (
    all_programs,
    check_programs,
    finished_files,
    limits_of,
    measure_external,
    programs_to_run,
)
from bids_app.images.intensity import scaled_in_mask
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.quantification import quantify
from bids_app.run.outcome import Outcome, exit_code_of
from bids_app.run.plan import print_plan
from bids_app.run.progress import Progress
from bids_app.run.records import read_record, reason_to_run, update_session_table, write_record
from bids_app.run.resources import share
from bids_app.run.stamps import Stamp, sha256
from bids_app.run.workers import run_sessions
from bids_app.segmentation import thalnet
from bids_app.segmentation.fusion import ensembles, fuse
from bids_app.segmentation.methods import JOINT_METHODS, built_in
from bids_app.segmentation.result import Segmentation
from bids_app.siena import measure_brain_change
from bids_app.tools.choice import runner_of
from bids_app.tools.program import parameter_of

if TYPE_CHECKING:
    from bids_app.report.pages import AlignmentReport, Anchor


@dataclass(frozen=True, eq=False)
class OtherContrast:
    """An image that can be aligned: BIDS suffix, voxels (RAS) and BIDS URI."""

    contrast: str
    image: Volume
    source: str


@dataclass(frozen=True, eq=False)
class AnchorResult:
    """A measured anchor with its segmentations by method, for the ensembles."""

    measured: MeasuredScan
    segmentations: dict[str, Segmentation]
    warnings: tuple[str, ...]


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

    if not options.reports_only:
        check_programs(options)
    prepare_output(options.output_dir)
    describe_dataset(options)
    write_configuration(options, thalnet.weights_checksums())
    write_match_table(sessions, options)
    if SIENA in all_programs(options) and all(session.baseline is None for session in sessions):
        sys.stderr.write("SIENA is not run: no session has an earlier one with a T1w.\n")
    progress = Progress(len(sessions), options.verbosity)
    outcomes = []
    try:
        with closing(run_sessions(measure_session, sessions, options, resources)) as events:
            for event in events:
                progress.tell(event)
                if event.outcome is not None:
                    outcomes.append(event.outcome)
                    # The record of how the results came about stays as it is if they do.
                    if event.outcome.status != "unchanged" and not options.reports_only:
                        write_record(options.output_dir, event.outcome)
        if options.longitudinal and not options.reports_only:
            outcomes += longitudinal.run(sessions, outcomes, options)
    finally:
        update_session_table(options.output_dir)
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
        anchors = [
            measure_scan(scan, session, options, threads, stage, staging)
            for scan in session.anchors
        ]
        stage("quantify")
        failed: tuple[str, ...] = ()
        maps, warnings = quantify_session(session, options, anchors[0].measured.brain_mask, staging)
        others, unread = other_contrasts(session, maps)
        warnings += unread
        scans = []
        for anchor in anchors:
            stage(f"align to {anchor.measured.scan.path.name}")
            aligned, unaligned = align_contrasts(
                anchor.measured, others, session, options, threads, staging
            )
            scan, images, unsegmented = measure_contrasts(
                anchor, aligned, session, options, threads, stage, staging
            )
            external = measure_external(scan, images, session, options, threads, stage, staging)
            found = scan.measurements + external.measurements
            scans.append(replace(scan, measurements=found))
            warnings += anchor.warnings + unaligned + unsegmented + external.warnings
            failed += external.failed
        unmeasured = measure_brain_change(session, options, threads, stage, staging)
        warnings += unmeasured
        failed += (SIENA.name,) if unmeasured else ()
        stamp = without(stamp, failed)
        stage("report")
        write_volumes(staging, session, scans)
        r1_maps = [item.sidecar for item in maps if item.quantity == "R1map"]
        write_session_page(staging, session, scans, r1_maps, stamp, warnings)
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
) -> tuple[tuple[QuantitativeMap, ...], tuple[str, ...]]:
    """Compute and write R1 and its companions; say what could not be used, or limits them."""
    quantified = quantify(
        find_sources(session, options),
        brain_mask,
        options,
        unprocessed_field_maps(session, options),
    )
    write_maps(staging, session, quantified.maps)
    return quantified.maps, quantified.warnings


def other_contrasts(
    session: Session, maps: tuple[QuantitativeMap, ...]
) -> tuple[tuple[OtherContrast, ...], tuple[str, ...]]:
    """Read what can be aligned to the anchors: other scans, and R1; say what cannot be read."""
    others = []
    warnings = [f"{scan.path.name} is not used: one {scan.contrast} is." for scan in session.unused]
    for scan in session.others:
        try:
            image = to_ras(read_volume(scan.path))
        except ThalbidsError as error:
            warnings.append(f"{scan.contrast} is left out: {error}")
            continue
        others.append(OtherContrast(scan.contrast, image, raw_source(session, scan)))
    others += [
        OtherContrast(item.quantity, item.volume, map_source(session, item))
        for item in maps
        if item.quantity == "R1map"
    ]
    return tuple(others), tuple(warnings)


def align_contrasts(
    anchor: MeasuredScan,
    others: tuple[OtherContrast, ...],
    session: Session,
    options: Options,
    threads: int,
    staging: Staging,
) -> tuple[tuple[AlignedContrast, ...], tuple[str, ...]]:
    """Bring every other contrast onto the anchor's grid; say which could not be aligned."""
    aligned, warnings = [], []
    grid = anchor.image
    x, y, z = grid.data.shape
    for other in others:
        strategies, programs = STRATEGIES[other.contrast], []
        if options.flirt:
            runner = runner_of(options.tool_images.get(FLIRT.name))
            limits = limits_of(FLIRT, options, threads)
            flirt = FlirtRuns(runner, limits, staging, anchor.scan.name, other.contrast)
            strategies, programs = flirt_strategies(other.contrast, flirt), flirt.programs
        found = align(grid, anchor.brain_mask, other.image, strategies)
        if found.chosen is None:
            warnings.append(
                f"{other.contrast} is left out: it could not be aligned to "
                f"{anchor.scan.path.name} ({found.reason})."
            )
            continue
        transform = found.chosen.transform
        image = Volume(apply(other.image, transform, (x, y, z), grid.affine), grid.affine)
        contrast = AlignedContrast(
            other.contrast,
            image,
            qualities(found),
            found.chosen.strategy,
            transform,
            float(other.image.voxel_size.max()),
        )
        write_aligned(
            staging, session, anchor.scan, contrast, other.source, itk_text(transform), programs
        )
        aligned.append(contrast)
    return tuple(aligned), tuple(warnings)


def measure_contrasts(
    anchor: AnchorResult,
    aligned: tuple[AlignedContrast, ...],
    session: Session,
    options: Options,
    threads: int,
    stage: Callable[[str], None],
    staging: Staging,
) -> tuple[MeasuredScan, dict[str, Volume], tuple[str, ...]]:
    """Segment the aligned contrasts with every method, fuse the masks, measure all of them.

    The images are handed on as they were segmented, the anchor first.
    """
    scan, image = anchor.measured.scan, anchor.measured.image
    measured = replace(anchor.measured, aligned=aligned)
    measurements, warnings = list(measured.measurements), []

    def measure(method: str, name: str, contrasts: tuple[str, ...], thalami: Segmentation) -> None:
        thickness = measured.slice_thickness(contrasts)
        measurements.append(Measurement.of(method, name, thalami, image, thickness))

    images = {}
    for item in aligned:
        try:
            images[item.contrast] = image_to_segment(item, anchor.measured, session, staging)
        except ValueError as error:
            warnings.append(f"{item.contrast} is not segmented: {error}.")
    methods = built_in(options.methods, flip_averaging=options.flip_averaging)
    for method, own in anchor.segmentations.items():
        found = {scan.contrast: own}
        for contrast, other in images.items():
            stage(f"segment {contrast} with {method}")
            try:
                found[contrast] = methods[method]({contrast: other}, threads)
            except BadDataError as error:
                warnings.append(f"{contrast} gives no mask by {method}: {error}")
                continue
            write_segmentation(
                staging, session, scan, method, (contrast,), found[contrast], image.affine
            )
            measure(method, contrast, (contrast,), found[contrast])
        if method in JOINT_METHODS and len(found) > 1:
            contrasts = tuple(found)
            stage(f"segment {', '.join(contrasts)} at once with {method}")
            together = {scan.contrast: image} | {name: images[name] for name in contrasts[1:]}
            try:
                joint = methods[method](together, threads)
            except BadDataError as error:
                warnings.append(f"{', '.join(contrasts)} give no mask by {method}: {error}")
            else:
                write_segmentation(staging, session, scan, method, contrasts, joint, image.affine)
                measure(method, joint_name(contrasts), contrasts, joint)
        for ensemble in ensembles(tuple(found), options.ensembles):
            parts = [found[contrast] for contrast in ensemble.contrasts]
            dseg, soft_volumes = fuse(parts, ensemble.rule)
            fused = replace(
                own,
                dseg=dseg,
                soft_volumes=soft_volumes,
                confidence=np.nan,
                volume_error=np.nan,
            )
            write_ensemble(staging, session, scan, method, ensemble, Volume(dseg, image.affine))
            measure(method, ensemble.name, ensemble.contrasts, fused)
    measured = replace(measured, measurements=tuple(measurements))
    return measured, {scan.contrast: image} | images, tuple(warnings)


def image_to_segment(
    aligned: AlignedContrast, anchor: MeasuredScan, session: Session, staging: Staging
) -> Volume:
    """The image that methods see: R1 scaled as in Ibrahim et al. 2026, others as they are."""
    if aligned.contrast != "R1map":
        return aligned.image
    scaled = scaled_in_mask(aligned.image.data, anchor.brain_mask.data != 0)
    image = Volume(scaled, aligned.image.affine)
    write_scaled(staging, session, anchor.scan, aligned.contrast, image)
    return image


def measure_scan(
    scan: Scan,
    session: Session,
    options: Options,
    threads: int,
    stage: Callable[[str], None],
    staging: Staging,
) -> AnchorResult:
    """Conform one scan, segment it with every method, measure the masks, write the images.

    A scan that thalnet cannot segment fails; another method that fails is a warning.
    """
    stage(f"read {scan.path.name}")
    image = to_ras(read_volume(scan.path))
    write_image(staging, session, scan, image)
    segmentations: dict[str, Segmentation] = {}
    warnings = []
    methods = built_in(options.methods, flip_averaging=options.flip_averaging)
    for method, segment in methods.items():
        stage(f"segment {scan.contrast} with {method}")
        try:
            segmentation = segment({scan.contrast: image}, threads)
        except BadDataError as error:
            if not segmentations:
                raise BadDataError(f"{scan.path}: {error}") from error
            warnings.append(f"{scan.path.name} gives no mask by {method}: {error}")
            continue
        write_segmentation(
            staging, session, scan, method, (scan.contrast,), segmentation, image.affine
        )
        segmentations[method] = segmentation
    brain_mask = Volume(segmentations["thalnet"].brain_mask, image.affine)
    write_brain_mask(staging, session, scan, brain_mask)
    measurements = tuple(
        Measurement.of(method, scan.contrast, segmentation, image, float(image.voxel_size.max()))
        for method, segmentation in segmentations.items()
    )
    measured = MeasuredScan(scan, image, brain_mask, measurements)
    return AnchorResult(measured, segmentations, tuple(warnings))


def write_session_page(
    staging: Staging,
    session: Session,
    scans: list[MeasuredScan],
    r1_maps: Sequence[Mapping[str, object]],
    stamp: Stamp,
    warnings: tuple[str, ...],
) -> None:
    """Draw the page of a session: masks over the scan, volumes, provenance, warnings."""
    from bids_app.report.pages import InputFile, SessionReport, session_page

    used = [item.method for measured in scans for item in measured.measurements]
    used += other_programs(stamp)
    steps = steps_of(
        ((item.method, item.contrast) for measured in scans for item in measured.measurements),
        (aligned.strategy for measured in scans for aligned in measured.aligned),
        r1_maps,
    )
    report = SessionReport(
        subject=session.subject,
        session=session.session or "",
        anchors=tuple(_anchor(session, measured) for measured in scans),
        inputs=tuple(InputFile(path, checksum) for path, checksum in stamp.inputs.items()),
        software=stamp.software,
        methods=methods_text(used, steps),
        citation=works(used, steps),
        warnings=warnings,
    )
    staging.text(f"{session.name}.html", session_page(report))


def _anchor(session: Session, measured: MeasuredScan) -> Anchor:
    from bids_app.report.overlays import brain_overlay, thalamus_overlay
    from bids_app.report.pages import Anchor, Overlay, Volumes

    image, anchor = measured.image, measured.scan.contrast
    size = image.voxel_size
    concerns: dict[str, list[str]] = {}
    for item in measured.measurements:
        for reason in item.quality.reasons:
            concerns.setdefault(reason, []).append(f"{item.method} on {item.contrast}")
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
                low_ml=item.volumes.total_low_ml,
                high_ml=item.volumes.total_high_ml,
                confidence=item.quality.confidence,
                qc=item.quality.verdict,
            )
            for item in measured.measurements
        ),
        thalamus=tuple(
            Overlay(
                f"Thalamus by {item.method} on {item.contrast}"
                + f", shown on {anchor}" * (item.contrast != anchor),
                thalamus_overlay(image.data, item.dseg.data, size),
            )
            for item in measured.measurements
        ),
        alignments=tuple(_alignment(measured, item) for item in measured.aligned),
        brain=Overlay("Brain mask", brain_overlay(image.data, measured.brain_mask.data, size)),
        warnings=tuple(
            f"Look before use: {reason} ({', '.join(segmentations)})."
            for reason, segmentations in concerns.items()
        ),
    )


def _alignment(measured: MeasuredScan, aligned: AlignedContrast) -> AlignmentReport:
    from bids_app.report.overlays import alignment_overlay, brain_overlay
    from bids_app.report.pages import AlignmentReport, Overlay
    from bids_app.report.relaxation import r1_histogram

    image, brain, size = measured.image.data, measured.brain_mask.data, measured.image.voxel_size
    other, anchor = aligned.image.data, measured.scan.contrast
    figures = [
        Overlay(
            f"{anchor} and {aligned.contrast} in turn, with the outline of the brain",
            alignment_overlay(image, other, brain, size),
        ),
        Overlay(
            f"{aligned.contrast} with the outline of the brain in {anchor}",
            brain_overlay(other, brain, size),
        ),
    ]
    if aligned.contrast == "R1map":
        figures.append(Overlay(*r1_histogram(np.asarray(other, np.float32)[brain != 0])))
    return AlignmentReport(aligned.contrast, aligned.strategy, aligned.quality, tuple(figures))


def redraw_session(session: Session, options: Options) -> Outcome:
    """Build a session's page anew from its finished results."""
    scans = [read_measured_scan(options.output_dir, session, scan) for scan in session.anchors]
    record = read_record(options.output_dir, session.name)
    if record is None or record.stamp is None:
        raise MissingInputError(f"{session.name} has not been measured yet; run it first.")
    _, r1_maps = read_steps(options.output_dir, session.folder)
    with staged(options.output_dir, session.name) as staging:
        write_session_page(staging, session, scans, r1_maps, record.stamp, record.warnings)
    return replace(record, reason="page redrawn")


def stamp_of(session: Session, options: Options) -> Stamp:
    """Everything that the results of a session depend on."""
    inputs = {
        str(scan.path.relative_to(options.bids_dir)): sha256(scan.path) for scan in session.anchors
    }
    for scan in session.others:
        inputs[str(scan.path.relative_to(options.bids_dir))] = _sha256_if_readable(scan.path)
    parameters = {"methods": " ".join(options.methods), "ensembles": " ".join(options.ensembles)}
    parameters["flip averaging"] = str(options.flip_averaging)
    sources = find_sources(session, options)
    for image in sources:
        for path in (image.path, *image.sidecars):
            prefix = "" if image.dataset == "raw" else f"{image.dataset}:"
            inputs[f"{prefix}{path.relative_to(image.root)}"] = _sha256_if_readable(path)
    for name, root, path in finished_files(session, options):
        inputs[f"{name}:{path.relative_to(root)}"] = _sha256_if_readable(path)
    for method in programs_to_run(options):
        parameters[method.parameter] = options.tool_images.get(method.name, "local")
    if options.flirt and (session.others or sources):
        parameters[FLIRT.parameter] = options.tool_images.get(FLIRT.name, "local")
    if session.baseline is not None and SIENA in all_programs(options):
        parameters[SIENA.parameter] = options.tool_images.get(SIENA.name, "local")
        baseline = session.baseline.path
        inputs[str(baseline.relative_to(options.bids_dir))] = _sha256_if_readable(baseline)
    if {*options.methods, *datasets(options)} & {"mindglide", "mindglide1"}:
        parameters["envelope"] = options.envelope
    if sources:
        parameters["signal form"] = options.signal_form
        parameters["decay fit"] = options.decay_fit
        parameters["Gibbs unringing"] = str(options.gibbs_unringing)
        parameters["spoiling correction"] = options.spoiling_correction or "none"
    return Stamp(
        inputs=inputs,
        parameters=parameters,
        software={"thalbids": __version__, **thalnet.weights_checksums()},
    )


def without(stamp: Stamp, failed: tuple[str, ...]) -> Stamp:
    """The stamp of results in which some programs' are missing, so that they are tried again."""
    methods = [name for name in stamp.parameters["methods"].split() if name not in failed]
    parameters = {**stamp.parameters, "methods": " ".join(methods)}
    for name in failed:
        parameters.pop(parameter_of(name), None)
    return replace(stamp, parameters=parameters)


def _sha256_if_readable(path: Path) -> str:
    """Checksum of a file that the session can do without."""
    try:
        return sha256(path)
    except MissingInputError:
        return "unreadable"
