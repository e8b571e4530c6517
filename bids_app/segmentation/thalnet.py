"""thalnet: the network of this package, for one contrast or several, with or without the skull.

Two residual U-Nets are applied one after the other (weights and model card:
``bids_app/assets/thalnet``). The *head* network takes the whole anchor image at 3 mm and finds the
brain, the intracranial space and the thalami. The *region* network takes 64 x 56 x 48 mm around
them at 1 mm, from every image there is, and segments them. Inputs are normalised as in training and
resampled on grids along the world axes, so that orientation, voxel size and obliqueness of the
images do not matter.
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
from bids_app.images.geometry import Grid, Points, apply_affine, bounding_box, removed_shear
from bids_app.images.masks import largest_piece
from bids_app.images.resampling import FloatArray, resample
from bids_app.images.volume import Volume
from bids_app.segmentation.borders import border_widths
from bids_app.segmentation.field_of_view import ends_within_brain
from bids_app.segmentation.labels import filled, labels_of, touches_edge
from bids_app.segmentation.method import BuiltInMethod
from bids_app.segmentation.result import Head, Segmentation

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from onnxruntime import InferenceSession

# Input channels of the region network, named after the contrasts it was trained on.
CHANNELS = ("T1w", "FLAIR", "T2w", "R1map")
WEIGHTS = {"head": "thalnet-head.onnx", "region": "thalnet-region.onnx"}

# Output channels of both networks, as in training.labels.CLASSES.
_LEFT, _RIGHT = 1, 2
_BRAIN = slice(1, 6)
_DEEP_GREY, _VENTRICLES = slice(1, 4), 4
_HEAD_SHAPE, _HEAD_SPACING = (56, 72, 64), 3.0
_REGION_SHAPE, _REGION_SPACING = (64, 56, 48), 1.0
# Sides must be divisible by the network's coarsest level, and not vanish there.
_MULTIPLE, _FEWEST_HEAD_VOXELS = 8, 24
# Outside the range of living people: the image is no scan of a head.
_BRAIN_RANGE_ML = (400.0, 2500.0)
_THALAMUS_RANGE_ML = (2.0, 40.0)
# Least share of variance between the classes that the head network finds. 40 real scans (T1w,
# FLAIR, T2w; 1 to 3 mm) have 0.44 to 0.88, simulated heads in noise 0.25 and more, simulated ratios
# of MP2RAGE, in which the scalp is bright, 0.19, noise and ramps at most 0.14
# (`benchmarks.uncertainty`).
_LEAST_EXPLAINED = 0.17
# Least expected overlap of a mask with its probabilities. These scans have 0.890 to 0.928;
# balls and cubes, in which the network segments something too, 0.35 to 0.61.
_LEAST_CONFIDENCE = 0.85
# Standard error of the volume as a share of the volume with probabilities of 0.25 to 0.75: root
# mean square over simulated heads (`benchmarks.uncertainty`).
BORDER_ERROR = 0.137
# Least probability of brain in its mask. Most of the head network's voxels of 3 mm hold some CSF in
# the sulci, and the mask includes the sulci.
_BRAIN_THRESHOLD = 0.3
# The region network is applied again if its input was centred worse than this (mm).
_RECENTRE = 3.0


def segment(
    images: Mapping[str, Volume],
    threads: int = 1,
    *,
    flip_averaging: bool = True,
    alone: Segmentation | None = None,
) -> Segmentation:
    """Segment the thalami and the brain of one session.

    Parameters
    ----------
    images : mapping of str to Volume
        By input channel, one or more of ``CHANNELS``; each (X, Y, Z) with any axes and voxel
        size, in the same world space. The first is the anchor.
    threads : int
        Processors that the networks may use.
    flip_averaging : bool
        Average the probabilities with those of the mirrored images (test-time augmentation).
    alone : Segmentation, optional
        That of an image on the grid of the first one, of the same head: its brain and the place of
        its thalami are taken over, and the head network is not applied again.

    Returns
    -------
    Segmentation
        On the grid of the first image, whose shear the networks do not see.

    Raises
    ------
    BadDataError
        If the volume of the brain or the thalami is implausible, or the image shows no head.
    ValueError
        If a key is not one of ``CHANNELS``, or there is no image.
    """
    unknown = set(images) - set(CHANNELS)
    if unknown or not images:
        raise ValueError(f"thalnet takes one or more of {CHANNELS}, got {sorted(images)}.")
    image = next(iter(images.values()))
    straight = removed_shear(image.grid)
    if not np.array_equal(straight, np.eye(4)):
        images = {name: each.moved(straight) for name, each in images.items()}
        image = next(iter(images.values()))
    head = (alone and alone.head) or _head(image, threads)
    region = _infer_region(images, head.thalami, threads, flip_averaging)
    thalami = region.probabilities[[_LEFT, _RIGHT]]
    soft_volumes = thalami.sum((1, 2, 3), dtype=np.float64)
    _check_volume("thalamus", float(soft_volumes.sum()) / 1000, _THALAMUS_RANGE_ML)
    confidence = _confidence(region)
    _check_head(head.explained, confidence)
    dseg, probseg = _thalami(region, image)
    return Segmentation(
        dseg=dseg,
        probseg=probseg,
        brain_mask=head.brain_mask,
        soft_volumes=soft_volumes,
        brain_volume=head.brain_volume,
        icv=head.icv,
        deep_grey_volume=head.deep_grey_volume,
        ventricle_volume=head.ventricle_volume,
        confidence=confidence,
        volume_error=BORDER_ERROR * _border_volume(region),
        cut_off=touches_edge(thalami.sum(0) >= 0.5),
        truncated=head.truncated,
        borders=border_widths(thalami, _REGION_SPACING),
        head=head,
    )


@dataclass(frozen=True)
class Inference:
    """Output of a network.

    Attributes
    ----------
    probabilities : (C, X, Y, Z) float32
        Probability of each class.
    grid : Grid
    explained : float
        Share of the variance of the input's intensities between (not within) the classes, eta
        squared; the largest of the channels. Networks trained on heads segment pure noise as one
        too, but there the classes do not differ in intensity.
    """

    probabilities: FloatArray
    grid: Grid
    explained: float


def _head(image: Volume, threads: int) -> Head:
    """Find the brain and the thalami in a whole image; refuse implausible brains."""
    inference = infer_head(image, threads)
    brain_mask = _brain_mask(inference, image)
    thalami = _centre_of_thalami(inference)
    # Counted within the image: beyond its edge the network has no input.
    brain_ml = np.count_nonzero(brain_mask) * image.voxel_volume / 1000
    truncated = ends_within_brain(brain_mask, thalami, image)
    low, high = _BRAIN_RANGE_ML
    _check_volume("brain", brain_ml, (0.0 if truncated else low, high))
    probabilities = inference.probabilities

    def volume(of_class: FloatArray) -> float:
        return float("nan") if truncated else _volume(of_class)

    return Head(
        brain_mask=brain_mask,
        thalami=thalami,
        explained=inference.explained,
        brain_volume=volume(probabilities[_BRAIN]),
        icv=volume(1 - probabilities[0]),
        deep_grey_volume=volume(probabilities[_DEEP_GREY]),
        ventricle_volume=volume(probabilities[_VENTRICLES]),
        truncated=truncated,
    )


def _volume(probabilities: FloatArray) -> float:
    """Measure the volume in mm³ of probabilities by the head network."""
    return float(probabilities.sum(dtype=np.float64)) * _HEAD_SPACING**3


def _check_volume(structure: str, volume_ml: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if not low < volume_ml < high:
        raise BadDataError(
            f"implausible {structure} volume: {volume_ml:.1f} mL (expected {low:.0f}–{high:.0f} mL)"
        )


def _check_head(explained: float, confidence: float) -> None:
    """Refuse images that show no head: noise, ramps, phantoms."""
    if explained < _LEAST_EXPLAINED:
        raise BadDataError(
            f"not a scan of a head: the segmented tissues explain {100 * explained:.0f} % of the "
            f"variance of the intensities (expected at least {100 * _LEAST_EXPLAINED:.0f} %)"
        )
    if confidence < _LEAST_CONFIDENCE:
        raise BadDataError(
            f"not a scan of a head: the expected Dice of the thalami is {confidence:.2f} "
            f"(at least {_LEAST_CONFIDENCE:.2f} in head scans)"
        )


def _confidence(region: Inference) -> float:
    """Estimate the Dice of the mask if all probabilities hold: 2 sum(p m) / sum(p + m)."""
    probability = region.probabilities[_LEFT] + region.probabilities[_RIGHT]
    mask = probability >= 0.5
    total = probability.sum(dtype=np.float64) + np.count_nonzero(mask)
    return float(2 * probability[mask].sum(dtype=np.float64) / total)


def _border_volume(region: Inference) -> float:
    """Measure the volume in mm³ with probabilities of 0.25 to 0.75.

    Errors of voxels along a border are correlated, so that the variance of their sum is not that
    of independent ones. A border that is displaced by a share of the width of this zone has a
    volume error of that share of this volume.
    """
    probability = region.probabilities[_LEFT] + region.probabilities[_RIGHT]
    border = (probability >= 0.25) & (probability < 0.75)
    return float(np.count_nonzero(border)) * _REGION_SPACING**3


def infer_head(image: Volume, threads: int) -> Inference:
    """Apply the head network around the thalami: 56 x 72 x 64 voxels of 3 mm.

    A first inference takes the whole image, however large, to find the thalami; the second one has
    the field of view that the network was trained on.

    Parameters
    ----------
    image : Volume
        (X, Y, Z) with any axes and voxel size.
    threads : int
        Processors that the network may use.

    Returns
    -------
    Inference
    """
    low, high = _foreground_box(image)
    sides = [int(np.ceil(side / _HEAD_SPACING / _MULTIPLE)) * _MULTIPLE for side in high - low]
    x, y, z = (max(side, _FEWEST_HEAD_VOXELS) for side in sides)
    first = infer("head", [image], Grid.around((low + high) / 2, (x, y, z), _HEAD_SPACING), threads)
    grid = Grid.around(_centre_of_thalami(first), _HEAD_SHAPE, _HEAD_SPACING)
    return infer("head", [image], grid, threads)


def _infer_region(
    images: Mapping[str, Volume], centre: Points, threads: int, flip_averaging: bool
) -> Inference:
    """Apply the region network around the thalami: 64 x 56 x 48 voxels of 1 mm."""
    channels = [images.get(name) for name in CHANNELS]
    for _ in range(2):
        grid = Grid.around(centre, _REGION_SHAPE, _REGION_SPACING)
        region = infer("region", channels, grid, threads, flip_averaging=flip_averaging)
        previous, centre = centre, _centre_of_thalami(region)
        if np.linalg.norm(centre - previous) <= _RECENTRE:
            break
    return region


def _foreground_box(image: Volume) -> tuple[Points, Points]:
    """Find the corners, in world mm, of the box that holds everything above the background."""
    # Every voxel of about 2 mm is enough to find the head.
    strides = [max(1, int(2 // size)) for size in image.voxel_size]
    thinned = image.data[tuple(slice(None, None, stride) for stride in strides)]
    data = np.asarray(thinned, dtype=np.float32)
    low, high = np.percentile(data, [1, 99])
    # A slice with hardly any bright voxel holds noise or an artefact.
    box = bounding_box(data > low + 0.1 * (high - low), least=0.01)
    whole = [
        slice(part.start * stride, (part.stop - 1) * stride + 1)
        for part, stride in zip(box, strides, strict=True)
    ]
    corners = image.grid.crop(whole).corners()
    return corners.min(1), corners.max(1)


def _centre_of_thalami(inference: Inference) -> Points:
    """Find the world coordinates (mm) of the middle of both thalami; without any, of the brain."""
    weight = inference.probabilities[_LEFT] + inference.probabilities[_RIGHT]
    # Low probabilities are scattered over the head.
    weight = np.where(weight > 0.3, weight, 0.0)
    if weight.sum() < 1:
        weight = np.maximum(inference.probabilities[_BRAIN].sum(0), 1e-6)
    total = weight.sum(dtype=np.float64)
    index = [
        float((weight.sum(tuple(o for o in range(3) if o != axis)) * np.arange(n)).sum() / total)
        for axis, n in enumerate(weight.shape)
    ]
    return apply_affine(inference.grid.affine, np.array(index))


def infer(
    network: str,
    channels: Sequence[Volume | None],
    grid: Grid,
    threads: int,
    *,
    flip_averaging: bool = False,
) -> Inference:
    """Resample images, normalise them as in training, and apply a network.

    Parameters
    ----------
    network : {'head', 'region'}
    channels : sequence of Volume or None
        (X, Y, Z) for each input channel; a channel without an image is zero.
    grid : Grid
        Field of view, along the world axes if flips are averaged.
    threads : int
        Processors that the network may use.
    flip_averaging : bool
        Average with the probabilities of the mirrored input.

    Returns
    -------
    Inference
        On ``grid``.
    """
    inputs = np.zeros((len(channels), *grid.shape), dtype=np.float32)
    for channel, image in enumerate(channels):
        if image is not None:
            inputs[channel] = _normalised(resample(image, grid))
    probabilities = _apply(network, inputs, threads)
    if flip_averaging:
        # The first axis runs from left to right: mirrored, the sides change their names too.
        mirrored = _apply(network, np.ascontiguousarray(inputs[:, ::-1]), threads)[:, ::-1]
        mirrored[[_LEFT, _RIGHT]] = mirrored[[_RIGHT, _LEFT]]
        probabilities = (probabilities + mirrored) * np.float32(0.5)
    weights = probabilities.reshape(len(probabilities), -1)
    sizes = np.maximum(weights.sum(1), 1e-6)
    # Intensities have zero mean and unit variance here.
    explained = max(
        float((sizes * (weights @ values.ravel() / sizes) ** 2).sum() / values.size)
        for values, image in zip(inputs, channels, strict=True)
        if image is not None
    )
    return Inference(probabilities, grid, explained)


def _normalised(image: FloatArray) -> FloatArray:
    """Clip to the 0.5th and 99.5th percentile, and standardise to zero mean and unit variance."""
    low, high = np.percentile(image, [0.5, 99.5])
    image = np.clip(image, float(low), float(high))
    normalised: FloatArray = (image - image.mean()) / np.float32(image.std() + 1e-6)
    return normalised


def weights_checksums() -> dict[str, str]:
    """Compute the SHA-256 of both networks' files, by file name."""
    return {
        name: hashlib.sha256(_weights(name).read_bytes()).hexdigest() for name in WEIGHTS.values()
    }


def _weights(name: str) -> Traversable:
    return files("bids_app") / "assets" / "thalnet" / name


def _apply(network: str, inputs: FloatArray, threads: int) -> FloatArray:
    """Compute class probabilities (C, X, Y, Z) from normalised images (K, X, Y, Z)."""
    from onnxruntime import RunOptions

    # Memory for intermediate results is returned at the end, not kept for the next image.
    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    (logits,) = _network(network, threads).run(None, {"image": inputs[None]}, options)
    # Softmax; without the maximum, exp could overflow.
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


def _thalami(region: Inference, image: Volume) -> tuple[npt.NDArray[np.uint8], FloatArray]:
    """Resample labels (X, Y, Z) and probabilities (X, Y, Z, 2) on the image's grid."""
    box = image.grid.part_near(region.grid)
    part = image.grid.crop(box)
    sides = [
        resample(Volume(region.probabilities[channel], region.grid.affine), part)
        for channel in (_LEFT, _RIGHT)
    ]
    probseg = np.zeros((*image.data.shape, 2), dtype=np.float32)
    # Three digits are more precise than the network, and compress well.
    probseg[box] = np.round(np.stack(sides, axis=-1), 3)
    dseg = np.zeros(image.data.shape, dtype=np.uint8)
    dseg[box] = labels_of(probseg[box])
    return dseg, probseg


def _brain_mask(head: Inference, image: Volume) -> npt.NDArray[np.uint8]:
    """Segment the brain with its sulci (X, Y, Z) on the image's grid, within non-zero voxels."""
    from scipy.ndimage import generate_binary_structure, grey_closing

    box = image.grid.part_near(head.grid)
    brain_probability = head.probabilities[_BRAIN].sum(0)
    # Sulci narrower than a voxel of the network belong to the brain.
    closed = grey_closing(brain_probability, footprint=generate_binary_structure(3, 2))
    probability = resample(Volume(closed, head.grid.affine), image.grid.crop(box))
    brain = largest_piece((probability >= _BRAIN_THRESHOLD) & (image.data[box] != 0))
    mask = np.zeros(image.data.shape, dtype=np.uint8)
    mask[box] = filled(brain)
    return mask


METHOD = BuiltInMethod(name="thalnet", title="thalnet", segment=segment, joint=True, flips=True)
