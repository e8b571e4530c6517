"""The participant stage, from raw BIDS to measured thalami, top to bottom."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bids_app.alignment.strategies import STRATEGIES, align
from bids_app.alignment.transforms import itk_text
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan, Session, check_dataset, index_sessions
from bids_app.dataset.sources import find_sources, unprocessed_field_maps
from bids_app.dataset.staging import Staging, prepare_output, staged
from bids_app.derivatives import names
from bids_app.derivatives.description import (
    describe_dataset,
    write_configuration,
)
from bids_app.derivatives.outputs import (
    attempts_of,
    write_aligned,
    write_brain_mask,
    write_ensemble,
    write_image,
    write_maps,
    write_scaled,
    write_segmentation,
    write_volumes,
)
from bids_app.derivatives.readback import read_measured_scan, read_steps
from bids_app.derivatives.results import (
    AlignedContrast,
    MeasuredScan,
    Measurement,
    QuantitativeMap,
)
from bids_app.derivatives.steps import steps_of_alignment
from bids_app.errors import BadDataError, ExitCode, MissingInputError, ThalbidsError
from bids_app.images.intensity import scaled_in_mask
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Options
from bids_app.participant import longitudinal
from bids_app.participant.page import write_session_page
from bids_app.participant.plan import print_plan
from bids_app.participant.programs import measure_external
from bids_app.participant.quantify import quantify
from bids_app.participant.siena import measure_brain_change
from bids_app.participant.stamp import stamp_of, without
from bids_app.programs.finished import write_match_table
from bids_app.programs.flirt import FLIRT, FlirtRuns, flirt_strategies
from bids_app.programs.selection import all_programs, check_programs, limits_of
from bids_app.programs.siena import SIENA
from bids_app.run.outcome import Outcome, Stage, exit_code_of
from bids_app.run.progress import Progress
from bids_app.run.records import read_record, reason_to_run, update_session_table, write_record
from bids_app.run.resources import allocate
from bids_app.run.workers import Task, run_sessions
from bids_app.segmentation import thalnet
from bids_app.segmentation.fusion import ensembles, fuse
from bids_app.segmentation.methods import JOINT_METHODS, Method, built_in
from bids_app.segmentation.result import Segmentation
from bids_app.tools.choice import runner_of

if TYPE_CHECKING:
    pass


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
    if not options.selection.skip_bids_validation:
        check_dataset(options.folders.bids_dir)
    sessions = index_sessions(options.folders.bids_dir, options.selection)
    to_measure = [session for session in sessions if not session.problem]
    resources = allocate(len(to_measure), options.resources)
    if options.run.dry_run:
        print_plan(sessions, options, resources)
        return ExitCode.DONE

    if not options.run.reports_only:
        check_programs(options)
    prepare_output(options.folders.output_dir)
    describe_dataset(options)
    write_configuration(options, thalnet.weights_checksums())
    write_match_table(sessions, options)
    if SIENA in all_programs(options) and all(session.baseline is None for session in sessions):
        sys.stderr.write("SIENA is not run: no session has an earlier one with a T1w.\n")
    progress = Progress(len(sessions), options.run.verbosity)
    outcomes = []
    try:
        with closing(run_sessions(measure_session, sessions, options, resources)) as events:
            for event in events:
                progress.show(event)
                if event.outcome is not None:
                    outcomes.append(event.outcome)
                    # The record of how the results came about stays as it is if they do.
                    if event.outcome.status != "unchanged" and not options.run.reports_only:
                        write_record(options.folders.output_dir, event.outcome)
        if options.methods.longitudinal and not options.run.reports_only:
            outcomes += longitudinal.run(sessions, outcomes, options)
    finally:
        update_session_table(options.folders.output_dir)
    progress.conclude(outcomes, options.folders.output_dir)
    return exit_code_of(outcomes)


def measure_session(task: Task) -> Outcome:
    """Measure one session and write its results, or say why not.

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
    session, options, threads, stage = task.session, task.options, task.threads, task.progress
    if options.run.reports_only:
        return redraw_session(session, options)
    stage(Stage.COMPARE, "with earlier results")
    stamp = stamp_of(session, options)
    reason = reason_to_run(options.folders.output_dir, session.name, stamp)
    if not reason:
        return Outcome(name=session.name, status="unchanged", stamp=stamp)

    with staged(options.folders.output_dir, session.name) as staging:
        anchors = [
            measure_scan(scan, session, options, threads, stage, staging)
            for scan in session.anchors
        ]
        stage(Stage.QUANTIFY, "")
        failed: tuple[str, ...] = ()
        maps, warnings = quantify_session(session, options, anchors[0].measured.brain_mask, staging)
        others, unread = other_contrasts(session, maps)
        warnings += unread
        scans = []
        for anchor in anchors:
            stage(Stage.ALIGN, f"to {anchor.measured.scan.path.name}")
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
        stage(Stage.REPORT, "")
        write_volumes(staging, session, scans)
        map_steps = [step for item in maps for step in item.steps]
        write_session_page(staging, session, scans, map_steps, stamp, warnings)
    return Outcome(
        name=session.name,
        status="done",
        reason=reason,
        stamp=stamp,
        outputs=tuple(sorted(staging.names)),
        warnings=warnings,
    )


def quantify_session(
    session: Session, options: Options, brain_mask: Volume, staging: Staging
) -> tuple[tuple[QuantitativeMap, ...], tuple[str, ...]]:
    """Compute and write R1 and its companions; say what could not be used, or limits them."""
    quantified = quantify(
        find_sources(session, options.folders),
        brain_mask,
        options,
        unprocessed_field_maps(session, options.folders.bids_dir),
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
        others.append(OtherContrast(scan.contrast, image, names.raw_uri(scan)))
    others += [
        OtherContrast(
            item.quantity,
            item.volume,
            names.uri(names.quantitative_map(item.name, item.quantity)),
        )
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
    for other in others:
        strategies, programs = STRATEGIES[other.contrast], []
        if FLIRT in all_programs(options):
            runner = runner_of(options.programs.images.get(FLIRT.name))
            limits = limits_of(FLIRT, options, threads)
            flirt = FlirtRuns(
                runner=runner,
                limits=limits,
                staging=staging,
                name=anchor.scan.name,
                contrast=other.contrast,
            )
            strategies, programs = flirt_strategies(other.contrast, flirt), flirt.programs
        found = align(grid, anchor.brain_mask, other.image, strategies)
        if found.chosen is None:
            warnings.append(
                f"{other.contrast} is left out: it could not be aligned to "
                f"{anchor.scan.path.name} ({found.reason})."
            )
            continue
        transform = found.chosen.transform
        image = Volume(resample(other.image, grid.grid.transformed(transform)), grid.affine)
        contrast = AlignedContrast(
            contrast=other.contrast,
            image=image,
            attempts=attempts_of(found),
            strategy=found.chosen.strategy,
            steps=steps_of_alignment(found.chosen.strategy),
            transform=transform,
            slice_thickness=float(other.image.voxel_size.max()),
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
    stage: Callable[[Stage, str], None],
    staging: Staging,
) -> tuple[MeasuredScan, dict[str, Volume], tuple[str, ...]]:
    """Segment the aligned contrasts with every method, fuse the masks, measure all of them.

    The images are handed on as they were segmented, the anchor first.
    """
    scan, image = anchor.measured.scan, anchor.measured.image
    measured = replace(anchor.measured, aligned=aligned)
    images, warnings = {scan.contrast: image}, []
    for item in aligned:
        try:
            images[item.contrast] = image_to_segment(item, anchor.measured, session, staging)
        except ValueError as error:
            warnings.append(f"{item.contrast} is not segmented: {error}.")
    methods = built_in(options.methods.names, flip_averaging=options.methods.flip_averaging)
    measurements = list(measured.measurements)
    for method, own in anchor.segmentations.items():
        found, unsegmented = segment_contrasts(images, method, methods[method], threads, stage)
        warnings += unsegmented
        for contrasts, thalami in found.items():
            thickness = measured.slice_thickness(contrasts)
            name = names.joint_contrast(contrasts)
            write_segmentation(staging, session, scan, method, contrasts, thalami, image.affine)
            measurements.append(Measurement.of(method, name, thalami, image, thickness))
        alone = {scan.contrast: own}
        alone |= {each[0]: thalami for each, thalami in found.items() if len(each) == 1}
        for ensemble in ensembles(tuple(alone), options.methods.ensembles):
            dseg, soft_volumes = fuse([alone[name] for name in ensemble.contrasts], ensemble.rule)
            fused = replace(
                own, dseg=dseg, soft_volumes=soft_volumes, confidence=np.nan, volume_error=np.nan
            )
            thickness = measured.slice_thickness(ensemble.contrasts)
            write_ensemble(staging, session, scan, method, ensemble, Volume(dseg, image.affine))
            measurements.append(Measurement.of(method, ensemble.name, fused, image, thickness))
    return replace(measured, measurements=tuple(measurements)), images, tuple(warnings)


def segment_contrasts(
    images: Mapping[str, Volume],
    method: str,
    segment: Method,
    threads: int,
    stage: Callable[[Stage, str], None],
) -> tuple[dict[tuple[str, ...], Segmentation], tuple[str, ...]]:
    """Segment each contrast but the anchor, then all that gave a mask at once if the method can."""
    anchor, *others = images
    found: dict[tuple[str, ...], Segmentation] = {}
    warnings = []
    for contrast in others:
        stage(Stage.SEGMENT, f"{contrast} with {method}")
        try:
            found[(contrast,)] = segment({contrast: images[contrast]}, threads)
        except BadDataError as error:
            warnings.append(f"{contrast} gives no mask by {method}: {error}")
    if method in JOINT_METHODS and found:
        together = (anchor, *(contrast for (contrast,) in found))
        stage(Stage.SEGMENT, f"{', '.join(together)} at once with {method}")
        try:
            found[together] = segment(
                {contrast: images[contrast] for contrast in together}, threads
            )
        except BadDataError as error:
            warnings.append(f"{', '.join(together)} give no mask by {method}: {error}")
    return found, tuple(warnings)


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
    stage: Callable[[Stage, str], None],
    staging: Staging,
) -> AnchorResult:
    """Conform one scan, segment it with every method, measure the masks, write the images.

    A scan that thalnet cannot segment fails; another method that fails is a warning.
    """
    stage(Stage.READ, f"{scan.path.name}")
    image = to_ras(read_volume(scan.path))
    write_image(staging, session, scan, image)
    segmentations: dict[str, Segmentation] = {}
    warnings = []
    methods = built_in(options.methods.names, flip_averaging=options.methods.flip_averaging)
    for method, segment in methods.items():
        stage(Stage.SEGMENT, f"{scan.contrast} with {method}")
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


def redraw_session(session: Session, options: Options) -> Outcome:
    """Build a session's page anew from its finished results."""
    output_dir = options.folders.output_dir
    scans = [read_measured_scan(output_dir, session, scan) for scan in session.anchors]
    record = read_record(output_dir, session.name)
    if record is None or record.stamp is None:
        raise MissingInputError(f"{session.name} has not been measured yet; run it first.")
    steps = read_steps(output_dir, session.folder)
    with staged(options.folders.output_dir, session.name) as staging:
        write_session_page(staging, session, scans, steps, record.stamp, record.warnings)
    return replace(record, reason="page redrawn")
