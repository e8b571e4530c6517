"""The common spaces of a subject's visits, and the contrasts in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bids_app.alignment.within_subject import align_within_subject, place_on_common_grid
from bids_app.derivatives import names
from bids_app.derivatives.longitudinal_outputs import write_within_subject
from bids_app.derivatives.readback import read_conformed
from bids_app.derivatives.verdicts import Fact, Reason
from bids_app.errors import BadDataError, BadImageError, MissingInputError
from bids_app.images.geometry import AffineArray
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.visits import VisitScan, sessions_by_contrast
from bids_app.run.outcome import Stage
from bids_app.segmentation.intensities import to_segment
from bids_app.segmentation.methods import segmenters
from bids_app.segmentation.result import Segmentation


@dataclass(frozen=True)
class SpacePlan:
    """Contrasts whose images share a space.

    Attributes
    ----------
    name : str
        Label of ``space-``.
    contrasts : tuple of str
        The one by which the scans are aligned, then all others.
    scans : tuple of VisitScan
        Those that have the first contrast.
    """

    name: str
    contrasts: tuple[str, ...]
    scans: tuple[VisitScan, ...]


Heads = Mapping[VisitScan, Segmentation]


class IncomparableError(BadDataError):
    """Not two sessions are left to compare.

    Attributes
    ----------
    refused : mapping of VisitScan to Fact
        Scans that cannot be compared, and why.
    """

    def __init__(self, message: str, refused: Mapping[VisitScan, Fact]) -> None:
        super().__init__(message)
        self.refused = refused


class MisfitError(BadImageError):
    """A scan was read but fits no other: it may show another head."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CommonSpace:
    """Scans of a subject's visits in the space half-way between them.

    Attributes
    ----------
    name : str
        Label of ``space-``.
    contrast : str
        By which they were aligned.
    scans : tuple of VisitScan
        Those that could be aligned.
    transforms : tuple of (4, 4) float64
        For each scan, from world coordinates of the common space to those of the scan.
    masks : tuple of Volume
        Brain masks on the grids of the scans.
    images : tuple of Volume
        Of that contrast, on the common grid.
    brains : mapping of VisitScan to Volume
        Brain masks on the common grid, by thalnet.
    refused : mapping of VisitScan to Fact
        Scans that could not be aligned, and why.
    """

    name: str
    contrast: str
    scans: tuple[VisitScan, ...]
    transforms: tuple[AffineArray, ...]
    masks: tuple[Volume, ...]
    images: tuple[Volume, ...]
    brains: Mapping[VisitScan, Volume]
    refused: Mapping[VisitScan, Fact]


def plan_spaces(scans: Sequence[VisitScan]) -> list[SpacePlan]:
    """Divide the contrasts that can be followed among common spaces.

    The visits are aligned by the contrast that most sessions have (the first in the order of
    ``bids_app.contrasts`` where two are as frequent). Contrasts of these sessions share the space;
    one that other sessions have, too, is aligned by itself.

    Parameters
    ----------
    scans : sequence of VisitScan

    Returns
    -------
    list of SpacePlan
        The shared one first.
    """
    sessions = sessions_by_contrast(scans)
    first = max(sessions, key=lambda contrast: len(sessions[contrast]))
    sharing = [name for name, labels in sessions.items() if labels <= sessions[first]]
    groups = {names.WITHIN_SUBJECT: (first, *(name for name in sharing if name != first))}
    for contrast in sessions:
        if contrast not in sharing:
            groups[names.WITHIN_SUBJECT + contrast] = (contrast,)
    return [
        SpacePlan(name, group, tuple(scan for scan in scans if group[0] in scan.contrasts))
        for name, group in groups.items()
    ]


def align_visits(plan: SpacePlan, context: SessionContext) -> tuple[CommonSpace, Heads]:
    """Move the scans of all visits half-way between one another, all but those that cannot be.

    Parameters
    ----------
    plan : SpacePlan
    context : SessionContext
        Gets a note for each scan that cannot.

    Returns
    -------
    space : CommonSpace
    heads : mapping of VisitScan to Segmentation
        Images of the first contrast, segmented by thalnet; as large as the images.

    Raises
    ------
    IncomparableError
        If not two sessions are left to compare, with all reasons.
    """
    scans, reasons = list(plan.scans), []
    refused: dict[VisitScan, Fact] = {}
    while True:
        try:
            context.progress(Stage.ALIGN, f"all {plan.contrasts[0]} scans")
            return _aligned(plan, scans, refused, context)
        except BadImageError as error:
            bad = scans.pop(error.index)
            is_misfit = isinstance(error, MisfitError)
            refused[bad] = Fact(Reason.NOT_ALIGNED if is_misfit else Reason.UNREADABLE)
            reasons.append(f"{bad.anchor.path.name} is not compared with the other visits: {error}")
            if not are_comparable(scans):
                message = f"{context.session.name}: {' '.join(reasons)}"
                raise IncomparableError(message, refused) from error
            context.notes.append(reasons[-1])


def are_comparable(scans: Iterable[VisitScan]) -> bool:
    """Whether scans are of two sessions or more."""
    return len({scan.session for scan in scans}) > 1


def _aligned(
    plan: SpacePlan,
    scans: Sequence[VisitScan],
    refused: Mapping[VisitScan, Fact],
    context: SessionContext,
) -> tuple[CommonSpace, Heads]:
    """Align the scans by one contrast, and segment their heads in the common space.

    Raises
    ------
    BadImageError
        If one of them cannot be read, or (MisfitError) be aligned.
    """
    contrast = plan.contrasts[0]
    images, masks = [], []
    for index, scan in enumerate(scans):
        try:
            image, mask = _read(scan, contrast, context)
        except (MissingInputError, BadDataError) as error:
            raise BadImageError(str(error), index) from error
        images.append(image)
        masks.append(mask)
    try:
        aligned = align_within_subject(images, masks, threads=context.threads)
    except BadImageError as error:
        files = ", ".join(scan.anchor.path.name for scan in scans)
        raise MisfitError(f"{error} Scans in order: {files}.", error.index) from error
    del images
    segment = segmenters(context.options.methods)["thalnet"]
    heads: dict[VisitScan, Segmentation] = {}
    for index, (scan, image, mask, transform) in enumerate(
        zip(scans, aligned.images, masks, aligned.transforms, strict=True)
    ):
        context.progress(Stage.SEGMENT, f"{scan.anchor.path.name}, {contrast} with thalnet")
        on_grid = resample(mask, image.grid.transformed(transform)) > 0.5
        try:
            heads[scan] = segment({contrast: to_segment(contrast, image, on_grid)}, context.threads)
        except BadDataError as error:
            raise BadImageError(f"{scan.anchor.path}, aligned: {error}", index) from error
    affine = aligned.images[0].affine
    space = CommonSpace(
        name=plan.name,
        contrast=contrast,
        scans=tuple(scans),
        transforms=aligned.transforms,
        masks=tuple(masks),
        images=aligned.images,
        brains={scan: Volume(head.brain_mask, affine) for scan, head in heads.items()},
        refused=dict(refused),
    )
    return space, heads


def place_contrasts(
    space: CommonSpace, plan: SpacePlan, context: SessionContext
) -> dict[str, dict[VisitScan, Volume]]:
    """Bring every contrast of a plan into its common space, and write the images.

    Parameters
    ----------
    space : CommonSpace
    plan : SpacePlan
    context : SessionContext
        Gets a note for each image that cannot be read.

    Returns
    -------
    dict of str to dict of VisitScan to Volume
        Images on the common grid by contrast and scan; of two sessions or more each.
    """
    first, *others = plan.contrasts
    placed = {first: dict(zip(space.scans, space.images, strict=True))}
    for contrast in others:
        images = _placed(space, contrast, context)
        if are_comparable(images):
            placed[contrast] = images
    transforms = dict(zip(space.scans, space.transforms, strict=True))
    for contrast, images in placed.items():
        for scan, image in images.items():
            write_within_subject(
                context.staging,
                scan.anchor,
                contrast,
                image,
                space=space.name,
                transform=transforms[scan],
            )
    return placed


def _placed(space: CommonSpace, contrast: str, context: SessionContext) -> dict[VisitScan, Volume]:
    """Bring the images of a contrast, which lie on the grids of the scans, into a common space."""
    images: dict[VisitScan, Volume] = {}
    for scan in space.scans:
        if contrast not in scan.contrasts:
            continue
        try:
            images[scan], _ = _read(scan, contrast, context)
        except (MissingInputError, BadDataError) as error:
            context.notes.append(
                f"{contrast} on {scan.anchor.path.name} is not compared with the other visits: "
                f"{error}"
            )
    if not images:
        return {}
    kept = [space.scans.index(scan) for scan in images]
    placed = place_on_common_grid(
        tuple(images.values()),
        [space.masks[index] for index in kept],
        [space.transforms[index] for index in kept],
        space.images[0].grid,
        threads=context.threads,
    )
    return dict(zip(images, placed, strict=True))


def _read(scan: VisitScan, contrast: str, context: SessionContext) -> tuple[Volume, Volume]:
    """Read a contrast of a scan, and the brain mask, on the grid of the scan."""
    return read_conformed(context.options.folders.output_dir, scan.anchor, contrast)
