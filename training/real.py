"""Real T1w scans, deformed with their labels."""

from __future__ import annotations

import torch

from training.acquisition import acquire, normalise
from training.anatomies import Scans
from training.draws import Draws
from training.fields import column
from training.geometry import draw_geometry
from training.labels import CLASSES
from training.synthesis import BENDING, MIRRORED, veins
from training.views import CONTRASTS, FieldOfView

# Share of images that stay T1w; the others get the tissue order of FLAIR or T2w.
_T1W = 0.6
# Intensities of nothing, CSF, deep grey matter, white matter and anything brighter, as changed.
_ORDERS = {"FLAIR": (0.0, 0.12, 0.8, 0.62, 0.55), "T2w": (1.0, 1.0, 0.45, 0.3, 0.25)}
_ORDER_SD = 0.04
# Contrast of white with grey matter in half of the T1w images, relative to the scan's.
_CONTRAST = (0.3, 1.2)
# Share of T1w images to which contrast agent is given, and brightness of blood then.
_ENHANCED, _BLOOD = 0.2, (0.8, 1.7)
# Share of images whose thalami are darkened or brightened, and by how much of the contrast of white
# with grey matter: iron, age and illness change them.
_ALTERED, _ALTERATION = 0.5, (-0.4, 0.3)
# Noise that is added, relative to that of synthetic images: scans contain some already.
_NOISE = 0.7
_GREY, _VENTRICLES = CLASSES.index("other deep grey matter"), CLASSES.index("ventricles")
_PARENCHYMA = CLASSES.index("other parenchyma")
_THALAMI = [CLASSES.index("left thalamus"), CLASSES.index("right thalamus")]


def deform_scans(
    scans: Scans, pairs: int, view: FieldOfView, draws: Draws
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw sessions with one image each from real T1w scans.

    Parameters
    ----------
    scans : Scans
    pairs : int
        Number of heads; each is acquired twice, with different noise, resolution and bias field.
    view : FieldOfView
    draws : Draws

    Returns
    -------
    images : (2 * pairs, K, X, Y, Z) float32
        As of ``training.synthesis.synthesise``; all channels but one are zero.
    truth : (2 * pairs, C, X, Y, Z) float32
        Share of each class in each voxel; all are 0 where the scan's labels do not reach.
    """
    heads = torch.from_numpy(draws.host.integers(len(scans), size=pairs)).to(draws.device)
    geometry = draw_geometry(scans.placement, heads, view, draws, BENDING)
    values = scans.at(geometry.heads, geometry.positions(view, 1))
    image, truth = values[:, 0], values[:, 1:]
    truth = torch.where(geometry.mirrored.view(-1, 1, 1, 1, 1), truth[:, MIRRORED], truth)
    count = len(image)
    image = _altered(image, truth, draws)
    image = image.clamp(min=0.0) ** column(draws.normal(0.15, count).exp())
    others = draws.host.choice([1, 2], size=count)
    chosen = [0 if draws.host.random() < _T1W else int(k) for k in others]
    contrast = torch.tensor(chosen, device=draws.device)
    image, white = _reordered(image, truth, contrast, draws)
    enhanced = (contrast == 0) & draws.chance(_ENHANCED, count)
    opacity = column(enhanced * draws.uniform(0.4, 1.0, count)) * veins(truth, view, draws)
    image = image + opacity * (column(white * draws.uniform(*_BLOOD, count)) - image)
    shifts = torch.zeros(count, 3, device=draws.device)
    image = normalise(acquire(image, contrast, shifts, view, draws, strength=_NOISE))
    images = torch.zeros(count, len(view.channels), *view.shape, device=draws.device)
    images[torch.arange(count, device=draws.device), contrast] = image
    return images, truth


def _altered(image: torch.Tensor, truth: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Change the brightness of the thalami relative to all else."""
    count = len(image)

    def mean(share: torch.Tensor) -> torch.Tensor:
        return (share * image).sum((1, 2, 3)) / share.sum((1, 2, 3)).clamp(min=1.0)

    contrast = (mean(truth[:, _PARENCHYMA]) - mean(truth[:, _GREY])).clamp(min=0.0)
    amount = draws.uniform(*_ALTERATION, count) * draws.chance(_ALTERED, count)
    return image + column(amount * contrast) * truth[:, _THALAMI].sum(1)


def _reordered(
    image: torch.Tensor, truth: torch.Tensor, contrast: torch.Tensor, draws: Draws
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map T1w intensities to the tissue order of another contrast, or to another T1w contrast.

    Returns
    -------
    image : (N, X, Y, Z) float32
    white : (N,) float32
        Brightness of white matter in the scans as they were.
    """

    def mean(share: torch.Tensor) -> torch.Tensor:
        return (share * image).sum((1, 2, 3)) / share.sum((1, 2, 3)).clamp(min=1.0)

    parenchyma = truth[:, _PARENCHYMA]
    average = mean(parenchyma)
    weight = parenchyma.sum((1, 2, 3)).clamp(min=1.0)
    spread = (parenchyma * (image - column(average)).square()).sum((1, 2, 3)) / weight
    grey = mean(truth[:, _GREY])
    fluid = mean(truth[:, _VENTRICLES]).minimum(0.8 * grey)
    white = (average + 0.8 * spread.sqrt()).maximum(1.05 * grey)
    levels = torch.stack([torch.zeros_like(grey), fluid, grey, white, 1.3 * white], 1)
    table = torch.tensor(
        [_ORDERS.get(name, (0.0,) * 5) for name in CONTRASTS], device=image.device
    )[contrast]
    table = (table + draws.normal(_ORDER_SD, *table.shape)).clamp(min=0.0)
    flat = draws.uniform(*_CONTRAST, len(image), 1)
    flat = torch.where(draws.chance(0.5, len(image), 1), flat, 1.0)
    paler = torch.cat([levels[:, :3], grey[:, None] + flat * (levels[:, 3:] - grey[:, None])], 1)
    table = torch.where((contrast == 0)[:, None], paler, table)
    mapped = column(table[:, 0]).expand_as(image)
    for low in range(4):
        start, end = column(levels[:, low]), column(levels[:, low + 1])
        part = (image.maximum(start).minimum(end) - start) / (end - start).clamp(min=1e-3)
        mapped = mapped + part * column(table[:, low + 1] - table[:, low])
    # Above the last level T1w goes on as it was.
    above = (image - column(levels[:, 4])).clamp(min=0.0) * (column(contrast) == 0)
    return mapped + above, white
