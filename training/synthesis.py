"""Images synthesised from label maps: geometry, contrast, acquisition.

The image model follows domain randomisation (Billot et al. 2023, doi:10.1016/j.media.2023.102789)
with two departures. Half of the images keep the tissue order of a real sequence (T1w, FLAIR,
T2w or R1), the rest are random. And the border of the thalamus with the internal capsule is
gradual on both sides, as it is in real T1w scans; a sharp border there teaches outlines that are
a voxel too large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional

from training.labels import CLASSES, TISSUE_NAMES, LabelMap

# Relative mean intensities of each tissue. T1w and R1 after the T1 times of Wansapura et al. 1999
# and Stueber et al. 2014 at 3 T; FLAIR and T2w relative to CSF as in MS protocols. The draws
# around them are wide: only the order and rough spacing of tissues matters.
_T1W = {
    "white matter": 1.0,
    "cortex": 0.64,
    "ventricle": 0.2,
    "cerebellar white matter": 0.97,
    "cerebellar cortex": 0.65,
    "caudate": 0.68,
    "putamen": 0.74,
    "pallidum": 0.88,
    "brainstem": 0.92,
    "hippocampus": 0.64,
    "amygdala": 0.64,
    "cerebrospinal fluid": 0.22,
    "lesion": 0.68,
    "accumbens": 0.68,
    "ventral diencephalon": 0.86,
    "vessel": 0.5,
    "optic chiasm": 0.85,
    "choroid plexus": 0.42,
    "bone": 0.15,
    "soft tissue": 0.6,
    "skin": 1.1,
    "eye": 0.3,
    "mucosa": 0.45,
}
_FLAIR = {
    "white matter": 0.62,
    "cortex": 0.82,
    "ventricle": 0.08,
    "cerebellar white matter": 0.64,
    "cerebellar cortex": 0.78,
    "caudate": 0.8,
    "putamen": 0.76,
    "pallidum": 0.58,
    "brainstem": 0.64,
    "hippocampus": 0.86,
    "amygdala": 0.86,
    "cerebrospinal fluid": 0.12,
    "lesion": 1.1,
    "accumbens": 0.8,
    "ventral diencephalon": 0.62,
    "vessel": 0.25,
    "optic chiasm": 0.6,
    "choroid plexus": 0.5,
    "bone": 0.1,
    "soft tissue": 0.4,
    "skin": 0.7,
    "eye": 0.15,
    "mucosa": 0.5,
}
_T2W = {
    "white matter": 0.32,
    "cortex": 0.5,
    "ventricle": 1.0,
    "cerebellar white matter": 0.34,
    "cerebellar cortex": 0.5,
    "caudate": 0.46,
    "putamen": 0.43,
    "pallidum": 0.28,
    "brainstem": 0.36,
    "hippocampus": 0.52,
    "amygdala": 0.5,
    "cerebrospinal fluid": 0.95,
    "lesion": 0.65,
    "accumbens": 0.46,
    "ventral diencephalon": 0.34,
    "vessel": 0.1,
    "optic chiasm": 0.38,
    "choroid plexus": 0.8,
    "bone": 0.05,
    "soft tissue": 0.3,
    "skin": 0.5,
    "eye": 0.9,
    "mucosa": 0.6,
}
_R1 = _T1W | {
    "ventricle": 0.22,
    "cerebrospinal fluid": 0.24,
    "cortex": 0.6,
    "caudate": 0.64,
    "putamen": 0.7,
    "pallidum": 0.86,
    "air": 0.3,
}
_CONTRASTS = {"T1w": _T1W, "FLAIR": _FLAIR, "T2w": _T2W, "R1map": _R1}
# How far the thalamus lies from deep grey (0) towards white matter (1) in each contrast.
_THALAMUS_FRACTION = (0.15, 0.75)

_LEFT, _RIGHT = CLASSES.index("left thalamus"), CLASSES.index("right thalamus")
_INTRACRANIAL = [i for i, name in enumerate(CLASSES) if name != "background"]
_BRAIN = [i for i in _INTRACRANIAL if CLASSES[i] != "extraventricular CSF"]


@dataclass(frozen=True)
class FieldOfView:
    """What one network sees.

    Attributes
    ----------
    shape : (3,) int
        Voxels of the crop in RAS order, divisible by 8.
    spacing : float
        Voxel side in mm.
    jitter : float
        SD in mm of the crop's centre around the thalamus.
    whole_head : bool
        Whether skull stripping and background noise are simulated.
    """

    shape: tuple[int, int, int]
    spacing: float
    jitter: float
    whole_head: bool


REGION = FieldOfView((64, 72, 56), 1.0, 2.0, whole_head=False)
HEAD = FieldOfView((56, 72, 64), 3.0, 15.0, whole_head=True)


def synthesise(
    label_map: LabelMap, view: FieldOfView, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one image and its partial-volume truth.

    Parameters
    ----------
    label_map : LabelMap
        Anatomy to start from.
    view : FieldOfView
        Crop and voxel size.
    rng : numpy Generator
        Source of every random choice.

    Returns
    -------
    image : (1, 1, X, Y, Z) float32
        Arbitrary units, non-negative; not yet normalised.
    truth : (1, C, X, Y, Z) float32
        Share of each class in each voxel, summing to 1.
    """
    mirrored = rng.random() < 0.5
    tissues, classes = _deformed(label_map, view, mirrored, rng)
    truth = _shares(classes, len(CLASSES))
    if mirrored:
        order = list(range(len(CLASSES)))
        order[_LEFT], order[_RIGHT] = _RIGHT, _LEFT
        truth = truth[:, order]
    image = _tissue_image(tissues, truth, view, rng)
    image = _lesions(image, truth, view, rng)
    if view.whole_head and rng.random() < 0.5:
        image = image * _skull_strip(truth, rng)
    return _acquire(image, view, rng), truth


def normalise(image: torch.Tensor) -> torch.Tensor:
    """Clip to the 0.5th and 99.5th percentile and scale to zero mean and unit variance.

    Parameters
    ----------
    image : (1, 1, X, Y, Z) float32

    Returns
    -------
    (1, 1, X, Y, Z) float32
    """
    flat = image.flatten()
    low, high = np.percentile(flat.numpy(), [0.5, 99.5])
    image = image.clamp(float(low), float(high))
    return (image - image.mean()) / (image.std() + 1e-6)


def _deformed(
    label_map: LabelMap, view: FieldOfView, mirrored: bool, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample tissues and classes on a grid of twice the resolution (for partial volume)."""
    fine_shape = [2 * n for n in view.shape]
    axes = [
        torch.arange(n, dtype=torch.float32).sub((n - 1) / 2).mul(view.spacing / 2)
        for n in fine_shape
    ]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    angles = rng.normal(0.0, 7.0, 3).clip(-20, 20)
    scale = np.exp(rng.normal(0.0, 0.07) + rng.normal(0.0, 0.04, 3))
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(1.0 / scale)
    matrix += rng.normal(0.0, 0.02, (3, 3))
    if mirrored:
        matrix = np.diag([-1.0, 1.0, 1.0]) @ matrix
    position = torch.einsum("ij,jxyz->ixyz", torch.tensor(matrix, dtype=torch.float32), offset)
    extent = np.array(view.shape) * view.spacing
    # The fields are smooth: they are summed on a coarse grid and brought up once.
    coarse_shape = [n // 2 for n in view.shape]
    bend = _smooth_field(rng, extent, 14.0, rng.uniform(0.0, 2.5), coarse_shape)
    bend += _smooth_field(rng, extent, 40.0, rng.uniform(0.0, 4.0), coarse_shape)
    position += functional.interpolate(bend[None], size=fine_shape, mode="trilinear")[0]
    centre = label_map.thalamus + rng.normal(0.0, view.jitter, 3)
    position += torch.tensor(centre, dtype=torch.float32)[:, None, None, None]
    index = position.round_().to(torch.int64)
    limits = label_map.tissues.shape
    outside = torch.zeros(index.shape[1:], dtype=torch.bool)
    for axis, limit in enumerate(limits):
        outside |= (index[axis] < 0) | (index[axis] >= limit)
        index[axis].clamp_(0, limit - 1)
    flat = (index[0] * limits[1] + index[1]) * limits[2] + index[2]
    tissues = torch.from_numpy(label_map.tissues).flatten()[flat].masked_fill_(outside, 0)
    classes = torch.from_numpy(label_map.classes).flatten()[flat].masked_fill_(outside, 0)
    return tissues, classes


def _smooth_field(
    rng: np.random.Generator,
    extent: npt.NDArray[np.float64],
    spacing: float,
    sd: float,
    shape: list[int],
) -> torch.Tensor:
    """Displacements (3, X, Y, Z) in mm from a control grid with the given spacing and SD."""
    knots = [max(3, round(float(side) / spacing) + 1) for side in extent]
    control = torch.tensor(rng.normal(0.0, sd, (1, 3, *knots)), dtype=torch.float32)
    return functional.interpolate(control, size=shape, mode="trilinear", align_corners=True)[0]


def _shares(classes: torch.Tensor, count: int) -> torch.Tensor:
    """Fraction of each class within every 2x2x2 block."""
    pooled = [functional.avg_pool3d((classes == k).float()[None, None], 2) for k in range(count)]
    return torch.cat(pooled, 1)


def _means(rng: np.random.Generator) -> dict[str, float]:
    """Mean intensity of every tissue for one image."""
    if rng.random() < 0.4:
        means = {name: rng.uniform(0.05, 1.0) for name in TISSUE_NAMES}
        means["air"] = rng.uniform(0.0, 0.1)
        return means
    # T1w is what most users bring, so it is drawn as often as the other three together.
    contrast = rng.choice(["T1w", "FLAIR", "T2w", "R1map"], p=[0.5, 0.2, 0.15, 0.15])
    table = _CONTRASTS[str(contrast)]
    means = {name: max(0.0, value + rng.normal(0.0, 0.035)) for name, value in table.items()}
    for name in ("bone", "soft tissue", "skin", "eye", "mucosa"):
        means[name] = max(0.0, table[name] + rng.normal(0.0, 0.2))
    means.setdefault("air", rng.uniform(0.0, 0.03))
    grey = 0.5 * (means["caudate"] + means["putamen"])
    fraction = rng.uniform(*_THALAMUS_FRACTION)
    means["thalamus"] = grey + fraction * (means["white matter"] - grey)
    gamma = float(np.exp(rng.normal(0.0, 0.15)))
    return {name: value**gamma for name, value in means.items()}


def _tissue_image(
    tissues: torch.Tensor, truth: torch.Tensor, view: FieldOfView, rng: np.random.Generator
) -> torch.Tensor:
    """Noise-free tissue intensities on the output grid, with soft thalamic borders."""
    means = _means(rng)
    table = torch.tensor([means[name] for name in TISSUE_NAMES], dtype=torch.float32)
    image = functional.avg_pool3d(table[tissues.long()][None, None], 2)
    white_index = TISSUE_NAMES.index("white matter")
    white = functional.avg_pool3d((tissues == white_index).float()[None, None], 2)
    thalamus = truth[:, [_LEFT]] + truth[:, [_RIGHT]]
    contrast = means["white matter"] - means["thalamus"]
    # Outside: the capsule beside the thalamus is closer to the thalamus than other white matter.
    near = _blur(thalamus, rng.uniform(1.2, 2.5) / view.spacing)
    image = image - white * (rng.uniform(0.0, 1.6) * near).clamp(max=1.0) * contrast
    # Inside: the thalamus approaches white matter only close to the border.
    near = _blur(white, 1.2 / view.spacing)
    image = image + thalamus * rng.uniform(0.0, 0.7) * near * contrast
    # Nuclei, and regional differences of myelination.
    texture = _texture(rng, view, 5.0)
    image = image + thalamus * texture * rng.uniform(0.0, 0.25) * contrast
    spread = abs(means["white matter"] - means["cortex"])
    return image + (1 - truth[:, [0]]) * _texture(rng, view, 9.0) * rng.uniform(0.0, 0.12) * spread


def _texture(rng: np.random.Generator, view: FieldOfView, length: float) -> torch.Tensor:
    """Smooth random field (1, 1, X, Y, Z) of unit SD and the given length scale in mm."""
    extent = np.array(view.shape) * view.spacing
    return _smooth_field(rng, extent, length, 1.0, list(view.shape))[None, :1]


def _lesions(
    image: torch.Tensor, truth: torch.Tensor, view: FieldOfView, rng: np.random.Generator
) -> torch.Tensor:
    """Paint up to six round lesions into white matter and thalamus; the truth stays."""
    if rng.random() > 0.3:
        return image
    host = truth[:, [_LEFT]] + truth[:, [_RIGHT]] + truth[:, [CLASSES.index("other parenchyma")]]
    axes = torch.meshgrid(*[torch.arange(n) for n in view.shape], indexing="ij")
    grid = torch.stack(axes).float() * view.spacing
    intensity = float(rng.uniform(0.0, 1.2) * image.max())
    for _ in range(int(rng.integers(1, 7))):
        centre = torch.tensor(rng.uniform(0.2, 0.8, 3) * np.array(view.shape) * view.spacing)
        radius = rng.uniform(1.0, 4.0)
        distance = (grid - centre.float()[:, None, None, None]).square().sum(0).sqrt()
        blob = torch.sigmoid((radius - distance) / 0.6)[None, None] * rng.uniform(0.3, 0.9)
        image = image + host * blob * (intensity - image)
    return image


def _skull_strip(truth: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A mask (1, 1, X, Y, Z) as brain extraction leaves it: brain, some CSF, rough edge."""
    brain = truth[:, _BRAIN].sum(1, keepdim=True)
    intracranial = truth[:, _INTRACRANIAL].sum(1, keepdim=True)
    generous = _blur(brain, 1.0) > rng.uniform(0.1, 0.6)
    return (generous & (intracranial > 0.2)).float()


def _acquire(image: torch.Tensor, view: FieldOfView, rng: np.random.Generator) -> torch.Tensor:
    """Bias field, point spread, slice thickness or low resolution, Rician noise."""
    extent = np.array(view.shape) * view.spacing
    shape = list(view.shape)
    bias = _smooth_field(rng, extent, 50.0, rng.uniform(0.0, 0.3), shape)[None, :1].exp()
    image = image * bias
    zooms = _acquired_zooms(view, rng)
    for axis, zoom in enumerate(zooms):
        sigma = np.hypot(rng.uniform(0.0, 0.6), 0.35 * zoom if zoom > 1 else 0.0)
        image = _blur_axis(image, float(sigma), axis)
    if max(zooms) > 1:
        coarse = [max(4, round(n / zoom)) for n, zoom in zip(shape, zooms, strict=True)]
        image = functional.interpolate(image, size=coarse, mode="trilinear", align_corners=False)
    scale = float(image.max()) * rng.uniform(0.0, 0.05)
    noise = torch.from_numpy(rng.normal(0.0, 1.0, (2, *image.shape)).astype(np.float32)) * scale
    stripped = image <= 0
    image = ((image + noise[0]).square() + noise[1].square()).sqrt()
    if view.whole_head:
        image = image.masked_fill(stripped, 0.0)
    if list(image.shape[2:]) != shape:
        image = functional.interpolate(image, size=shape, mode="trilinear", align_corners=False)
    return image


def _acquired_zooms(view: FieldOfView, rng: np.random.Generator) -> list[float]:
    """Acquired voxel side relative to the network's, per axis."""
    zooms = [1.0, 1.0, 1.0]
    choice = rng.random()
    if choice < 0.15:
        zooms[int(rng.integers(3))] = rng.uniform(2.0, 4.5) / view.spacing
    elif choice < 0.35:
        zooms = [rng.uniform(1.1, 1.8) / view.spacing] * 3
    return [max(1.0, zoom) for zoom in zooms]


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    for axis in range(3):
        image = _blur_axis(image, sigma, axis)
    return image


def _blur_axis(image: torch.Tensor, sigma: float, axis: int) -> torch.Tensor:
    """Gaussian smoothing (SD in voxels) along one spatial axis of (1, 1, X, Y, Z)."""
    if sigma < 0.15:
        return image
    radius = int(np.ceil(3 * sigma))
    taps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel /= kernel.sum()
    # The axis comes last for a plain 1D convolution, and goes back afterwards.
    moved = image.movedim(2 + axis, -1)
    rows = moved.reshape(-1, 1, moved.shape[-1])
    padded = functional.pad(rows, (radius, radius), mode="replicate")
    smooth = functional.conv1d(padded, kernel[None, None])
    return smooth.reshape(moved.shape).movedim(-1, 2 + axis)
