"""Two visits of one head, measured as the participant stage does."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from bids_app.alignment.brain_change import percentage_change
from bids_app.alignment.scale import Scales, Source, relative_scales
from bids_app.alignment.within_subject import WithinSubject, align_within_subject
from bids_app.contrasts import CONTRASTS
from bids_app.errors import BadDataError
from bids_app.images.geometry import centroid
from bids_app.images.volume import Volume
from bids_app.segmentation.change import Change, Precision, change_between
from bids_app.segmentation.consistency import make_consistent
from bids_app.segmentation.intensities import to_segment
from bids_app.segmentation.method import Segment
from bids_app.segmentation.result import Head, Segmentation
from bids_app.segmentation.volumes import ThalamusVolumes, measure

Volumes = tuple[ThalamusVolumes, ThalamusVolumes]


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredPair:
    """Thalami of two visits.

    Attributes
    ----------
    contrast : str
    cross_sectional : (ThalamusVolumes, ThalamusVolumes)
        Each visit by itself.
    halfway : (ThalamusVolumes, ThalamusVolumes)
        In the half-way space, segmented separately.
    longitudinal : (ThalamusVolumes, ThalamusVolumes)
        In the half-way space, with one segmentation propagated to both.
    scales : Scales or None
        None if they cannot be found.
    correlation : float
        Pearson correlation of the aligned images within the brain.
    """

    contrast: str
    cross_sectional: Volumes
    halfway: Volumes
    longitudinal: Volumes
    scales: Scales | None
    correlation: float

    @property
    def scale(self) -> float:
        """Change of the scale of all volumes in percent; NaN if unknown."""
        return nan if self.scales is None else percentage_change(*self.scales.volumes.tolist())

    def change(self, longest_side: float) -> Change:
        """Complete the longitudinal change by its correction for scale and its interval.

        Parameters
        ----------
        longest_side : float
            Longest side of a voxel of the scan that the visits were simulated from, in mm.
        """
        error = CONTRASTS[self.contrast].change_error
        return change_between(
            soft_change(self.longitudinal),
            self.scale,
            is_scale_of_skull=self.scales is not None and self.scales.source is Source.SKULL,
            precision=Precision(error, longest_side, self.correlation),
        )


def soft_change(volumes: Volumes) -> float:
    """Compute the change of both thalami in percent, by summed probabilities."""
    first, later = volumes
    return percentage_change(first.total_soft_ml, later.total_soft_ml)


def segment_alone(image: Volume, contrast: str, segment: Segment, threads: int) -> Segmentation:
    """Segment an image of one contrast as ``--longitudinal`` does.

    The head around a map is that of the scan of its session; here the brain was extracted.

    Parameters
    ----------
    image : Volume
    contrast : str
    segment : Segment
        thalnet.
    threads : int
    """
    if not CONTRASTS[contrast].scaled:
        return segment({contrast: image}, threads)
    brain = (image.data != 0).astype(np.uint8)
    head = Head(
        brain_mask=brain,
        thalami=centroid(brain, image.affine),
        explained=1.0,
        brain_volume=nan,
        icv=nan,
        deep_grey_volume=nan,
        ventricle_volume=nan,
        truncated=False,
    )
    nothing = np.zeros((*brain.shape, 2), dtype=np.float32)
    alone = Segmentation(dseg=brain, probseg=nothing, brain_mask=brain, head=head)
    return segment({contrast: to_segment(contrast, image, brain != 0)}, threads, alone)


def measure_pair(
    first: Volume, second: Volume, contrast: str, segment: Segment, threads: int
) -> MeasuredPair:
    """Measure the thalami of two visits cross-sectionally and in the half-way space.

    Parameters
    ----------
    first, second : Volume
        (X, Y, Z), of one head.
    contrast : str
    segment : Segment
        thalnet.
    threads : int

    Returns
    -------
    MeasuredPair

    Raises
    ------
    BadDataError
        If no thalami are found in a visit, or the visits cannot be aligned.
    """
    scans = [first, second]
    separate = [segment_alone(image, contrast, segment, threads) for image in scans]
    masks = [
        Volume(result.brain_mask, image.affine)
        for result, image in zip(separate, scans, strict=True)
    ]
    aligned = align_within_subject(scans, masks, threads=threads)
    halfway = [segment_alone(image, contrast, segment, threads) for image in aligned.images]
    together = make_consistent(halfway, [aligned.images], threads=threads)
    side = aligned.images[0].voxel_volume
    return MeasuredPair(
        contrast=contrast,
        cross_sectional=(
            measure(separate[0], first.voxel_volume),
            measure(separate[1], second.voxel_volume),
        ),
        halfway=(measure(halfway[0], side), measure(halfway[1], side)),
        longitudinal=(measure(together[0], side), measure(together[1], side)),
        scales=_scales(aligned, halfway),
        correlation=min(aligned.correlations),
    )


def _scales(aligned: WithinSubject, heads: list[Segmentation]) -> Scales | None:
    affine = aligned.images[0].affine
    try:
        return relative_scales(aligned.images, [Volume(each.brain_mask, affine) for each in heads])
    except BadDataError:
        return None
