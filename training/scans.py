"""Training examples from real T1w scans: ``python -m training.scans OUTPUT IMAGES...``.

Writes the surroundings of the thalami. No hand has labelled these scans: the training labels them
with an earlier network, averaged over many placements of its field of view and over mirror images.
Deformed by the same amount, scan and labels teach what synthetic images cannot: the appearance of
real tissue when a thalamus is larger or smaller than its surroundings suggest.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import affine_transform
from torch.nn import functional

from training.acquisition import normalise
from training.draws import Draws
from training.geometry import rotations
from training.labels import BRIGHTEST, CLASSES, Crop, Scan
from training.network import ResidualUNet
from training.storage import read_all, save
from training.synthesis import MIRRORED
from training.views import REGION

# Half the sides of the box around the thalami that is kept, and its voxels, in mm.
_REACH = np.array([50.0, 44.0, 40.0])
_SPACING = 0.8
# Placements of the field of view; SD of their turns (radians) and shifts (mm).
_PLACEMENTS, _TURN, _SHIFT = 16, math.radians(6.0), 3.0


def crop(path: Path) -> Crop:
    """Read a T1w scan around the thalami that the released networks find."""
    from bids_app.dataset.images import read_volume
    from bids_app.images.geometry import Grid
    from bids_app.images.volume import to_ras
    from bids_app.segmentation import thalnet

    scan = to_ras(read_volume(path))
    dseg = thalnet.segment({"T1w": scan}, threads=2, flip_averaging=False).dseg
    centre = (scan.affine @ [*np.argwhere(dseg > 0).mean(0), 1])[:3]
    nx, ny, nz = (int(n) for n in 2 * np.ceil(_REACH / _SPACING))
    affine = Grid.around(centre, (nx, ny, nz), _SPACING).affine
    # Cubic, so that the linear interpolation of training blurs only once.
    matrix = np.linalg.inv(scan.affine) @ affine
    image = affine_transform(
        scan.data.astype(np.float32), matrix[:3, :3], matrix[:3, 3], (nx, ny, nz)
    )
    low, high = np.percentile(image, [0.5, 99.5])
    share = np.clip((image - low) / (high - low), 0, 1)
    return Crop(np.round(BRIGHTEST * share).astype(np.uint8))


def label_all(
    crops: Sequence[Crop], network: ResidualUNet, folder: Path, device: str
) -> list[Scan]:
    """Label scans; those that have a file in the folder already are read from it."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, item in enumerate(crops):
        path = folder / f"{seed:03}.npz"
        if not path.exists():
            save(label(item, network, seed, device), path)
    return read_all(Scan, folder)


def label(item: Crop, network: ResidualUNet, seed: int, device: str = "cpu") -> Scan:
    """Segment the surroundings of the thalami in a cropped T1w scan.

    Parameters
    ----------
    item : Crop
        Made by `crop`, with the thalami in the middle.
    network : ResidualUNet
        On ``device``.
    seed : int
    device : str
    """
    image = (item.image / BRIGHTEST).astype(np.float32)
    with torch.no_grad():
        shares = _averaged(image, network, Draws((seed,), device))
    return Scan(image, shares, (np.array(image.shape) - 1) / 2, _SPACING)


def _averaged(
    image: npt.NDArray[np.float32], network: ResidualUNet, draws: Draws
) -> npt.NDArray[np.float16]:
    """Average the probabilities (C, X, Y, Z) of many placements of the field of view."""
    device = draws.device
    volume = torch.from_numpy(image).to(device)[None, None]
    sides = torch.tensor(image.shape, dtype=torch.float32, device=device) * _SPACING
    region = torch.tensor(REGION.extent, device=device)
    turns = rotations(draws.normal(_TURN, _PLACEMENTS, 3))
    shifts = draws.normal(_SHIFT, _PLACEMENTS, 3)
    total = torch.zeros(len(CLASSES), *image.shape, device=device)
    reached = torch.zeros(image.shape, device=device)
    for turn, shift in zip(turns, shifts, strict=True):
        # Rows of a sampling matrix for unit coordinates, the last axis first.
        there = torch.cat([turn * region / sides[:, None], 2 * (shift / sides)[:, None]], 1)
        sampled = functional.grid_sample(
            volume, _unit_grid(there, REGION.shape), padding_mode="border", align_corners=False
        )
        images = torch.zeros(1, len(REGION.channels), *REGION.shape, device=device)
        images[0, :1] = normalise(sampled[:, 0])
        probability = network(images).softmax(1)
        mirrored = network(images.flip(2)).softmax(1).flip(2)[:, MIRRORED]
        probability = (probability + mirrored) / 2
        back = torch.cat(
            [turn.T * sides / region[:, None], -2 * (turn.T @ shift / region)[:, None]], 1
        )
        grid = _unit_grid(back, image.shape)
        ones = torch.ones_like(probability[:, :1])
        values = functional.grid_sample(
            torch.cat([probability, ones], 1), grid, align_corners=False
        )[0]
        total += values[:-1]
        reached += values[-1]
    shares = torch.where(reached > 0.99, total / reached.clamp(min=0.99), 0.0)
    return np.asarray(shares.half().cpu().numpy())


def _unit_grid(matrix: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Make the sampling grid (1, X, Y, Z, 3) of an affine map (3, 4) between unit coordinates."""
    # affine_grid orders coordinates from the last axis to the first.
    turned = torch.cat([matrix[:, :3].flip(0, 1), matrix[:, 3:].flip(0)], 1)
    return functional.affine_grid(turned[None], [1, 1, *shape], align_corners=False)


def main() -> None:
    """Read the arguments, cut out what has no file yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("images", type=Path, nargs="+", help="BIDS folders with T1w scans")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    paths = [
        path
        for folder in arguments.images
        for path in sorted(folder.glob("sub-*/anat/*_T1w.nii.gz"))
    ]
    for number, path in enumerate(paths):
        # Datasets number their subjects alike.
        output = arguments.output / f"{number:03}_{path.name.split('_')[0]}.npz"
        if not output.exists():
            save(crop(path), output)
            print(path.name, flush=True)


if __name__ == "__main__":
    main()
