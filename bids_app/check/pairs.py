"""Pairs of visits simulated from a scan, with known losses, and how they are measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bids_app.check.measure import measure_pair, segment_alone, soft_change
from bids_app.check.sources import Source
from bids_app.contrasts import CONTRASTS
from bids_app.dataset.images import read_scan
from bids_app.derivatives.readback import read_conformed
from bids_app.errors import BadDataError
from bids_app.images.geometry import bounding_box, widened
from bids_app.images.volume import Volume, to_ras
from bids_app.options import Methods
from bids_app.segmentation.methods import segmenters
from bids_app.simulation.visits import (
    HARD,
    Head,
    noise_of,
    prepare,
    strength_of,
    true_volume,
    visit,
    with_lesion,
)

# Losses of thalamic volume in percent.
LOSSES = (0.5, 1.0, 2.0, 5.0)
# Thicker slices (mm) hold too little detail for losses that are a fraction of a voxel.
THICKEST = 2.0
# Around the brain, so that skull and scalp stay in view at every position (mm).
_AROUND = 30.0
# Intensity of a new lesion relative to the tissue around it, by the channel of the network.
_LESIONS = {"T1w": 0.7, "R1map": 0.7, "FLAIR": 1.4, "T2w": 1.4}


@dataclass(frozen=True)
class Prepared:
    """A scan ready for the simulation of visits.

    Attributes
    ----------
    source : Source
    head : Head
    noise : float
        SD, relative to the mean of the head.
    longest_side : float
        Longest side of a voxel in mm.
    """

    source: Source
    head: Head
    noise: float
    longest_side: float


def prepare_source(
    source: Source, output_dir: Path, methods: Methods, threads: int = 1
) -> Prepared:
    """Read a scan, segment it, and prepare its head for simulated visits.

    Parameters
    ----------
    source : Source
    output_dir : Path
    methods : Methods
    threads : int

    Returns
    -------
    Prepared

    Raises
    ------
    MissingInputError, BadDataError
        If it cannot be read, cuts the brain, has thick slices, or shows no fluid around thalami.
    """
    image = _read(source, output_dir)
    longest = float(image.voxel_size.max())
    if longest > THICKEST:
        raise BadDataError(
            f"{source.path} has voxels of {longest:.1f} mm: the check needs {THICKEST:g} mm or "
            "less, since a loss of 0.5 % is a small share of a voxel. Choose scans of thinner "
            "slices with --bids-filter-file."
        )
    segment = segmenters(methods)["thalnet"]
    try:
        result = segment_alone(image, source.contrast, segment, threads)
    except BadDataError as error:
        raise BadDataError(f"{source.path}: {error}") from error
    if result.truncated:
        raise BadDataError(
            f"{source.path} cuts the brain: the check needs a scan that shows all of it, since "
            "simulated visits differ in position."
        )
    box = bounding_box(result.brain_mask)
    margins = [int(_AROUND / side) for side in image.voxel_size]
    part = widened(box, margins, image.data.shape)
    thalami, brain = (
        Volume(mask, image.affine).crop(part) for mask in (result.dseg, result.brain_mask)
    )
    try:
        head = prepare(
            image.crop(part),
            thalami,
            brain,
            bright_fluid=CONTRASTS[source.contrast].bright_fluid,
        )
    except ValueError as error:
        raise BadDataError(f"{source.path} cannot be checked: {error}.") from error
    return Prepared(source, head, noise_of(image.crop(part), result.brain_mask[part] > 0), longest)


def _read(source: Source, output_dir: Path) -> Volume:
    """Read an image in RAS order; a map within the brain only."""
    if not source.is_map:
        return to_ras(read_scan(source.path).volume)
    image, brain = read_conformed(output_dir, source.anchor, source.contrast)
    inside = np.where(brain.data != 0, image.data, 0).astype(np.float32)
    return Volume(inside, image.affine)


def measure_loss(
    prepared: Prepared, loss: float, methods: Methods, threads: int = 1
) -> dict[str, float]:
    """Simulate a visit before and one after a loss, and measure the change.

    Both visits differ in position, scale, gradient nonlinearity, contrast, bias field,
    sensitivity, resolution and noise; the later one has a new lesion.

    Parameters
    ----------
    prepared : Prepared
    loss : float
        In percent.
    methods : Methods
    threads : int

    Returns
    -------
    dict of str to float
        Columns of the table of pairs, changes in percent of the first visit.

    Raises
    ------
    BadDataError
        If a visit cannot be measured.
    """
    source, head = prepared.source, prepared.head
    rng = np.random.default_rng(seed_of(source, loss))
    visits = replace(HARD, noise=(prepared.noise, prepared.noise))
    strength = strength_of(head, loss / 100)
    injured = with_lesion(head, _LESIONS[CONTRASTS[source.contrast].channel])
    first, scale_before = visit(head, 0.0, rng, visits)
    second, scale_after = visit(injured, strength, rng, visits)
    pair = measure_pair(first, second, source.contrast, segmenters(methods)["thalnet"], threads)
    change = pair.change(prepared.longest_side)
    return {
        "noise": 100 * prepared.noise,
        "true_change": 100 * (true_volume(head, strength) / head.volume - 1),
        "cross_sectional_change": soft_change(pair.cross_sectional),
        "longitudinal_change": change.percent,
        "longitudinal_low": change.low,
        "longitudinal_high": change.high,
        "drawn_scale": 100 * (scale_after / scale_before - 1),
        "found_scale": pair.scale,
    }


def seed_of(source: Source, loss: float) -> int:
    """Derive the seed of a pair from its scan and loss, so that each has visits of its own."""
    digest = hashlib.sha256(f"{source.name} {loss:g}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
