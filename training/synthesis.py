"""Images synthesised from label maps, in batches on any device.

The image model follows domain randomisation (Billot et al. 2023, doi:10.1016/j.media.2023.102789)
with three departures. Most images keep the tissue order of one sequence (T1w, FLAIR, T2w or R1), a
few are random. The border of the thalamus with the internal capsule is
gradual on both sides, as it is in real T1w scans; a sharp border there teaches segmentations that
are a voxel too large. And the thalamus brightens from the ventricle to the capsule as measured in
real scans (``training.appearance``): one of even brightness teaches segmentations that exclude its
ventrolateral part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from training.acquisition import acquire, normalise
from training.anatomies import CLASS_OF_CODE, CODES, Anatomies
from training.draws import Draws
from training.fields import blur, column, paired, smooth_noise
from training.geometry import Geometry, draw_geometry
from training.labels import CLASSES, TISSUE_NAMES
from training.tissues import LESION_FRACTION, Brightness, draw_brightness
from training.views import CONTRASTS, FieldOfView

# Share of sessions with one contrast only, in the order of CONTRASTS; the others have two or more.
# T1w is what most users bring.
_ALONE = (0.36, 0.22, 0.09, 0.09)
# Contrasts of a network with one channel for all of them.
_ANY = (0.5, 0.2, 0.15, 0.15)
# Most that the capsule next to the thalamus may approach it, in the order of CONTRASTS.
_CLOSEST = (1.0, 1.3, 1.2, 1.0)
# Share of pairs taken by one protocol: contrasts, tissues and textures are the same.
_SAME = 0.5
# Measured differences within the thalamus, relative to those of the scans they were measured on,
# whose white matter is little brighter than the striatum.
_PATTERN_AMOUNT = (0.1, 1.1)
_LESIONS, _LESIONED = 8, 0.35
# Width of veins in units of the random field whose zero level they follow: 0.9 to 2.1 mm at half
# height, as internal cerebral and thalamostriate veins are.
_VEIN_WIDTH = (0.05, 0.12)
BENDING = 1.5
# Misalignment of the second and later contrasts of a session, in voxels.
_MISALIGNED = 0.5

_LEFT, _RIGHT = CLASSES.index("left thalamus"), CLASSES.index("right thalamus")
_VENTRICLES, _SULCI = CLASSES.index("ventricles"), CLASSES.index("extraventricular CSF")
_PARENCHYMA = CLASSES.index("other parenchyma")
MIRRORED = [_RIGHT if k == _LEFT else _LEFT if k == _RIGHT else k for k in range(len(CLASSES))]
_WHITE = TISSUE_NAMES.index("white matter")
_DIENCEPHALON = TISSUE_NAMES.index("ventral diencephalon")


@dataclass(frozen=True)
class Session:
    """Choice of images for a batch, made on the host.

    Attributes
    ----------
    of : (K,) int64
        Session that each image belongs to.
    channel : (K,) int64
        Channel of the network.
    contrast : (K,) int64
        Index into ``CONTRASTS``.
    later : (K,) bool
        Whether an image is not the first of its session.
    same : (P,) bool
        Pairs taken by one protocol.
    """

    of: torch.Tensor
    channel: torch.Tensor
    contrast: torch.Tensor
    later: torch.Tensor
    same: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """Tissue of a batch (N sessions) before acquisition.

    Attributes
    ----------
    shares : (N, CODES, X, Y, Z) float32
        Share of each tissue in each voxel.
    truth : (N, C, X, Y, Z) float32
        Share of each class.
    thalamus : (N, X, Y, Z) float32
    pattern : (N, X, Y, Z) float32
        Measured brightness, 0 where there is none.
    lesions, veins : (N, X, Y, Z) float32
        Opacity.
    nuclei, regions : (N, X, Y, Z) float32
        Textures of unit SD.
    """

    shares: torch.Tensor
    truth: torch.Tensor
    thalamus: torch.Tensor
    pattern: torch.Tensor
    lesions: torch.Tensor
    veins: torch.Tensor
    nuclei: torch.Tensor
    regions: torch.Tensor


def synthesise(
    anatomies: Anatomies, pairs: int, view: FieldOfView, draws: Draws, *, early: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the images of sessions and their partial-volume truth.

    Parameters
    ----------
    anatomies : Anatomies
        Shapes to start from.
    pairs : int
        Number of heads; each is scanned twice.
    view : FieldOfView
        Contrasts, crop and voxel size.
    draws : Draws
        Source of every random choice.
    early : bool
        Whether the images are those that a training from nothing begins with: thalami of even
        brightness, whose border is easier to find, and stronger deformation.

    Returns
    -------
    images : (2 * pairs, K, X, Y, Z) float32
        One channel for each of ``view.channels``, normalised; missing contrasts are zero. The
        sessions of a pair follow one another.
    truth : (2 * pairs, C, X, Y, Z) float32
        Share of each class in each voxel, summing to 1.
    """
    heads = torch.from_numpy(draws.host.integers(len(anatomies), size=pairs)).to(draws.device)
    bending = 2.5 if early else BENDING
    geometry = draw_geometry(anatomies.placement, heads, view, draws, bending)
    session = choose_images(pairs, view, draws)
    images, truth, _ = render(anatomies, geometry, session, view, draws, early=early)
    return images, truth


def render(
    anatomies: Anatomies,
    geometry: Geometry,
    session: Session,
    view: FieldOfView,
    draws: Draws,
    *,
    early: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, Brightness]:
    """Draw the images of given shapes and sessions: as `synthesise`, with the signals."""
    scene = _scene(anatomies, geometry, session, view, draws, early=early)
    brightness = draw_brightness(geometry.old, session.same, draws)
    images = _tissue_images(scene, brightness, session, view, draws)
    if view.whole_head:
        images = images * _skull_strip(scene.truth, draws)[session.of]
    shifts = draws.uniform(-_MISALIGNED, _MISALIGNED, len(images), 3) * session.later[:, None]
    images = normalise(acquire(images, session.contrast, shifts, view, draws))
    shape = len(scene.truth), len(view.channels), *view.shape
    channels = torch.zeros(shape, device=draws.device)
    channels[session.of, session.channel] = images
    return channels, scene.truth, brightness


def choose_images(pairs: int, view: FieldOfView, draws: Draws) -> Session:
    """Choose the contrasts of each session."""
    host = draws.host
    same = host.random(pairs) < _SAME
    rows: list[tuple[int, int, int, bool]] = []
    for pair in range(pairs):
        present = _present(view, host)
        for visit in range(2):
            if visit == 1 and not same[pair]:
                present = _present(view, host)
            rows += [
                (2 * pair + visit, channel, contrast, order > 0)
                for order, (channel, contrast) in enumerate(present)
            ]
    of, channel, contrast, later = (
        torch.tensor(values, device=draws.device) for values in zip(*rows, strict=True)
    )
    return Session(of, channel, contrast, later, torch.from_numpy(same).to(draws.device))


def _present(view: FieldOfView, host: np.random.Generator) -> list[tuple[int, int]]:
    """Channels and contrasts of a session: one alone, or several."""
    if view.channels == ("any",):
        return [(0, int(host.choice(len(CONTRASTS), p=_ANY)))]
    alone = host.random()
    for channel, edge in enumerate(np.cumsum(_ALONE)):
        if alone < edge:
            return [(channel, channel)]
    count = int(host.integers(2, len(CONTRASTS) + 1))
    return [(int(k), int(k)) for k in host.choice(len(CONTRASTS), size=count, replace=False)]


def _scene(
    anatomies: Anatomies,
    geometry: Geometry,
    session: Session,
    view: FieldOfView,
    draws: Draws,
    *,
    early: bool,
) -> _Scene:
    """Sample anatomies and add what label maps do not hold."""
    position = geometry.positions(view, 2)
    shares = _shares(anatomies.at(geometry.heads, position))
    members = functional.one_hot(CLASS_OF_CODE.to(draws.device), len(CLASSES)).float()
    truth = torch.einsum("nkxyz,kc->ncxyz", shares, members)
    truth = torch.where(geometry.mirrored.view(-1, 1, 1, 1, 1), truth[:, MIRRORED], truth)
    thalamus = truth[:, _LEFT] + truth[:, _RIGHT]
    pattern = torch.zeros_like(thalamus)
    if not early:
        places = functional.avg_pool3d(position, 2)
        off = draws.normal(1.0, len(geometry.heads), 2, 3)
        pattern = anatomies.brightness_at(geometry.heads, places, paired(off, session.same))
    count = len(thalamus)
    nuclei, regions = (
        paired(smooth_noise(draws, count, 1, view.extent, length, view.shape)[:, 0], session.same)
        for length in (5.0, 9.0)
    )
    return _Scene(
        shares=shares,
        truth=truth,
        thalamus=thalamus,
        pattern=pattern,
        lesions=paired(_lesions(truth, shares[:, _WHITE], geometry.old, view, draws), session.same),
        veins=paired(veins(truth, view, draws), session.same),
        nuclei=nuclei,
        regions=regions,
    )


def _shares(codes: torch.Tensor) -> torch.Tensor:
    """Fraction (N, CODES, X, Y, Z) of each code within every 2x2x2 block of (N, 2X, 2Y, 2Z)."""
    count, *fine = codes.shape
    x, y, z = (side // 2 for side in fine)
    blocks = codes.view(count, x, 2, y, 2, z, 2).permute(0, 2, 4, 6, 1, 3, 5)
    index = blocks.reshape(count, 8, x * y * z)
    shares = torch.zeros(count, CODES, x * y * z, device=codes.device)
    shares.scatter_add_(1, index, torch.full((), 0.125, device=codes.device).expand(index.shape))
    return shares.view(count, CODES, x, y, z)


def _tissue_images(
    scene: _Scene, brightness: Brightness, session: Session, view: FieldOfView, draws: Draws
) -> torch.Tensor:
    """Noise-free tissue intensities (K, X, Y, Z), with soft thalamic borders."""
    of, contrast, same = session.of, session.contrast, session.same
    count, kinds = len(scene.thalamus), len(CONTRASTS)

    def draw(low: float, high: float) -> torch.Tensor:
        return paired(draws.uniform(low, high, count, kinds), same)[of, contrast]

    means = torch.cat(
        [brightness.means, brightness.means[:, :, [TISSUE_NAMES.index("thalamus")]]], 2
    )
    image = torch.einsum("nks,nsxyz->nkxyz", means, scene.shares)[of, contrast]
    thalamus, white = scene.thalamus[of], scene.shares[:, _WHITE][of]
    signal = {
        name: brightness.of(name)[of, contrast]
        for name in ("white matter", "thalamus", "cortex", "ventricle")
    }
    step = column(signal["white matter"] - signal["thalamus"])
    # Outside: the capsule next to the thalamus is closer to it than other white matter, on FLAIR
    # and T2w perhaps beyond it.
    near = blur(thalamus, draw(1.2, 2.5) / view.spacing)
    most = torch.tensor(_CLOSEST, device=draws.device)[contrast]
    image = image - white * (column(draw(0.0, 1.6)) * near).minimum(column(most)) * step
    # Inside: the thalamus approaches white matter only close to the border.
    near = blur(white, draw(0.8, 2.0) / view.spacing)
    image = image + thalamus * column(draw(0.0, 0.7)) * near * step
    span = signal["white matter"] - brightness.striatum[of, contrast]
    amount = column(draw(*_PATTERN_AMOUNT) * span)
    pattern = scene.pattern[of]
    near = 2 * blur(thalamus, torch.full_like(span, 3.0 / view.spacing))
    near = near.clamp(max=1.0)
    for tissue in (thalamus, white * near, scene.shares[:, _DIENCEPHALON][of] * near):
        weight = tissue.sum((1, 2, 3)).clamp(min=1.0)
        mean = column((tissue * pattern).sum((1, 2, 3)) / weight)
        image = image + tissue * amount * (pattern - mean)
    # Nuclei, and regional differences of myelination.
    image = image + thalamus * scene.nuclei[of] * column(draw(0.0, 0.3)) * step
    spread = (signal["white matter"] - signal["cortex"]).abs()
    inside = 1 - scene.truth[:, 0][of]
    image = image + inside * scene.regions[of] * column(draw(0.0, 0.12) * spread)
    fraction = torch.tensor(LESION_FRACTION, device=draws.device)[contrast]
    fraction = fraction[:, 0] + (fraction[:, 1] - fraction[:, 0]) * draw(0.0, 1.0)
    shade = signal["white matter"] + fraction * (signal["ventricle"] - signal["white matter"])
    image = image + scene.lesions[of] * (column(shade.clamp(min=0.0)) - image)
    # Blood is dark, or bright after contrast agent.
    enhanced = brightness.enhanced[of, contrast]
    shade = signal["white matter"] * torch.where(enhanced, draw(0.9, 1.7), draw(0.1, 0.5))
    visible = torch.where(enhanced, draw(0.4, 1.0), draw(0.0, 0.6) * (draw(0.0, 1.0) < 0.4))
    return image + scene.veins[of] * column(visible) * (column(shade) - image)


def _lesions(
    truth: torch.Tensor, white: torch.Tensor, old: torch.Tensor, view: FieldOfView, draws: Draws
) -> torch.Tensor:
    """Opacity (N, X, Y, Z) of up to eight lesions, and of caps of the ventricles in the old.

    A third of the lesions begin inside a thalamus, in white matter or at its border. The truth
    does not change: a lesion of the thalamus is thalamus.
    """
    count = len(truth)
    thalamus = truth[:, _LEFT] + truth[:, _RIGHT]
    host = thalamus + truth[:, _PARENCHYMA]
    axes = [torch.arange(side, device=truth.device) for side in view.shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).float() * view.spacing
    places = grid.flatten(1)
    clear = torch.ones_like(host)
    lesioned = draws.chance(_LESIONED, count)
    number = draws.uniform(0.0, _LESIONS, count)
    for lesion in range(_LESIONS):
        within = draws.chance(1 / 3, count)
        among = torch.where(column(within), thalamus, host).flatten(1) > 0.5
        centre = places[:, draws.place(among.float() + 1e-9)].T
        radii = draws.uniform(1.0, 4.0, count, 1) * draws.normal(0.25, count, 3).exp()
        offset = (grid - centre[:, :, None, None, None]) / radii[:, :, None, None, None]
        distance = offset.square().sum(1).sqrt() * column(radii.mean(1))
        opacity = draws.uniform(0.3, 0.95, count) * (lesioned & (number > lesion))
        clear = clear * (
            1 - torch.sigmoid((column(radii.mean(1)) - distance) / 0.6) * column(opacity)
        )
    caps = blur(
        truth[:, _VENTRICLES], torch.full((count,), 3.0 / view.spacing, device=truth.device)
    )
    amount = draws.uniform(-0.6, 0.8, count).clamp(min=0.0) * old
    clear = clear * (1 - column(amount) * white * (3 * caps).clamp(max=1.0))
    return host * (1 - clear)


def veins(truth: torch.Tensor, view: FieldOfView, draws: Draws) -> torch.Tensor:
    """Draw veins in the CSF that covers the thalami, as opacity (N, X, Y, Z).

    The internal cerebral, thalamostriate and basal veins are curves in which the surface of the
    thalami meets the zero level of a smooth random field; the great vein and the choroid plexus
    are larger bodies that fill some of the CSF.
    """
    count = len(truth)
    fluid = truth[:, _VENTRICLES] + truth[:, _SULCI]
    voxel = torch.full((count,), 1 / view.spacing, device=truth.device)
    thalamus = truth[:, _LEFT] + truth[:, _RIGHT]
    surface = (8 * blur(thalamus, 1.2 * voxel) * blur(fluid, 0.6 * voxel)).clamp(max=1.0)
    level = smooth_noise(draws, count, 1, view.extent, 10.0, view.shape)[:, 0]
    width = column(draws.uniform(*_VEIN_WIDTH, count))
    curves = surface * (1 - thalamus) * torch.exp(-(level / width).square())
    level = smooth_noise(draws, count, 1, view.extent, 7.0, view.shape)[:, 0]
    near = (8 * blur(thalamus, 5.0 * voxel)).clamp(max=1.0)
    filled = column(draws.uniform(0.5, 1.5, count))
    bodies = fluid * near * torch.sigmoid((level - filled) / 0.1)
    return curves.maximum(bodies)


def _skull_strip(truth: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Masks (N, X, Y, Z) as brain extraction leaves them in half of the heads."""
    count = len(truth)
    intracranial = 1 - truth[:, 0]
    brain = blur(intracranial - truth[:, _SULCI], torch.ones(count, device=truth.device))
    generous = brain > column(draws.uniform(0.1, 0.6, count))
    stripped = column(draws.chance(0.5, count))
    return (~stripped | (generous & (intracranial > 0.2))).float()
