"""Redraw the thalami of the average anatomy: ``python -m training.protocol ANATOMIES FOLDER``.

The label maps behind the average anatomy follow another protocol than the manual maps that the
region network learns from. So that simulations, the atlas method and the network mean the same by
thalamus, the mean of the manual thalami takes the place of the old ones. What places them is
everything around: the thalami themselves are hidden from the registration.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from training.anatomy import FILE_STEM, NAMES, write_labels
from training.labels import CLASSES, TISSUE_NAMES, LabelMap
from training.shapes import BRIGHTNESS, UNLABELLED
from training.storage import read_all

Array = npt.NDArray[np.float32]
_LEFT, _RIGHT = NAMES.index("left thalamus"), NAMES.index("right thalamus")
_HIDDEN = ("thalamus", "left thalamus", "right thalamus")
_SPACING = 2.0
_README = """
The thalami are the mean of {maps} manual ones (Rushmore et al. 2022,
doi:10.3389/fnana.2022.894606; 3D Slicer License, Part B), brought here by
`python -m training.protocol`: registration to everything around them, and the voxels that most of
them share, as many as keep their mean volume.
"""


def mean_thalami(
    anatomies: list[LabelMap], tissues: npt.NDArray[np.uint8], origin: npt.NDArray[np.float64]
) -> Array:
    """Bring manual thalami into the space of the average anatomy.

    Parameters
    ----------
    anatomies : list of LabelMap
        Written by ``training.shapes``.
    tissues : (X, Y, Z) uint8
        Index into ``training.anatomy.NAMES``, RAS, 1 mm.
    origin : (3,) float
        World position in mm of the first voxel.

    Returns
    -------
    (2, X, Y, Z) float32
        Share of anatomies, mirror images included, with left and right thalamus there.
    """
    # Axes stay in RAS order throughout, which ANTs need not know.
    grid = ants.from_numpy(_painted(tissues, NAMES), origin=tuple(origin))
    fixed = ants.resample_image(grid, (_SPACING,) * 3, use_voxels=False, interp_type=0)
    total = np.zeros((2, *tissues.shape), dtype=np.float32)
    for anatomy in anatomies:
        place = {
            "origin": tuple(-anatomy.thalamus * anatomy.spacing),
            "spacing": (anatomy.spacing,) * 3,
        }
        moving = ants.from_numpy(_painted(anatomy.tissues, TISSUE_NAMES), **place)
        transform = ants.registration(
            fixed,
            moving,
            type_of_transform="SyN",
            initial_transform="Identity",
            aff_metric="meansquares",
            syn_metric="meansquares",
            aff_iterations=(200, 100, 50),
            aff_shrink_factors=(6, 4, 2),
            aff_smoothing_sigmas=(3, 2, 1),
            reg_iterations=(40, 30, 10),
            random_seed=1,
        )
        for side, name in enumerate(("left thalamus", "right thalamus")):
            mask = (anatomy.classes == CLASSES.index(name)).astype(np.float32)
            warped = ants.apply_transforms(
                grid, ants.from_numpy(mask, **place), transform["fwdtransforms"]
            )
            total[side] += warped.numpy()
        for path in {*transform["fwdtransforms"], *transform["invtransforms"]}:
            Path(path).unlink()
    total += total[::-1, ::-1].copy()
    total /= np.float32(2 * len(anatomies))
    return total


def redraw(tissues: npt.NDArray[np.uint8], thalami: Array) -> npt.NDArray[np.uint8]:
    """Replace the thalami; what they leave free goes to the nearest other tissue.

    Parameters
    ----------
    tissues : (X, Y, Z) uint8
    thalami : (2, X, Y, Z) float32
        Shares, as of `mean_thalami`. The voxels with the highest are taken, as many as keep the
        mean volume.

    Returns
    -------
    (X, Y, Z) uint8
    """
    old = (tissues == _LEFT) | (tissues == _RIGHT)
    nearest = distance_transform_edt(old, return_distances=False, return_indices=True)
    redrawn: npt.NDArray[np.uint8] = tissues[tuple(nearest)]
    either = thalami.sum(0)
    edge = np.sort(either.ravel())[-round(float(either.sum(dtype=np.float64)))]
    inside = either >= edge
    redrawn[inside & (thalami[0] > thalami[1])] = _LEFT
    return _mirror_symmetric(redrawn)


def _mirror_symmetric(tissues: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Join the left half and its mirror image; the midline belongs to neither thalamus."""
    half = tissues.shape[0] // 2
    swap = np.arange(len(NAMES), dtype=np.uint8)
    swap[_LEFT] = _RIGHT
    symmetric = tissues.copy()
    symmetric[-half:] = swap[tissues[:half][::-1]]
    return symmetric


def _painted(tissues: npt.NDArray[np.uint8], names: tuple[str, ...]) -> Array:
    shown = [UNLABELLED if name in _HIDDEN else BRIGHTNESS.get(name, UNLABELLED) for name in names]
    painted: Array = np.array(shown, dtype=np.float32)[tissues]
    return painted


def main() -> None:
    """Read the arguments, rewrite the label image and its description."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("anatomies", type=Path, help="folder written by training.shapes")
    parser.add_argument("folder", type=Path, help="folder written by training.anatomy")
    parser.add_argument("--maps", type=int, default=16, help="how many, evenly spread over names")
    arguments = parser.parse_args()
    anatomies = read_all(LabelMap, arguments.anatomies)
    chosen = [anatomies[k] for k in np.linspace(0, len(anatomies) - 1, arguments.maps).astype(int)]
    path = arguments.folder / f"{FILE_STEM}.nii.gz"
    image = nib.Nifti1Image.from_filename(path)
    tissues = np.asarray(image.dataobj).astype(np.uint8)
    thalami = mean_thalami(chosen, tissues, image.affine[:3, 3])
    redrawn = redraw(tissues, thalami)
    affine = image.affine.copy()
    centres = [np.argwhere(redrawn == side).mean(0) for side in (_LEFT, _RIGHT)]
    affine[:3, 3] = -np.mean(centres, axis=0)
    write_labels(redrawn, affine, arguments.folder)
    describe(thalami, len(chosen), arguments.folder)


def describe(thalami: Array, maps: int, folder: Path) -> None:
    """Name the new source of the thalami in the description and the README."""
    path = folder / f"{FILE_STEM}.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["Source"] += "; thalami: HOA-2 subcortical maps, doi:10.3389/fnana.2022.894606"
    description["License"] += "; thalami: 3D Slicer License, Part B"
    description["MeanThalamusVolumeOfSource"] = round(float(thalami.sum(dtype=np.float64)) / 1e3, 3)
    path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    path = folder / "README.md"
    path.write_text(path.read_text(encoding="utf-8") + _README.format(maps=maps), encoding="utf-8")


if __name__ == "__main__":
    main()
