"""Thalami of a subject's visits: contrasts, all contrasts at once, and ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bids_app.contrasts import suffixes
from bids_app.derivatives import names
from bids_app.derivatives.readback import read_edited
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.options import Rule
from bids_app.participant.context import SessionContext
from bids_app.participant.follow_up.space import (
    CommonSpace,
    Heads,
    are_comparable,
)
from bids_app.participant.follow_up.visits import VisitScan
from bids_app.run.outcome import Stage
from bids_app.segmentation.consistency import make_consistent
from bids_app.segmentation.fusion import ensembles, fuse
from bids_app.segmentation.intensities import to_segment
from bids_app.segmentation.labels import labels_of
from bids_app.segmentation.methods import built_in, segmenters
from bids_app.segmentation.result import Segmentation, Thalami, labels_alone
from bids_app.segmentation.sides import LEFT, RIGHT

# Images on the common grid, by contrast and scan.
Placed = Mapping[str, Mapping[VisitScan, Volume]]


@dataclass(frozen=True, eq=False)
class Followed:
    """Thalami of all visits by one method, on one contrast or several.

    Attributes
    ----------
    method : str
        Without the ending of longitudinal methods.
    name : str
        Contrast, contrasts that were segmented at once, or ensemble, as in tables.
    contrasts : tuple of str
    thalami : mapping of VisitScan to Thalami
        On the grid of the common space, of two sessions or more.
    """

    method: str
    name: str
    contrasts: tuple[str, ...]
    thalami: Mapping[VisitScan, Thalami]


def follow_contrasts(
    space: CommonSpace, heads: Heads, images: Placed, context: SessionContext
) -> list[Followed]:
    """Segment every contrast with every built-in method, then all at once; fuse the masks.

    Parameters
    ----------
    space : CommonSpace
    heads : mapping of VisitScan to Segmentation
        As `bids_app.participant.follow_up.space.align_visits` gives them.
    images : mapping of str to mapping of VisitScan to Volume
        As `bids_app.participant.follow_up.space.place_contrasts` gives them.
    context : SessionContext
        Gets a note for each image that gives no mask.

    Returns
    -------
    list of Followed
    """
    followed: list[Followed] = []
    options = context.options.methods
    for method in segmenters(options):
        single = {}
        for contrast in (name for name in suffixes() if name in images):
            result = _followed(space, heads, method, (contrast,), images, context)
            if result is not None:
                single[contrast] = result
        together = _segmented_at_once(single) if built_in(method).joint else ()
        joint = _followed(space, heads, method, together, images, context) if together else None
        followed += [*single.values(), *([joint] if joint else [])]
        followed += _fused(method, single, options.ensembles)
    return followed


def _segmented_at_once(followed: Mapping[str, Followed]) -> tuple[str, ...]:
    """Choose the contrasts that are segmented at once: those that most visits have in common.

    If two sets are as frequent, the larger one.
    """
    of_scan: dict[VisitScan, tuple[str, ...]] = {}
    for name in (name for name in suffixes() if name in followed):
        for scan in followed[name].thalami:
            of_scan[scan] = (*of_scan.get(scan, ()), name)

    def rank(contrasts: tuple[str, ...]) -> tuple[int, int]:
        having = {scan.session for scan, names in of_scan.items() if set(contrasts) <= set(names)}
        return len(having), len(contrasts)

    candidates = [
        names for names in dict.fromkeys(of_scan.values()) if len(names) > 1 and rank(names)[0] > 1
    ]
    return max(candidates, key=rank, default=())


def _followed(
    space: CommonSpace,
    heads: Heads,
    method: str,
    contrasts: tuple[str, ...],
    images: Placed,
    context: SessionContext,
) -> Followed | None:
    """Segment the visits in one contrast or several at once, and propagate the mean.

    Returns
    -------
    Followed or None
        None if not two sessions give a mask.
    """
    name = names.joint_contrast(contrasts)
    segment = segmenters(context.options.methods)[method]
    segmented: dict[VisitScan, Segmentation] = {}
    for scan in space.scans:
        channels = {each: images[each][scan] for each in contrasts if scan in images[each]}
        if len(channels) < len(contrasts):
            continue
        context.progress(Stage.SEGMENT, f"{scan.anchor.path.name}, {name} with {method}")
        try:
            if method == "thalnet" and len(contrasts) == 1:
                edited = _edited(space, heads[scan], scan, contrasts[0], context)
                if edited is not None or contrasts == (space.contrast,):
                    segmented[scan] = edited or heads[scan]
                    continue
            brain = space.brains[scan].data != 0
            scaled = {each: to_segment(each, image, brain) for each, image in channels.items()}
            segmented[scan] = segment(scaled, context.threads, heads[scan])
        except (MissingInputError, BadDataError) as error:
            context.notes.append(
                f"{name} of {scan.session} gives no longitudinal mask by {method}: {error}"
            )
    if not are_comparable(segmented):
        return None
    context.progress(Stage.PROPAGATE, f"the segmentation by {method} on {name} to all scans")
    channels_of_visits = [[images[each][scan] for scan in segmented] for each in contrasts]
    consistent = make_consistent(
        list(segmented.values()), channels_of_visits, threads=context.threads
    )
    thalami: dict[VisitScan, Thalami] = dict(zip(segmented, consistent, strict=True))
    if "mean" not in context.options.methods.ensembles:
        thalami = {scan: labels_alone(each) for scan, each in thalami.items()}
    return Followed(method, name, contrasts, thalami)


def _edited(
    space: CommonSpace,
    head: Segmentation,
    scan: VisitScan,
    contrast: str,
    context: SessionContext,
) -> Segmentation | None:
    """Bring the mask of a contrast into the common space if it was corrected by hand."""
    index = space.scans.index(scan)
    output_dir = context.options.folders.output_dir
    labels = read_edited(output_dir, scan.anchor, contrast, space.masks[index])
    if labels is None:
        return None
    image = space.images[index]
    grid = image.grid.transformed(space.transforms[index])
    sides = [
        resample(Volume((labels.data == side).astype(np.float32), labels.affine), grid)
        for side in (LEFT, RIGHT)
    ]
    probseg = np.stack(sides, -1)
    context.notes.append(
        f"{contrast} of {scan.session} is followed by the mask that was corrected by hand."
    )
    return replace(
        head,
        dseg=labels_of(probseg),
        probseg=probseg,
        soft_volumes=probseg.sum((0, 1, 2), dtype=np.float64) * image.voxel_volume,
    )


def _fused(method: str, followed: Mapping[str, Followed], rules: Sequence[Rule]) -> list[Followed]:
    """Fuse the longitudinal masks of several contrasts of each visit."""
    result = []
    for ensemble in ensembles(tuple(followed), rules):
        members = [followed[contrast].thalami for contrast in ensemble.contrasts]
        scans = [scan for scan in members[0] if all(scan in each for each in members)]
        if not are_comparable(scans):
            continue
        thalami = {
            scan: fuse([each[scan] for each in members], ensemble.rule, members[0][scan])
            for scan in scans
        }
        result.append(Followed(method, ensemble.name, ensemble.contrasts, thalami))
    return result
