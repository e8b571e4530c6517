"""The segmentation step: anchors and aligned contrasts by the built-in methods, and ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.images import read_scan
from bids_app.dataset.index import Scan
from bids_app.dataset.notes import reasons_to_review
from bids_app.derivatives import names
from bids_app.derivatives.outputs import (
    write_brain_mask,
    write_ensemble,
    write_image,
    write_scaled,
    write_segmentation,
)
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, Measurement
from bids_app.errors import BadDataError, MissingInputError, ThalbidsError
from bids_app.images.intensity import scaled_in_mask
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Rule
from bids_app.participant.context import SessionContext
from bids_app.participant.map_anchor import read_map_anchor
from bids_app.participant.stamp import scanner_of
from bids_app.run.outcome import Stage
from bids_app.segmentation.fusion import ensembles, fuse
from bids_app.segmentation.method import Segment
from bids_app.segmentation.methods import built_in, segmenters
from bids_app.segmentation.result import Segmentation, Thalami, labels_alone


@dataclass(frozen=True, eq=False)
class SegmentedAnchor:
    """An anchor, and its segmentations by method."""

    measured: MeasuredScan
    segmentations: Mapping[str, Segmentation]


def segment_anchors(context: SessionContext) -> list[SegmentedAnchor]:
    """Segment every scan of the session that can be measured, with every built-in method.

    Parameters
    ----------
    context : SessionContext
        Gets a note for each scan that cannot.

    Returns
    -------
    list of SegmentedAnchor
        At least one.

    Raises
    ------
    MissingInputError, BadDataError
        If no scan can be measured, with the reasons of all.
    """
    anchors: list[SegmentedAnchor] = []
    errors: list[ThalbidsError] = []
    for scan in context.session.anchors:
        try:
            anchors.append(segment_anchor(scan, context))
        except (MissingInputError, BadDataError) as error:
            errors.append(error)
            note = f"{scan.path.name} is not measured, the session's other scans are: {error}"
            context.notes.append(note)
            context.account_for(scan, "it cannot be measured, another scan of its session can")
        else:
            context.account_for(scan)
    if not anchors:
        first, *more = errors
        raise type(first)(" ".join(map(str, errors))) if more else first
    return anchors


def segment_anchor(scan: Scan, context: SessionContext) -> SegmentedAnchor:
    """Read one scan, segment it with every built-in method, measure the masks, write the images.

    Parameters
    ----------
    scan : Scan
    context : SessionContext
        Gets a note for each method but thalnet that gives no mask.

    Returns
    -------
    SegmentedAnchor

    Raises
    ------
    ThalbidsError
        If the scan cannot be read, or thalnet finds no thalami in it.
    """
    staging = context.staging
    context.progress(Stage.READ, scan.path.name)
    if scan.is_map:
        read = read_map_anchor(scan, context.session, context.options)
    else:
        read = read_scan(scan.path)
    context.notes.extend(note.text for note in read.notes)
    reasons = reasons_to_review(read.notes)
    image = to_ras(read.volume)
    segmentations: dict[str, Segmentation] = {}
    for method, segment in segmenters(context.options.methods).items():
        context.progress(Stage.SEGMENT, f"{scan.contrast} with {method}")
        try:
            segmentation = segment({scan.contrast: image}, context.threads)
        except BadDataError as error:
            # Without thalnet's brain mask nothing can follow.
            if not segmentations:
                remedy = CONTRASTS[scan.contrast].remedy
                text = f"{str(error).rstrip('.')}. {remedy}" if remedy else error
                raise BadDataError(f"{scan.path}: {text}") from error
            context.notes.append(f"{scan.path.name} gives no mask by {method}: {error}")
            continue
        write_segmentation(staging, scan, method, (scan.contrast,), segmentation, image.affine)
        segmentations[method] = segmentation
    write_image(staging, scan, image)
    if segmentations["thalnet"].truncated:
        context.notes.append(
            f"{scan.path.name} cuts the brain: brain volume and ICV are n/a, and so is all that is "
            "related to them."
        )
    brain_mask = Volume(segmentations["thalnet"].brain_mask, image.affine)
    write_brain_mask(staging, scan, brain_mask)
    thickness = float(image.voxel_size.max())
    measurements = tuple(
        Measurement.of(method, scan.contrast, segmentation, image, thickness, reasons)
        for method, segmentation in segmentations.items()
    )
    measured = MeasuredScan(
        scan=scan,
        image=image,
        brain_mask=brain_mask,
        measurements=measurements,
        reasons=reasons,
        scanner=scanner_of(scan, context.options.folders),
    )
    return SegmentedAnchor(measured, segmentations)


def images_to_segment(anchor: MeasuredScan, context: SessionContext) -> dict[str, Volume]:
    """Collect what the methods are applied to: the anchor first, then its aligned contrasts.

    Parameters
    ----------
    anchor : MeasuredScan
    context : SessionContext
        Gets a note for each contrast that cannot be segmented.

    Returns
    -------
    dict of str to Volume
        All on the anchor's grid.
    """
    images = {anchor.scan.contrast: anchor.image}
    for aligned in anchor.aligned:
        try:
            images[aligned.contrast] = _intensities(aligned, anchor, context)
        except ValueError as error:
            context.notes.append(f"{aligned.contrast} is not segmented: {error}.")
    return images


def _intensities(aligned: AlignedContrast, anchor: MeasuredScan, context: SessionContext) -> Volume:
    """Scale the intensities where the contrast needs it, and write the scaled image."""
    if not CONTRASTS[aligned.contrast].scaled:
        return aligned.image
    scaled = scaled_in_mask(aligned.image.data, anchor.brain_mask.data != 0)
    image = Volume(scaled, aligned.image.affine)
    write_scaled(context.staging, anchor.scan, aligned.contrast, image)
    return image


def measure_contrasts(
    anchor: SegmentedAnchor, images: Mapping[str, Volume], context: SessionContext
) -> list[Measurement]:
    """Segment the aligned contrasts with every built-in method, fuse the masks, measure all.

    Parameters
    ----------
    anchor : SegmentedAnchor
    images : mapping of str to Volume
        As `images_to_segment` gives them.
    context : SessionContext

    Returns
    -------
    list of Measurement
        Contrasts and ensembles, without those of the anchor itself.
    """
    measured = anchor.measured
    segmenter = segmenters(context.options.methods)
    measurements: list[Measurement] = []
    for method, segmentation in anchor.segmentations.items():
        segmentations = {(measured.scan.contrast,): segmentation}
        others = _segment_contrasts(method, segmenter[method], images, anchor, context)
        for contrasts, thalami in others.items():
            thickness = measured.slice_thickness(contrasts)
            name = names.joint_contrast(contrasts)
            measurements.append(
                Measurement.of(method, name, thalami, measured.image, thickness, measured.reasons)
            )
        single = {
            contrasts[0]: thalami
            for contrasts, thalami in (segmentations | others).items()
            if len(contrasts) == 1
        }
        rules = context.options.methods.ensembles
        measurements += fuse_and_measure(measured, method, single, rules, context)
    return measurements


def _segment_contrasts(
    method: str,
    segment: Segment,
    images: Mapping[str, Volume],
    anchor: SegmentedAnchor,
    context: SessionContext,
) -> dict[tuple[str, ...], Thalami]:
    """Segment each contrast but the anchor, then all that gave a mask at once; write the masks.

    Returns
    -------
    dict of tuple of str to Thalami
        By contrasts; with probabilities only where an ensemble needs them.
    """
    measured = anchor.measured
    first, *others = images
    segmentations: dict[tuple[str, ...], Thalami] = {}

    def attempt(contrasts: tuple[str, ...], how: str, verb: str) -> None:
        """Segment contrasts and write their masks, or note why there are none."""
        context.progress(Stage.SEGMENT, f"{', '.join(contrasts)}{how} with {method}")
        try:
            chosen = {contrast: images[contrast] for contrast in contrasts}
            segmented = segment(chosen, context.threads, anchor.segmentations[method])
        except BadDataError as error:
            context.notes.append(f"{', '.join(contrasts)} {verb} no mask by {method}: {error}")
            return
        write_segmentation(
            context.staging, measured.scan, method, contrasts, segmented, measured.image.affine
        )
        kept = "mean" in context.options.methods.ensembles
        segmentations[contrasts] = segmented if kept else labels_alone(segmented)

    for contrast in others:
        attempt((contrast,), "", "gives")
    if built_in(method).joint and segmentations:
        attempt((first, *(name for (name,) in segmentations)), " at once", "give")
    return segmentations


def fuse_and_measure(
    anchor: MeasuredScan,
    method: str,
    segmentations: Mapping[str, Thalami],
    rules: Sequence[Rule],
    context: SessionContext,
) -> list[Measurement]:
    """Fuse the masks of one method on several contrasts, write and measure the ensembles.

    Parameters
    ----------
    anchor : MeasuredScan
    method : str
    segmentations : mapping of str to Thalami
        By contrast, the anchor first if it has a mask. Brain and intracranial volume of an
        ensemble are those of the first.
    rules : sequence of {'union', 'majority', 'mean', 'staple'}
    context : SessionContext

    Returns
    -------
    list of Measurement
    """
    measurements = []
    for ensemble in ensembles(tuple(segmentations), rules):
        members = [segmentations[contrast] for contrast in ensemble.contrasts]
        fused = fuse(members, ensemble.rule, next(iter(segmentations.values())))
        labels = Volume(fused.dseg, anchor.image.affine)
        write_ensemble(context.staging, anchor.scan, method, ensemble, labels)
        thickness = anchor.slice_thickness(ensemble.contrasts)
        measurements.append(
            Measurement.of(method, ensemble.name, fused, anchor.image, thickness, anchor.reasons)
        )
    return measurements
