"""Images synthesised from label maps: geometry, contrast, acquisition.

The image model follows domain randomisation (Billot et al. 2023, doi:10.1016/j.media.2023.102789)
with three departures. Most images keep the tissue order of the sequence they stand for (T1w, FLAIR,
T2w or R1), a few are random. The border of the thalamus with the internal capsule is
gradual on both sides, as it is in real T1w scans; a sharp border there teaches outlines that are
a voxel too large. And the thalamus brightens from the ventricle to the capsule as measured in real
scans (``training.appearance``): one of even brightness teaches outlines that leave out its
ventrolateral part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from torch.nn import functional

from training.appearance import frames, pattern
from training.labels import CLASSES, TISSUE_NAMES, LabelMap
from training.scans import Scan

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
MEANS = {"T1w": _T1W, "FLAIR": _FLAIR, "T2w": _T2W, "R1map": _R1}
CONTRASTS = tuple(MEANS)
# How far the thalamus lies from deep grey (0) towards white matter (1) in each contrast.
_THALAMUS_FRACTION = (0.15, 0.75)
# Measured differences within the thalamus, relative to those of the scans they were measured on,
# whose white matter is little brighter than the striatum.
_PATTERN_AMOUNT = (0.1, 1.0)
# How often a contrast comes alone, in the order of CONTRASTS; else any two or more of them come.
# T1w is what most users bring.
_ALONE = (0.45, 0.12, 0.08, 0.10)
# Lesions relative to white matter and ventricles: 0 is white matter, 1 as the ventricles, below 0
# away from them.
_LESION_FRACTION = {
    "T1w": (0.1, 0.7),
    "FLAIR": (-1.2, -0.3),
    "T2w": (0.2, 0.8),
    "R1map": (0.1, 0.7),
}

_LEFT, _RIGHT = CLASSES.index("left thalamus"), CLASSES.index("right thalamus")
_MIRRORED = list(range(len(CLASSES)))
_MIRRORED[_LEFT], _MIRRORED[_RIGHT] = _RIGHT, _LEFT
_VENTRICLES = CLASSES.index("ventricles")
_PARENCHYMA = CLASSES.index("other parenchyma")
_INTRACRANIAL = [i for i, name in enumerate(CLASSES) if name != "background"]
_BRAIN = [i for i in _INTRACRANIAL if CLASSES[i] != "extraventricular CSF"]


@dataclass(frozen=True)
class FieldOfView:
    """What one network sees.

    Attributes
    ----------
    channels : tuple of str
        Contrast of each input channel; ``any`` stands for all of them.
    shape : (3,) int
        Voxels of the crop in RAS order, divisible by 8.
    spacing : float
        Voxel side in mm.
    jitter : float
        SD in mm of the crop's centre around the thalamus.
    whole_head : bool
        Whether skull stripping and background noise are simulated.
    """

    channels: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: float
    jitter: float
    whole_head: bool


REGION = FieldOfView(CONTRASTS, (64, 56, 48), 1.0, 2.0, whole_head=False)
HEAD = FieldOfView(("any",), (56, 72, 64), 3.0, 15.0, whole_head=True)


def synthesise(
    label_map: LabelMap, view: FieldOfView, rng: np.random.Generator, *, early: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the images of one session and their partial-volume truth.

    Parameters
    ----------
    label_map : LabelMap
        Anatomy to start from.
    view : FieldOfView
        Contrasts, crop and voxel size.
    rng : numpy Generator
        Source of every random choice.
    early : bool
        Whether the images are those that a training begins with: thalami of even brightness,
        whose outline is easier to find, and stronger deformation.

    Returns
    -------
    images : (1, K, X, Y, Z) float32
        One channel for each of ``view.channels``, normalised; missing contrasts are zero.
    truth : (1, C, X, Y, Z) float32
        Share of each class in each voxel, summing to 1.
    """
    mirrored = rng.random() < 0.5
    tissues, classes, places = _deformed(label_map, view, mirrored, 2.5 if early else 1.5, rng)
    truth = _shares(classes, len(CLASSES))
    if mirrored:
        truth = truth[:, _MIRRORED]
    lesions = _lesions(truth, view, rng)
    brightness = None if early else _brightness(label_map, places, rng)
    stripped = None
    if view.whole_head and rng.random() < 0.5:
        stripped = _skull_strip(truth, rng)
    images = torch.zeros(1, len(view.channels), *view.shape)
    for order_in_session, channel in enumerate(_present(view, rng)):
        contrast = view.channels[channel]
        if contrast == "any":
            contrast = str(rng.choice(CONTRASTS, p=[0.5, 0.2, 0.15, 0.15]))
        shifted = _misaligned(tissues, rng) if order_in_session > 0 else tissues
        image = _tissue_image(contrast, shifted, truth, brightness, lesions, view, rng)
        if stripped is not None:
            image = image * stripped
        images[:, [channel]] = normalise(_acquire(image, contrast, view, rng))
    return images, truth


def deform_scan(
    scan: Scan, view: FieldOfView, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a session with one real T1w scan, deformed with its labels.

    Parameters
    ----------
    scan : Scan
        As written by ``training.scans``.
    view : FieldOfView
        Contrasts, crop and voxel size.
    rng : numpy Generator
        Source of every random choice.

    Returns
    -------
    images : (1, K, X, Y, Z) float32
        As of `synthesise`; all channels but T1w are zero.
    truth : (1, C, X, Y, Z) float32
        Share of each class in each voxel; all are 0 where the scan's labels do not reach.
    """
    mirrored = rng.random() < 0.5
    places = functional.avg_pool3d(_positions(scan, view, mirrored, 1.5, rng)[None], 2)[0]
    grid = _sampling_grid(places, scan.classes.shape, scan.spacing)
    image, truth = (
        functional.grid_sample(
            torch.from_numpy(values)[None].float(), grid, mode="bilinear", align_corners=False
        )
        for values in (scan.image[None], scan.shares)
    )
    if mirrored:
        truth = truth[:, _MIRRORED]
    image = image.clamp(min=0.0) ** float(np.exp(rng.normal(0.0, 0.15)))
    images = torch.zeros(1, len(view.channels), *view.shape)
    channel = view.channels.index("T1w")
    images[:, [channel]] = normalise(_acquire(image, "T1w", view, rng))
    return images, truth


def _present(view: FieldOfView, rng: np.random.Generator) -> list[int]:
    """Channels that a session has: one alone, or several."""
    count = len(view.channels)
    if count == 1:
        return [0]
    alone = rng.random()
    for channel, edge in enumerate(np.cumsum(_ALONE)):
        if alone < edge:
            return [channel]
    several = rng.choice(count, size=int(rng.integers(2, count + 1)), replace=False)
    return [int(channel) for channel in several]


def _misaligned(tissues: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Moved by up to half a voxel of the image along each axis, as registration leaves it."""
    x, y, z = (int(step) for step in rng.integers(-1, 2, 3))
    return torch.roll(tissues, (x, y, z), (0, 1, 2))


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
    label_map: LabelMap,
    view: FieldOfView,
    mirrored: bool,
    bending: float,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sample tissues and classes on a grid of twice the resolution (for partial volume).

    Also returned is where the network's voxels come from (3, X, Y, Z), in mm of the label map.
    """
    position = _positions(label_map, view, mirrored, bending, rng)
    places = functional.avg_pool3d(position[None], 2)[0]
    index = (position / label_map.spacing).round_().to(torch.int64)
    limits = label_map.tissues.shape
    outside = torch.zeros(index.shape[1:], dtype=torch.bool)
    for axis, limit in enumerate(limits):
        outside |= (index[axis] < 0) | (index[axis] >= limit)
        index[axis].clamp_(0, limit - 1)
    flat = (index[0] * limits[1] + index[1]) * limits[2] + index[2]
    tissues = torch.from_numpy(label_map.tissues).flatten()[flat].masked_fill_(outside, 0)
    classes = torch.from_numpy(label_map.classes).flatten()[flat].masked_fill_(outside, 0)
    return tissues, classes, places


def _positions(
    head: LabelMap | Scan,
    view: FieldOfView,
    mirrored: bool,
    bending: float,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Where the points of a grid of twice the view's resolution come from, in mm of the head.

    ``bending`` is the largest SD in mm of displacements on the scale of a nucleus.
    """
    angles = rng.normal(0.0, 7.0, 3).clip(-20, 20)
    scale = np.exp(rng.normal(0.0, 0.07) + rng.normal(0.0, 0.04, 3))
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(1.0 / scale)
    matrix += rng.normal(0.0, 0.02, (3, 3))
    if mirrored:
        matrix = np.diag([-1.0, 1.0, 1.0]) @ matrix
    centre = head.thalamus * head.spacing + rng.normal(0.0, view.jitter, 3)
    fine_shape = [2 * n for n in view.shape]
    position = _placed(fine_shape, view.spacing / 2, matrix, centre)
    # The fields are smooth: they are summed on a coarse grid and brought up once.
    coarse_shape = [n // 2 for n in view.shape]
    extent = np.array(view.shape) * view.spacing
    bend = _smooth_field(rng, extent, 14.0, rng.uniform(0.0, bending), coarse_shape)
    bend += _smooth_field(rng, extent, 40.0, rng.uniform(0.0, 4.0), coarse_shape)
    coarse = _placed(coarse_shape, 2 * view.spacing, matrix, centre)
    bend += _atrophy(head, coarse, rng)
    position += functional.interpolate(bend[None], size=fine_shape, mode="trilinear")[0]
    return position


def _placed(
    shape: list[int],
    spacing: float,
    matrix: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
) -> torch.Tensor:
    """Positions (3, X, Y, Z) in mm of a grid's voxels after an affine map about its middle."""
    axes = [torch.arange(n, dtype=torch.float32).sub((n - 1) / 2).mul(spacing) for n in shape]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    position = torch.einsum("ij,jxyz->ixyz", torch.tensor(matrix, dtype=torch.float32), offset)
    return position + torch.tensor(centre, dtype=torch.float32)[:, None, None, None]


def _atrophy(
    head: LabelMap | Scan, position: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Displacements (3, X, Y, Z) in mm that widen the ventricles and change the thalami.

    The outline of the thalami moves by about a millimetre at the most, so that what surrounds a
    thalamus tells little of its size.
    """
    towards_ventricles, towards_thalami = _pulls(head)
    widening = rng.uniform(0.0, 3.0) if rng.random() < 0.5 else 0.0
    shrinkage = rng.uniform(-1.0, 1.0)
    pull = widening * towards_ventricles - shrinkage * towards_thalami
    grid = _sampling_grid(position, head.classes.shape, head.spacing)
    return functional.grid_sample(pull[None], grid, padding_mode="zeros", align_corners=False)[0]


def _sampling_grid(position: torch.Tensor, shape: tuple[int, ...], spacing: float) -> torch.Tensor:
    """Positions (3, X, Y, Z) in mm as ``grid_sample`` wants them: (1, X, Y, Z, 3)."""
    sides = torch.tensor(shape, dtype=torch.float32) * spacing
    # The last axis comes first, from -1 to 1 between the outer faces.
    unit = 2 * (position + spacing / 2) / sides[:, None, None, None] - 1
    return unit.flip(0).permute(1, 2, 3, 0)[None]


@cache
def _pulls(head: LabelMap | Scan) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth fields (3, X, Y, Z) that point to the ventricles and the thalami, 1 at the most.

    They are the gradients of the structures blurred by 5 and 3 mm, on a grid four times coarser.
    """
    classes = head.classes
    structures = (classes == _VENTRICLES, (classes == _LEFT) | (classes == _RIGHT))
    fields = []
    for structure, width in zip(structures, (5.0, 3.0), strict=True):
        share = torch.from_numpy(structure.astype(np.float32))[None, None]
        size = [max(2, round(n / 4)) for n in classes.shape]
        coarse = functional.interpolate(share, size=size, mode="area")[0, 0].numpy()
        steps = [head.spacing * n / m for n, m in zip(classes.shape, size, strict=True)]
        smooth = gaussian_filter(coarse, [width / step for step in steps])
        gradient = np.stack(np.gradient(smooth, *steps))
        gradient /= max(float(np.linalg.norm(gradient, axis=0).max()), 1e-6)
        fields.append(torch.from_numpy(gradient.astype(np.float32)))
    return fields[0], fields[1]


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


def _means(contrast: str, rng: np.random.Generator) -> dict[str, float]:
    """Mean intensity of every tissue for one image."""
    if rng.random() < 0.15:
        means = {name: rng.uniform(0.05, 1.0) for name in TISSUE_NAMES}
        means["air"] = rng.uniform(0.0, 0.1)
        return means
    table = MEANS[contrast]
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
    contrast: str,
    tissues: torch.Tensor,
    truth: torch.Tensor,
    brightness: torch.Tensor | None,
    lesions: torch.Tensor | None,
    view: FieldOfView,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Noise-free tissue intensities on the output grid, with soft thalamic borders."""
    means = _means(contrast, rng)
    table = torch.tensor([means[name] for name in TISSUE_NAMES], dtype=torch.float32)
    image = functional.avg_pool3d(table[tissues.long()][None, None], 2)
    white, diencephalon = (
        functional.avg_pool3d((tissues == TISSUE_NAMES.index(name)).float()[None, None], 2)
        for name in ("white matter", "ventral diencephalon")
    )
    thalamus = truth[:, [_LEFT]] + truth[:, [_RIGHT]]
    step = means["white matter"] - means["thalamus"]
    # Outside: the capsule beside the thalamus is closer to the thalamus than other white matter.
    near = _blur(thalamus, rng.uniform(1.2, 2.5) / view.spacing)
    image = image - white * (rng.uniform(0.0, 1.6) * near).clamp(max=1.0) * step
    # Inside: the thalamus approaches white matter only close to the border.
    near = _blur(white, rng.uniform(0.8, 2.0) / view.spacing)
    image = image + thalamus * rng.uniform(0.0, 0.7) * near * step
    if brightness is not None:
        span = means["white matter"] - 0.5 * (means["caudate"] + means["putamen"])
        amount = rng.uniform(*_PATTERN_AMOUNT) * span
        near = (2 * _blur(thalamus, 3.0 / view.spacing)).clamp(max=1.0)
        for tissue in (thalamus, white * near, diencephalon * near):
            mean = (tissue * brightness).sum() / tissue.sum().clamp(min=1.0)
            image = image + tissue * amount * (brightness - mean)
    # Nuclei, and regional differences of myelination.
    texture = _texture(rng, view, 5.0)
    image = image + thalamus * texture * rng.uniform(0.0, 0.25) * step
    spread = abs(means["white matter"] - means["cortex"])
    image = image + (1 - truth[:, [0]]) * _texture(rng, view, 9.0) * rng.uniform(0, 0.12) * spread
    if lesions is not None:
        fraction = rng.uniform(*_LESION_FRACTION[contrast])
        shade = means["white matter"] + fraction * (means["ventricle"] - means["white matter"])
        image = image + lesions * (max(0.0, shade) - image)
    return image


def _brightness(
    label_map: LabelMap, places: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Measured brightness (1, 1, X, Y, Z) in and around each thalamus, slightly out of place."""
    measured = pattern()
    volume = torch.from_numpy(measured.brightness)[None, None]
    size = torch.tensor(measured.brightness.shape, dtype=torch.float32)[:, None, None, None]
    sides = []
    for matrix, offset in frames(label_map):
        moved = offset + rng.normal(0.0, 1.0, 3)
        voxel = torch.einsum("ij,jxyz->ixyz", torch.tensor(matrix, dtype=torch.float32), places)
        voxel += torch.tensor(moved, dtype=torch.float32)[:, None, None, None]
        unit = (2 * (voxel + 0.5) / size - 1).flip(0).permute(1, 2, 3, 0)[None]
        sampled = functional.grid_sample(volume, unit, padding_mode="border", align_corners=False)
        distance = voxel - torch.tensor(measured.mean, dtype=torch.float32)[:, None, None, None]
        sides.append((sampled, distance.square().sum(0)))
    (left, to_left), (right, to_right) = sides
    return torch.where((to_left < to_right)[None, None], left, right)


def _texture(rng: np.random.Generator, view: FieldOfView, length: float) -> torch.Tensor:
    """Smooth random field (1, 1, X, Y, Z) of unit SD and the given length scale in mm."""
    extent = np.array(view.shape) * view.spacing
    return _smooth_field(rng, extent, length, 1.0, list(view.shape))[None, :1]


def _lesions(
    truth: torch.Tensor, view: FieldOfView, rng: np.random.Generator
) -> torch.Tensor | None:
    """Opacity (1, 1, X, Y, Z) of up to eight lesions in white matter and thalamus, or None.

    A third of them begin inside a thalamus. The truth does not change: a lesion of the thalamus
    is thalamus.
    """
    if rng.random() > 0.35:
        return None
    thalamus = truth[0, _LEFT] + truth[0, _RIGHT]
    host = thalamus + truth[0, _PARENCHYMA]
    axes = torch.meshgrid(*[torch.arange(n) for n in view.shape], indexing="ij")
    grid = torch.stack(axes).float() * view.spacing
    clear = torch.ones(view.shape)
    for _ in range(int(rng.integers(1, 9))):
        among = torch.nonzero((thalamus if rng.random() < 1 / 3 else host) > 0.5)
        if len(among) == 0:
            continue
        centre = among[int(rng.integers(len(among)))].float() * view.spacing
        radii = torch.tensor(rng.uniform(1.0, 4.0) * np.exp(rng.normal(0.0, 0.25, 3))).float()
        radius = radii.mean()
        offset = (grid - centre[:, None, None, None]) / radii[:, None, None, None]
        distance = offset.square().sum(0).sqrt() * radius
        clear = clear * (1 - torch.sigmoid((radius - distance) / 0.6) * rng.uniform(0.3, 0.95))
    return (host * (1 - clear))[None, None]


def _skull_strip(truth: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A mask (1, 1, X, Y, Z) as brain extraction leaves it: brain, some CSF, rough edge."""
    brain = truth[:, _BRAIN].sum(1, keepdim=True)
    intracranial = truth[:, _INTRACRANIAL].sum(1, keepdim=True)
    generous = _blur(brain, 1.0) > rng.uniform(0.1, 0.6)
    return (generous & (intracranial > 0.2)).float()


def _acquire(
    image: torch.Tensor, contrast: str, view: FieldOfView, rng: np.random.Generator
) -> torch.Tensor:
    """Bias field, point spread, slice thickness or low resolution, Rician noise."""
    extent = np.array(view.shape) * view.spacing
    shape = list(view.shape)
    bias = _smooth_field(rng, extent, 50.0, rng.uniform(0.0, 0.3), shape)[None, :1].exp()
    image = image * bias
    zooms = _acquired_zooms(contrast, view, rng)
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


def _acquired_zooms(contrast: str, view: FieldOfView, rng: np.random.Generator) -> list[float]:
    """Acquired voxel side relative to the network's, per axis."""
    zooms = [1.0, 1.0, 1.0]
    choice = rng.random()
    # FLAIR and T2w often have thick slices, R1 maps larger voxels.
    thick = 0.3 if contrast in ("FLAIR", "T2w") else 0.15
    coarse = 0.5 if contrast == "R1map" else 0.2
    if choice < thick:
        zooms[int(rng.integers(3))] = rng.uniform(2.0, 5.0) / view.spacing
    elif choice < thick + coarse:
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
