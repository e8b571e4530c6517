"""thalnet: the project's own network, for one contrast or several, skull on or off.

Two residual U-Nets work one after the other (weights and card: ``bids_app/assets/thalnet``). The
*head* network looks at the whole image at 3 mm and finds the brain, the intracranial space and the
thalami. The *region* network looks at 64 x 56 x 48 mm around them at 1 mm, in every contrast there
is, and draws their outline. Both see images normalised as in training, on grids along the world
axes, so that orientation, voxel size and obliqueness of the input do not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.images.geometry import Box, Grid, apply_affine, bounding_box
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume
from bids_app.segmentation.method import BuiltInMethod
from bids_app.segmentation.outline import labels_of, largest_piece
from bids_app.segmentation.quality import touches_edge
from bids_app.segmentation.result import Segmentation

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from onnxruntime import InferenceSession

CONTRASTS = ("T1w", "FLAIR", "T2w", "R1map")
WEIGHTS = {"head": "thalnet-head.onnx", "region": "thalnet-region.onnx"}

# Output channels of both networks, as in training.labels.CLASSES.
_LEFT, _RIGHT = 1, 2
_BRAIN = slice(1, 6)
_HEAD_SHAPE, _HEAD_SPACING = (56, 72, 64), 3.0
_REGION_SHAPE, _REGION_SPACING = (64, 56, 48), 1.0
# Sides must be divisible by the network's coarsest level, and not vanish there.
_MULTIPLE, _FEWEST_HEAD_VOXELS = 8, 24
# Smaller or larger than any living brain or thalamus: the image is not a head scan.
_BRAIN_RANGE_ML = (400.0, 2500.0)
_THALAMUS_RANGE_ML = (2.0, 40.0)
# Least share of variance between the classes that the head network finds. 40 real scans (T1w,
# FLAIR, T2w; 1 to 3 mm) have 0.44 to 0.88, simulated heads in noise 0.25 and more, noise and ramps
# at most 0.14 (`benchmarks.uncertainty`).
_LEAST_EXPLAINED = 0.2
# Least expected overlap of a mask with its probabilities. These scans have 0.890 to 0.928;
# balls and cubes, in which the network imagines thalami, 0.35 to 0.61.
_LEAST_CONFIDENCE = 0.85
# Standard error of the volume as a share of that between the outlines at probabilities of 0.25 and
# 0.75: root mean square over simulated heads (`benchmarks.uncertainty`).
OUTLINE_ERROR = 0.137
# Least probability of brain in its mask. The head network sees voxels of 3 mm, most of which hold
# some CSF in the sulci; the mask shall hold the sulci too.
_BRAIN_THRESHOLD = 0.3
# The outline is drawn again if the region was centred worse than this (mm).
_RECENTRE = 3.0


def segment(
    images: Mapping[str, Volume], threads: int = 1, *, flip_averaging: bool = True
) -> Segmentation:
    """Segment the thalami and the brain of one session.

    Parameters
    ----------
    images : mapping of str to Volume
        One or more of ``CONTRASTS``, each (X, Y, Z) with any axes and voxel size, in the same
        world space. The first is the anchor.
    threads : int
        Processors that the networks may use.
    flip_averaging : bool
        Average the outline with that of the mirrored images (test-time augmentation).

    Returns
    -------
    Segmentation
        On the grid of the first image.

    Raises
    ------
    BadDataError
        If no brain with thalami of a plausible size is found, or the image is no head at all.
    ValueError
        If a contrast is not one of ``CONTRASTS``, or there is no image.
    """
    unknown = set(images) - set(CONTRASTS)
    if unknown or not images:
        raise ValueError(f"thalnet takes one or more of {CONTRASTS}, got {sorted(images)}.")
    image = next(iter(images.values()))
    head = _look_at_head(image, threads)
    brain_mask = _brain_mask(head, image)
    # Counted within the image: beyond its edge the network may imagine what it likes.
    _expect("brain", np.count_nonzero(brain_mask) * image.voxel_volume / 1000, _BRAIN_RANGE_ML)
    region = _look_at_region(images, head, threads, flip_averaging)
    soft_volumes = region.probabilities[[_LEFT, _RIGHT]].sum((1, 2, 3), dtype=np.float64)
    _expect("thalami", float(soft_volumes.sum()) / 1000, _THALAMUS_RANGE_ML)
    if head.explained < _LEAST_EXPLAINED:
        raise BadDataError(
            f"the image does not look like a head: only {100 * head.explained:.0f} % of the "
            "variance of its intensities lies between the tissues found in it, "
            f"expected at least {100 * _LEAST_EXPLAINED:.0f} %."
        )
    confidence = _confidence(region)
    if confidence < _LEAST_CONFIDENCE:
        raise BadDataError(
            "the image does not look like a head: the expected overlap of what was found with "
            f"true thalami is {confidence:.2f}, in head scans at least {_LEAST_CONFIDENCE:.2f}."
        )
    dseg, probseg = _thalami(region, image)
    return Segmentation(
        dseg=dseg,
        probseg=probseg,
        brain_mask=brain_mask,
        soft_volumes=soft_volumes,
        brain_volume=float(head.probabilities[_BRAIN].sum(dtype=np.float64)) * _HEAD_SPACING**3,
        icv=float((1 - head.probabilities[0]).sum(dtype=np.float64)) * _HEAD_SPACING**3,
        confidence=confidence,
        volume_error=OUTLINE_ERROR * _outline_volume(region),
        cut_off=touches_edge(region.probabilities[[_LEFT, _RIGHT]].sum(0) >= 0.5),
    )


@dataclass(frozen=True)
class _Look:
    """What a network saw.

    Attributes
    ----------
    probabilities : (C, X, Y, Z) float32
    grid : Grid
    explained : float
        Share of the variance of intensities between (not within) the classes, eta squared. A
        network that has learnt what heads look like finds one in pure noise too; only there the
        classes do not differ in intensity.
    """

    probabilities: FloatArray
    grid: Grid
    explained: float


def _expect(what: str, volume_ml: float, limits: tuple[float, float]) -> None:
    if not limits[0] < volume_ml < limits[1]:
        raise BadDataError(
            f"no {what} found: {volume_ml:.1f} mL of the image look so, "
            f"expected {limits[0]:.0f} to {limits[1]:.0f} mL."
        )


def _confidence(region: _Look) -> float:
    """Expected Dice of the mask, were every probability true: 2 sum(p m) / sum(p + m)."""
    probability = region.probabilities[_LEFT] + region.probabilities[_RIGHT]
    mask = probability >= 0.5
    total = probability.sum(dtype=np.float64) + np.count_nonzero(mask)
    return float(2 * probability[mask].sum(dtype=np.float64) / total)


def _outline_volume(region: _Look) -> float:
    """Volume in mm³ between the outlines at probabilities of 0.25 and 0.75.

    Voxels err together along an outline, so that the variance of their sum is not that of
    independent ones. An outline that lies off by a share of the width over which the network
    hesitates errs by that share of this volume.
    """
    probability = region.probabilities[_LEFT] + region.probabilities[_RIGHT]
    hesitant = (probability >= 0.25) & (probability < 0.75)
    return float(np.count_nonzero(hesitant)) * _REGION_SPACING**3


def _look_at_head(image: Volume, threads: int) -> _Look:
    """Look at the brain: 56 x 72 x 64 voxels of 3 mm.

    The first look takes in the whole image, however large, to find the thalami; the second has the
    field of view that the network was trained on.
    """
    low, high = _foreground_box(image)
    sides = [int(np.ceil(side / _HEAD_SPACING / _MULTIPLE)) * _MULTIPLE for side in high - low]
    x, y, z = (max(side, _FEWEST_HEAD_VOXELS) for side in sides)
    first = _look("head", [image], Grid.around((low + high) / 2, (x, y, z), _HEAD_SPACING), threads)
    grid = Grid.around(_centre_of_thalami(first), _HEAD_SHAPE, _HEAD_SPACING)
    return _look("head", [image], grid, threads)


def _look_at_region(
    images: Mapping[str, Volume], head: _Look, threads: int, flip_averaging: bool
) -> _Look:
    """Look at the thalami: 64 x 56 x 48 voxels of 1 mm."""
    channels = [images.get(contrast) for contrast in CONTRASTS]
    centre = _centre_of_thalami(head)
    for _ in range(2):
        grid = Grid.around(centre, _REGION_SHAPE, _REGION_SPACING)
        region = _look("region", channels, grid, threads, flip_averaging=flip_averaging)
        found = _centre_of_thalami(region)
        if np.linalg.norm(found - centre) <= _RECENTRE:
            break
        centre = found
    return region


def _foreground_box(image: Volume) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Corners in world mm of the box that holds everything brighter than the background."""
    strides = [max(1, int(2 // size)) for size in image.voxel_size]
    thinned = image.data[tuple(slice(None, None, stride) for stride in strides)]
    data = np.asarray(thinned, dtype=np.float32)
    low, high = np.percentile(data, [1, 99])
    box = bounding_box(data > low + 0.1 * (high - low), least=0.01)
    whole = [
        slice(part.start * stride, (part.stop - 1) * stride + 1)
        for part, stride in zip(box, strides, strict=True)
    ]
    corners = image.grid.crop(whole).corners()
    return corners.min(1), corners.max(1)


def _centre_of_thalami(look: _Look) -> npt.NDArray[np.float64]:
    """World coordinates (mm) of the middle of both thalami, or of the brain if there are none."""
    weight = look.probabilities[_LEFT] + look.probabilities[_RIGHT]
    weight = np.where(weight > 0.3, weight, 0.0)
    if weight.sum() < 1:
        weight = np.maximum(look.probabilities[_BRAIN].sum(0), 1e-6)
    total = weight.sum(dtype=np.float64)
    index = [
        float((weight.sum(tuple(o for o in range(3) if o != axis)) * np.arange(n)).sum() / total)
        for axis, n in enumerate(weight.shape)
    ]
    return apply_affine(look.grid.affine, np.array(index))


def _look(
    network: str,
    channels: Sequence[Volume | None],
    grid: Grid,
    threads: int,
    *,
    flip_averaging: bool = False,
) -> _Look:
    """Resample images, normalise them as in training, and ask a network what is where."""
    seen = np.zeros((len(channels), *grid.shape), dtype=np.float32)
    for channel, image in enumerate(channels):
        if image is not None:
            seen[channel] = _normalised(resample(image, grid))
    probabilities = _ask(network, seen, threads)
    if flip_averaging:
        # The grid runs from left to right: turned round, the sides change names too.
        mirrored = _ask(network, np.ascontiguousarray(seen[:, ::-1]), threads)[:, ::-1]
        mirrored[[_LEFT, _RIGHT]] = mirrored[[_RIGHT, _LEFT]]
        probabilities = (probabilities + mirrored) * np.float32(0.5)
    weights = probabilities.reshape(len(probabilities), -1)
    sizes = np.maximum(weights.sum(1), 1e-6)
    # Intensities have zero mean and unit variance here.
    explained = max(
        float((sizes * (weights @ seen[channel].ravel() / sizes) ** 2).sum() / seen[channel].size)
        for channel, image in enumerate(channels)
        if image is not None
    )
    return _Look(probabilities, grid, explained)


def _normalised(image: FloatArray) -> FloatArray:
    """Clipped to the 0.5th and 99.5th percentile, with zero mean and unit variance."""
    low, high = np.percentile(image, [0.5, 99.5])
    image = np.clip(image, float(low), float(high))
    normalised: FloatArray = (image - image.mean()) / np.float32(image.std() + 1e-6)
    return normalised


def weights_checksums() -> dict[str, str]:
    """SHA-256 of both networks' files, by file name."""
    return {
        name: hashlib.sha256(_weights(name).read_bytes()).hexdigest() for name in WEIGHTS.values()
    }


def _weights(name: str) -> Traversable:
    return files("bids_app") / "assets" / "thalnet" / name


def _ask(network: str, seen: FloatArray, threads: int) -> FloatArray:
    """Class probabilities (C, X, Y, Z) of normalised images (K, X, Y, Z)."""
    (logits,) = _network(network, threads).run(None, {"image": seen[None]})
    logits = logits[0] - logits[0].max(0)
    np.exp(logits, out=logits)
    probabilities: FloatArray = logits / logits.sum(0)
    return probabilities


@lru_cache(maxsize=2)
def _network(name: str, threads: int) -> InferenceSession:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    providers = [
        provider
        for provider in ("CUDAExecutionProvider", "CPUExecutionProvider")
        if provider in onnxruntime.get_available_providers()
    ]
    weights = _weights(WEIGHTS[name]).read_bytes()
    return onnxruntime.InferenceSession(weights, settings, providers=providers)


def _thalami(region: _Look, image: Volume) -> tuple[npt.NDArray[np.uint8], FloatArray]:
    """Labels (X, Y, Z) and probabilities (X, Y, Z, 2) on the image's grid."""
    box = _covered(region.grid, image)
    part = image.grid.crop(box)
    sides = [
        resample(Volume(region.probabilities[channel], region.grid.affine), part)
        for channel in (_LEFT, _RIGHT)
    ]
    probseg = np.zeros((*image.data.shape, 2), dtype=np.float32)
    # Three digits are all the meaning there is, and compress well.
    probseg[box] = np.round(np.stack(sides, axis=-1), 3)
    dseg = np.zeros(image.data.shape, dtype=np.uint8)
    dseg[box] = labels_of(probseg[box])
    return dseg, probseg


def _brain_mask(head: _Look, image: Volume) -> npt.NDArray[np.uint8]:
    """Brain with its sulci (X, Y, Z) on the image's grid; never outside the non-zero voxels."""
    from scipy.ndimage import generate_binary_structure, grey_closing

    box = _covered(head.grid, image)
    brain_probability = head.probabilities[_BRAIN].sum(0)
    closed = grey_closing(brain_probability, footprint=generate_binary_structure(3, 2))
    probability = resample(Volume(closed, head.grid.affine), image.grid.crop(box))
    brain = largest_piece((probability >= _BRAIN_THRESHOLD) & (image.data[box] != 0))
    mask = np.zeros(image.data.shape, dtype=np.uint8)
    mask[box] = _filled(brain)
    return mask


def _filled(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask (X, Y, Z) with the cavities that faces of voxels do not connect to the edge."""
    from scipy.ndimage import label

    pieces, _ = label(np.pad(~mask, 1, constant_values=True))
    return np.asarray(pieces[1:-1, 1:-1, 1:-1] != pieces[0, 0, 0])


def _covered(grid: Grid, image: Volume) -> Box:
    """Find the part of an image that a grid covers."""
    limits = np.array(image.data.shape)
    voxels = grid.transformed(np.linalg.inv(image.affine)).corners()
    low = np.clip(np.floor(voxels.min(1)).astype(int), 0, limits)
    high = np.clip(np.ceil(voxels.max(1)).astype(int) + 1, low, limits)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


METHOD = BuiltInMethod(name="thalnet", title="thalnet", segment=segment, joint=True, flips=True)
