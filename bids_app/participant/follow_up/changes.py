"""Changes between the visits of a subject: of the thalami on every contrast, and of the brain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import isnan, nan

import numpy as np

from bids_app.alignment.brain_change import parenchyma_volumes, percentage_change
from bids_app.alignment.scale import Source, relative_scales
from bids_app.contrasts import CONTRASTS
from bids_app.dataset.index import choose_scan
from bids_app.dataset.names import natural
from bids_app.derivatives import names
from bids_app.derivatives.changes import BrainChange, ThalamusChange
from bids_app.derivatives.verdicts import Fact, Verdict, in_words
from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.options import Folders
from bids_app.participant.follow_up.acquisition import (
    NO_AGENT,
    Acquisition,
    is_copy,
    read_acquisition,
)
from bids_app.participant.follow_up.differences import Judgement, Pair, judge
from bids_app.participant.follow_up.segmentations import Followed, Placed
from bids_app.participant.follow_up.space import CommonSpace, SpacePlan, are_comparable
from bids_app.participant.follow_up.visits import VisitScan
from bids_app.segmentation.change import Change, Precision, change_between
from bids_app.segmentation.volumes import ThalamusVolumes

# Voxel size (mm) at which aligned images are compared; noise of finer ones would hide the fit.
_COMPARED_MM = 2.0
Scans = tuple[VisitScan, VisitScan]


@dataclass(frozen=True)
class Scale:
    """Volume of the same geometry in a scan, relative to others.

    Attributes
    ----------
    volume : float
        Their geometric mean is 1.
    error : float
        Standard error.
    of_skull : bool
        Whether it was found from the skull.
    """

    volume: float
    error: float
    of_skull: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """How the images of a subject's visits compare, in one common space.

    Attributes
    ----------
    acquisitions : mapping of str to mapping of VisitScan to Acquisition
        By contrast and scan.
    pairs : mapping of str to mapping of (VisitScan, VisitScan) to Pair
        By contrast, and by the scans of every two visits, the earlier one first.
    scales : mapping of VisitScan to Scale
        Empty if they cannot be found.
    """

    acquisitions: Mapping[str, Mapping[VisitScan, Acquisition]]
    pairs: Mapping[str, Mapping[Scans, Pair]]
    scales: Mapping[VisitScan, Scale]

    @property
    def acquired(self) -> list[Acquisition]:
        """How all images were acquired, contrast by contrast."""
        return [each for scans in self.acquisitions.values() for each in scans.values()]

    @property
    def corrects_scale(self) -> bool:
        """Whether changes are corrected for scale: it was found from the skull."""
        return bool(self.scales) and all(each.of_skull for each in self.scales.values())

    def scale(self, scans: Scans) -> Scale:
        """Return the scale of the later scan relative to the earlier one, less 1, in percent.

        Scales are relative to the mean of all: for two visits their errors are opposite, and add
        up. Unknown scales are NaN.
        """
        if not self.scales:
            return Scale(nan, nan, of_skull=False)
        first, later = (self.scales[scan] for scan in scans)
        return Scale(
            percentage_change(first.volume, later.volume),
            100 * (first.error + later.error),
            first.of_skull,
        )

    def complete(self, change: float, scans: Scans, contrasts: Iterable[str]) -> Change:
        """Complete the change of a volume (%) between two scans by scale and interval."""
        pairs = self.between(scans, contrasts)
        scale = self.scale(scans)
        return change_between(
            change,
            scale.volume,
            is_scale_of_skull=scale.of_skull,
            # The worst of what the change is measured on.
            precision=Precision(
                max(CONTRASTS[pair.contrast].change_error for pair in pairs),
                max(each.slice_thickness for pair in pairs for each in (pair.first, pair.later)),
                min(pair.correlation for pair in pairs if pair.correlation is not None),
            ),
        )

    def contrast_agents(self, scan: VisitScan, contrasts: Iterable[str]) -> str | None:
        """Return the contrast agents of the images of some contrasts; None without."""
        agents = {self.acquisitions[contrast][scan].contrast_agent for contrast in contrasts}
        return "+".join(sorted(agents - {NO_AGENT})) or None

    def between(self, scans: Scans, contrasts: Iterable[str]) -> list[Pair]:
        """Return the pairs of two scans in some contrasts."""
        return [self.pairs[contrast][scans] for contrast in contrasts]


def compare_visits(space: CommonSpace, images: Placed, folders: Folders) -> Comparison:
    """Read how all images were acquired, how well they fit, and in which scale they show a head."""
    acquisitions = {
        contrast: {scan: read_acquisition(scan, contrast, folders) for scan in of_contrast}
        for contrast, of_contrast in images.items()
    }
    pairs = {}
    for contrast, of_contrast in images.items():
        acquired = acquisitions[contrast]
        correlation = _correlations(of_contrast, space.brains)
        pairs[contrast] = {
            (first, later): Pair(
                contrast=contrast,
                first=acquired[first],
                later=acquired[later],
                correlation=correlation[first, later],
                is_copy=is_copy(acquired[first], acquired[later]),
            )
            for first, later in combinations(of_contrast, 2)
        }
    return Comparison(acquisitions, pairs, _scales(space))


def _scales(space: CommonSpace) -> dict[VisitScan, Scale]:
    """Find the scales of all scans by the contrast by which they were aligned."""
    try:
        scales = relative_scales(space.images, [space.brains[scan] for scan in space.scans])
    except BadDataError:
        return {}
    of_skull = scales.source is Source.SKULL
    return {
        scan: Scale(volume, error, of_skull)
        for scan, volume, error in zip(
            space.scans, scales.volumes.tolist(), scales.standard_errors.tolist(), strict=True
        )
    }


def _correlations(
    images: Mapping[VisitScan, Volume], brains: Mapping[VisitScan, Volume]
) -> dict[Scans, float]:
    """Correlate every two images within the brain that all scans share."""
    first = next(iter(images.values()))
    corners = first.grid.corners()
    grid = Grid.covering(corners.min(1), corners.max(1), _COMPARED_MM)
    brain = np.min([resample(brains[scan], grid) for scan in images], axis=0) > 0.5
    values = {scan: resample(image, grid)[brain] for scan, image in images.items()}
    return {
        (one, other): float(np.corrcoef(values[one], values[other])[0, 1])
        for one, other in combinations(images, 2)
    }


def thalamus_changes(
    subject: str,
    followed: Followed,
    volumes: Mapping[VisitScan, ThalamusVolumes],
    comparison: Comparison,
) -> Iterator[ThalamusChange]:
    """Compare the first visit with each later one, and each with the one before.

    Parameters
    ----------
    subject : str
        Label without ``sub-``.
    followed : Followed
    volumes : mapping of VisitScan to ThalamusVolumes
    comparison : Comparison
    """
    for first, later in pairs_of_visits(list(volumes)):
        judgement = judge(comparison.between((first, later), followed.contrasts), "thalamus")
        left, right, total = (
            comparison.complete(change, (first, later), followed.contrasts)
            for change in _percentages(volumes[first], volumes[later])
        )
        scale = comparison.scale((first, later))
        change = ThalamusChange(
            participant_id=f"sub-{subject}",
            from_session=first.session,
            to_session=later.session,
            from_scan=names.row_name(first.anchor),
            to_scan=names.row_name(later.anchor),
            method=followed.method + names.LONGITUDINAL,
            contrast=followed.name,
            left_change=round(left.percent, 4),
            right_change=round(right.percent, 4),
            total_change=round(total.percent, 4),
            total_change_raw=round(total.raw, 4),
            total_change_scaled=round(total.scaled, 4),
            scale=round(scale.volume, 4),
            scale_error=round(scale.error, 4),
            change_low=round(total.low, 4),
            change_high=round(total.high, 4),
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            differences=in_words(judgement.differences),
        )
        yield change if judgement.is_measurable else change.without_values()


def refused_changes(
    subject: str, plan: SpacePlan, refused: Mapping[VisitScan, Fact], methods: Iterable[str]
) -> list[ThalamusChange]:
    """State that changes from or to visits that could not be aligned are not measurable.

    Parameters
    ----------
    subject : str
        Label without ``sub-``.
    plan : SpacePlan
    refused : mapping of VisitScan to Fact
        Scans that could not be aligned, and why.
    methods : iterable of str
    """
    kept = {scan.session for scan in plan.scans if scan not in refused}
    changes = []
    for contrast in plan.contrasts:
        scans = [scan for scan in plan.scans if contrast in scan.contrasts]
        for first, later in pairs_of_visits(scans) if are_comparable(scans) else ():
            absent = [scan for scan in (first, later) if scan.session not in kept]
            changes += [
                ThalamusChange(
                    participant_id=f"sub-{subject}",
                    from_session=first.session,
                    to_session=later.session,
                    from_scan=names.row_name(first.anchor),
                    to_scan=names.row_name(later.anchor),
                    method=method + names.LONGITUDINAL,
                    contrast=contrast,
                    verdict=Verdict.NOT_MEASURABLE,
                    reasons=tuple(dict.fromkeys(refused[scan] for scan in absent)),
                )
                for method in methods
                if absent
            ]
    return changes


def refused_brain_changes(
    plan: SpacePlan, refused: Mapping[VisitScan, Fact]
) -> dict[tuple[str, str], BrainChange]:
    """State the same of the brain volume changes."""
    kept = {scan.session for scan in plan.scans if scan not in refused}
    facts = {scan.session: fact for scan, fact in refused.items() if scan.session not in kept}
    return {
        (first, later): BrainChange(
            nan,
            Verdict.NOT_MEASURABLE,
            tuple(dict.fromkeys(facts[each] for each in (first, later) if each in facts)),
        )
        for first, later in combinations(_visits(plan.scans), 2)
        if facts.keys() & {first, later}
    }


def _percentages(first: ThalamusVolumes, later: ThalamusVolumes) -> tuple[float, float, float]:
    """Compute the changes of the left, right and both thalami in percent of the earlier visit.

    By summed probabilities; fused masks have none.
    """
    pairs = (
        (first.left_soft_ml, later.left_soft_ml, first.left_ml, later.left_ml),
        (first.right_soft_ml, later.right_soft_ml, first.right_ml, later.right_ml),
        (first.total_soft_ml, later.total_soft_ml, first.total_ml, later.total_ml),
    )
    left, right, total = (
        _percentage(*voxels) if isnan(soft) else _percentage(soft, soft_later)
        for soft, soft_later, *voxels in pairs
    )
    return left, right, total


def _percentage(first: float, later: float) -> float:
    return percentage_change(first, later) if first > 0 else nan


def pairs_of_visits(scans: Sequence[VisitScan]) -> list[Scans]:
    """Pair the first visit with each later one, and each with the one before.

    Parameters
    ----------
    scans : sequence of VisitScan
        From two sessions or more; among repeat scans, `bids_app.dataset.choice` chooses.
    """
    visits = _visits(scans)
    first, *later = [_preferred(of_session) for of_session in visits.values()]
    return [*((first, each) for each in later), *pairwise(later)]


def _visits(scans: Iterable[VisitScan]) -> dict[str, list[VisitScan]]:
    """Sort scans by session, in the order of its labels."""
    visits: dict[str, list[VisitScan]] = {}
    for scan in sorted(scans, key=lambda scan: natural(scan.session)):
        visits.setdefault(scan.session, []).append(scan)
    return visits


def _preferred(scans: Sequence[VisitScan]) -> VisitScan:
    anchors = {scan.anchor: scan for scan in scans}
    return anchors[choose_scan(anchors, "repeat scans").chosen]


def brain_changes(
    space: CommonSpace, images: Placed, comparison: Comparison, *, threads: int
) -> dict[tuple[str, str], BrainChange]:
    """Measure the brain volume change between every two visits where that is possible.

    Repeat scans of a session are averaged.

    Parameters
    ----------
    space : CommonSpace
    images : mapping of str to mapping of VisitScan to Volume
    comparison : Comparison
    threads : int

    Returns
    -------
    dict of (str, str) to BrainChange
        By earlier and later session.
    """
    # The first in which fluid is dark; if there is none, the rule for bright fluid applies.
    contrast = min(images, key=lambda name: CONTRASTS[name].bright_fluid)
    visits = _visits(images[contrast])
    judgements = {
        (first, later): _worst(
            judge(comparison.between((one, other), (contrast,)), "brain")
            for one in visits[first]
            for other in visits[later]
        )
        for first, later in combinations(visits, 2)
    }
    volumes: dict[str, float] = {}
    if any(each.is_measurable for each in judgements.values()):
        scans = list(images[contrast])
        measured = parenchyma_volumes(
            list(images[contrast].values()),
            [space.brains[scan] for scan in scans],
            threads=threads,
        )
        of_scan = {
            scan: volume / (comparison.scales[scan].volume if comparison.corrects_scale else 1)
            for scan, volume in zip(scans, measured.tolist(), strict=True)
        }
        volumes = {
            session: sum(of_scan[scan] for scan in of_session) / len(of_session)
            for session, of_session in visits.items()
        }
    return {
        (first, later): BrainChange(
            percentage_change(volumes[first], volumes[later]) if judgement.is_measurable else nan,
            judgement.verdict,
            judgement.reasons,
        )
        for (first, later), judgement in judgements.items()
    }


def _worst(judgements: Iterable[Judgement]) -> Judgement:
    return max(judgements, key=lambda each: list(Verdict).index(each.verdict))
