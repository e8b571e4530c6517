"""Training examples from real T1w scans: ``python -m training.scans IMAGES OUTPUT``.

No hand has labelled these scans. Their labels are what the network of a first training finds,
averaged over many placements of its field of view and over mirror images. Deformed by a known
amount, scan and labels teach what synthetic images cannot: how real tissue looks when a thalamus is
larger or smaller than its surroundings suggest.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from training.labels import CLASSES
from training.storage import save

Array = npt.NDArray[np.float32]

# Half the sides of the box around the thalami that is kept, and its voxels, in mm.
_REACH = np.array([50.0, 44.0, 40.0])
_SPACING = 0.8
# Placements of the field of view; SD of their turns (degrees) and shifts (mm).
_PLACEMENTS, _TURN, _SHIFT = 16, 6.0, 3.0


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan around the thalami, RAS.

    Attributes
    ----------
    image : (X, Y, Z) float32
        From 0 to 1.
    shares : (C, X, Y, Z) float16
        Probability of each class; all of them are 0 where the labels do not reach.
    thalamus : (3,) float
        Centre of both thalami, in voxels.
    spacing : float
        Voxel side in mm.
    """

    image: Array
    shares: npt.NDArray[np.float16]
    thalamus: npt.NDArray[np.float64]
    spacing: float = _SPACING

    @cached_property
    def classes(self) -> npt.NDArray[np.uint8]:
        """Most probable class (X, Y, Z)."""
        return np.asarray(self.shares.argmax(0), dtype=np.uint8)


def label(path: Path, seed: int) -> Scan:
    """Outline the thalami of one T1w scan with the released networks."""
    from bids_app.dataset.images import read_volume
    from bids_app.images.geometry import Grid
    from bids_app.images.resampling import resample
    from bids_app.images.volume import Volume, to_ras
    from bids_app.segmentation import thalnet
    from training.synthesis import REGION

    scan = to_ras(read_volume(path))
    found = thalnet.segment({"T1w": scan}, threads=2)
    centre = (scan.affine @ [*np.argwhere(found.dseg > 0).mean(0), 1])[:3]
    nx, ny, nz = (int(n) for n in 2 * np.ceil(_REACH / _SPACING))
    shape = (nx, ny, nz)
    grid = Grid.around(centre, shape, _SPACING)
    affine = grid.affine
    # Cubic, so that the linear interpolation of training blurs only once.
    matrix = np.linalg.inv(scan.affine) @ affine
    image = affine_transform(scan.data.astype(np.float32), matrix[:3, :3], matrix[:3, 3], shape)
    low, high = np.percentile(image, [0.5, 99.5])
    image = np.clip((image - low) / (high - low), 0, 1).astype(np.float32)
    rng = np.random.default_rng(seed)
    total = np.zeros((len(CLASSES), *shape), dtype=np.float32)
    reached = np.zeros(shape, dtype=np.float32)
    for _ in range(_PLACEMENTS):
        turn = Rotation.from_euler("xyz", rng.normal(0, _TURN, 3), degrees=True).as_matrix()
        placed = Grid.around(np.zeros(3), REGION.shape, REGION.spacing).affine
        placed[:3] = turn @ placed[:3]
        placed[:3, 3] += centre + rng.normal(0, _SHIFT, 3)
        look = thalnet.infer(
            "region", [scan, None, None, None], Grid(REGION.shape, placed), 2, flip_averaging=True
        )
        for channel, probability in enumerate(look.probabilities):
            total[channel] += resample(Volume(probability, placed), grid)
        reached += resample(Volume(np.ones(REGION.shape, np.float32), placed), grid)
    shares = np.where(reached >= 1, total / np.maximum(reached, 1), 0).astype(np.float16)
    middle = (np.linalg.inv(affine) @ [*centre, 1])[:3]
    return Scan(image, shares, middle)


def main() -> None:
    """Read the arguments, label every scan, write one file for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path, help="BIDS folder with T1w scans")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for seed, path in enumerate(sorted(arguments.images.glob("sub-*/anat/*_T1w.nii.gz"))):
        save(label(path, seed), arguments.output / f"{path.name.split('_')[0]}.npz")
        print(path.name, flush=True)


if __name__ == "__main__":
    main()
