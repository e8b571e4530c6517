"""Cuts of the brain by the field of view, on heads of balls and on simulated and real heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.images import read_scan
from bids_app.images.geometry import apply_affine
from bids_app.images.volume import Volume, to_ras
from bids_app.segmentation import thalnet
from bids_app.segmentation.field_of_view import ends_within_brain
from examples.anatomy import load_anatomy
from examples.contrast import t1w_contrast
from examples.simulation import Acquisition, draw_subject, scan

# Semi-axes (mm) of a brain and of its head, in units of the size of an average one.
_BRAIN = np.array([68.0, 85.0, 68.0])
_HEAD = np.array([80.0, 98.0, 82.0])
# The middle of the thalami below that of the brain.
_THALAMI = np.array([0.0, 0.0, -2.0])
_SIDES = {"L": (0, 0), "R": (0, 1), "P": (1, 0), "A": (1, 1), "S": (2, 1)}


def _phantom(size: float, *, with_scalp: bool, voxel: float = 2.0) -> tuple[np.ndarray, Volume]:
    """Return brain mask and image of ellipsoids: scalp, dark skull, brain."""
    shape = tuple(int(2 * n / voxel) + 6 for n in _HEAD * size)
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -voxel * (np.array(shape) - 1) / 2
    places = apply_affine(affine, np.argwhere(np.ones(shape)).T).reshape(3, *shape)

    def within(axes: np.ndarray) -> np.ndarray:
        return ((places / (size * axes).reshape(3, 1, 1, 1)) ** 2).sum(0) <= 1

    brain = within(_BRAIN)
    image = 100.0 * brain
    if with_scalp:
        image += 90.0 * (within(_HEAD) & ~within(_HEAD - 5))
    return brain, Volume(image.astype(np.float32), affine)


Box = tuple[slice, ...]


def _box(brain: np.ndarray, voxel_size: np.ndarray, side: str, depth: float) -> Box:
    """What remains when all beyond a depth (mm) below the border of the brain is cut off."""
    axis, end = _SIDES[side]
    places = np.flatnonzero(brain.any(tuple(other for other in range(3) if other != axis)))
    steps = round(depth / voxel_size[axis])
    kept = [slice(None)] * 3
    first, last = max(int(places[0]) + steps, 0), int(places[-1]) + 1 - steps
    kept[axis] = slice(None, last) if end else slice(first, None)
    return tuple(kept)


def _within(array: np.ndarray, box: Box) -> np.ndarray:
    inside = np.zeros_like(array)
    inside[box] = array[box]
    return inside


def _is_flagged(
    brain: np.ndarray, image: Volume, box: Box, thalami: np.ndarray, *, padded: bool
) -> bool:
    if padded:
        shown = Volume(_within(image.data, box), image.affine)
        return ends_within_brain(_within(brain, box).astype(np.uint8), thalami, shown)
    return ends_within_brain(brain[box].astype(np.uint8), thalami, image.crop(box))


@pytest.mark.parametrize("size", [0.92, 1.0, 1.08])
@pytest.mark.parametrize("with_scalp", [True, False])
def test_cuts_are_recognised_from_12_mm_on(size: float, with_scalp: bool) -> None:
    whole, image = _phantom(size, with_scalp=with_scalp)
    missed = []
    # The back of the head is the roundest: a large head that has lost 12 mm of the brain there
    # looks like a small one that has lost none.
    cuts = [cut for cut in product(_SIDES, (12, 16, 20)) if not with_scalp or cut != ("P", 12)]
    for side, depth in cuts:
        # In a head, the network takes what lies right below the edge for skull.
        lost = 8 if with_scalp else 0
        brain = _within(whole, _box(whole, image.voxel_size, side, depth + lost))
        box = _box(whole, image.voxel_size, side, depth)
        missed += [
            (side, depth, padded)
            for padded in (False, True)
            if not _is_flagged(brain, image, box, size * _THALAMI, padded=padded)
        ]
    assert missed == []


@pytest.mark.parametrize("size", [0.92, 1.0, 1.08])
@pytest.mark.parametrize("with_scalp", [True, False])
def test_tight_images_and_cuts_of_the_scalp_are_not_flagged(size: float, with_scalp: bool) -> None:
    brain, image = _phantom(size, with_scalp=with_scalp)
    flagged = [
        (side, padded)
        for side, padded in product(_SIDES, (False, True))
        if _is_flagged(
            brain,
            image,
            _box(brain, image.voxel_size, side, -2.0 if with_scalp else 0.0),
            size * _THALAMI,
            padded=padded,
        )
    ]
    assert flagged == []


def test_axes_may_run_in_any_direction() -> None:
    brain, image = _phantom(1.0, with_scalp=True)
    box = _box(brain, image.voxel_size, "S", 12)
    eroded = _within(brain, _box(brain, image.voxel_size, "S", 20))[box]
    shown = image.crop(box)
    for axes in ((2, 0, 1), (1, 2, 0)):
        affine = shown.affine[:, [*axes, 3]].copy()
        data = shown.data.transpose(axes)[::-1]
        affine[:3, 3] += affine[:3, 0] * (len(data) - 1)
        affine[:3, 0] *= -1
        turned = Volume(np.ascontiguousarray(data), affine)
        mask = eroded.transpose(axes)[::-1].astype(np.uint8)
        assert ends_within_brain(mask, _THALAMI, turned)
        uncut = Volume(np.where(mask, turned.data, 0), affine)
        assert ends_within_brain(mask, _THALAMI, uncut)


def _inferred(image: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Brain mask and middle of the thalami by the network."""
    head = thalnet.infer_head(image, 1)
    return thalnet._brain_mask(head, image), thalnet._centre_of_thalami(head)


def _ends_within_brain(image: Volume) -> bool:
    return ends_within_brain(*_inferred(image), image)


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, Volume]:
    """The true brain and the image of a simulated head."""
    anatomy = load_anatomy()
    outside = {"background", "skin", "soft tissue", "mucosa", "bone", "eye", "cerebrospinal fluid"}
    is_brain = {name: float(name not in outside) for name in anatomy.names}
    subject = draw_subject(anatomy, np.random.default_rng(11))
    still = Acquisition(voxel_size=2.0, rotation=0.0, translation=0.0)
    clean = replace(still, noise=0.0, bias=0.0)
    rng = np.random.default_rng(11)
    image = scan(anatomy, subject, t1w_contrast(), rng, acquisition=still)
    brain = scan(anatomy, subject, is_brain, rng, acquisition=clean).image > 0.5
    return brain, Volume(image.image.astype(np.float32), image.affine)


@pytest.mark.parametrize(
    ("side", "depth", "padded"),
    [*((side, 12, False) for side in _SIDES), ("S", 12, True), ("P", 20, True)],
)
def test_a_simulated_head_that_is_cut(
    head: tuple[np.ndarray, Volume], side: str, depth: float, padded: bool
) -> None:
    brain, image = head
    box = _box(brain, image.voxel_size, side, depth)
    padding = Volume(_within(image.data, box), image.affine)
    assert _ends_within_brain(padding if padded else image.crop(box))


def test_a_simulated_head_that_is_whole_or_has_lost_scalp(
    head: tuple[np.ndarray, Volume],
) -> None:
    brain, image = head
    assert not _ends_within_brain(image)
    assert not _ends_within_brain(image.crop(_box(brain, image.voxel_size, "S", -4)))


# A brain in a tight box, a whole head, and thick slices whose edge is right above the brain.
@pytest.mark.parametrize(
    "name",
    [
        "manual-t1w/sub-1002/ses-01/anat/sub-1002_ses-01_T1w.nii.gz",
        "whole-head/sub-flair/anat/sub-flair_FLAIR.nii.gz",
        "ms-t1w-flair/sub-ms12/ses-01/anat/sub-ms12_ses-01_T1w.nii.gz",
    ],
)
def test_real_scans(shared_data: Callable[[str], Path], name: str) -> None:
    """Whole, and cut by 12 mm at the top."""
    dataset, _, rest = name.partition("/")
    image = to_ras(read_scan(shared_data(dataset) / rest).volume)
    brain, thalami = _inferred(image)
    assert not ends_within_brain(brain, thalami, image)
    assert _ends_within_brain(image.crop(_box(brain != 0, image.voxel_size, "S", 12)))
