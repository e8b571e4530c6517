"""Training anatomies with manual thalami: ``python -m training.shapes SHAPES LABELMAPS OUTPUT``.

The subcortical maps of Rushmore et al. 2022 (doi:10.3389/fnana.2022.894606) were drawn by hand at
0.7 mm, but hold neither white matter nor cortex. Here each is completed: a whole-head label map is
brought onto it by affine and SyN registration of images painted from the labels that both have,
and fills what the hand left empty.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from training.labels import (
    CLASS_OF_TISSUE,
    CLASSES,
    TISSUE_NAMES,
    LabelMap,
    read_label_maps,
)
from training.storage import save

# The numbers of these maps are one too low from the thalamus on.
_SHIFTED = ("192540", "361941", "523032")
_LEFT_THALAMUS, _RIGHT_THALAMUS = 16, 17
# Tissue of each number of the manual maps (lut/dseg.tsv of the release).
_MANUAL = {
    "ventricle": (1, 2, 4, 5, 6, 18, 19),
    "cerebrospinal fluid": (3,),
    "accumbens": (7, 8),
    "caudate": (9, 10),
    "putamen": (11, 12),
    "pallidum": (13, 14),
    "brainstem": (15,),
    "thalamus": (16, 17),
    "hippocampus": (20, 21),
    "amygdala": (22, 23),
    "optic chiasm": (24,),
    "ventral diencephalon": (25, 26, 27, 28),
    "cerebellar cortex": (29, 30),
    "cerebellar white matter": (31, 32),
}
# Brightness in the registration. Everything that the manual maps lack has the same.
BRIGHTNESS = {
    "ventricle": 5,
    "accumbens": 40,
    "caudate": 40,
    "putamen": 30,
    "pallidum": 55,
    "thalamus": 45,
    "hippocampus": 35,
    "amygdala": 35,
    "brainstem": 95,
    "ventral diencephalon": 85,
    "cerebellar cortex": 60,
    "cerebellar white matter": 60,
}
UNLABELLED = 70
# Half the sides of the box around the thalami that is kept, in mm: what a crop can reach.
_REACH = (52.0, 56.0, 48.0)
_REGISTERED_SPACING = 2.0


def complete(shape_path: Path, filler: LabelMap) -> LabelMap:
    """Complete one manual map with the tissues of a whole-head map.

    Parameters
    ----------
    shape_path : Path
        Manual subcortical labels.
    filler : LabelMap
        Whole head, 1 mm.

    Returns
    -------
    LabelMap
        A box around the thalami, on the manual map's grid.
    """
    image = nib.as_closest_canonical(nib.load(shape_path))
    spacing = float(image.header.get_zooms()[0])
    manual = np.asarray(image.dataobj).astype(np.uint8)
    thalami = (manual == _LEFT_THALAMUS) | (manual == _RIGHT_THALAMUS)
    centre = np.argwhere(thalami).mean(0)
    reach = np.ceil(np.array(_REACH) / spacing)
    low = np.maximum(np.round(centre - reach), 0).astype(int)
    high = np.minimum(np.round(centre + reach), manual.shape).astype(int)
    manual = manual[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    drawn = np.full(manual.shape, TISSUE_NAMES.index("air"), dtype=np.uint8)
    for tissue, numbers in _MANUAL.items():
        drawn[np.isin(manual, numbers)] = TISSUE_NAMES.index(tissue)
    filled = _warped(filler, drawn, manual > 0, centre - low, spacing)
    tissues = _composed(drawn, manual > 0, filled)
    classes = CLASS_OF_TISSUE[tissues]
    classes[manual == _LEFT_THALAMUS] = CLASSES.index("left thalamus")
    classes[manual == _RIGHT_THALAMUS] = CLASSES.index("right thalamus")
    return LabelMap(tissues, classes, centre - low, spacing)


def _painted(
    tissues: npt.NDArray[np.uint8], labelled: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    table = np.array([BRIGHTNESS.get(name, UNLABELLED) for name in TISSUE_NAMES], np.float32)
    return np.where(labelled, table[tissues], np.float32(UNLABELLED))


def _warped(
    filler: LabelMap,
    drawn: npt.NDArray[np.uint8],
    labelled: npt.NDArray[np.bool_],
    centre: npt.NDArray[np.float64],
    spacing: float,
) -> npt.NDArray[np.uint8]:
    """Bring the filler's tissues onto the grid of the manual map."""
    fixed = ants.from_numpy(
        _painted(drawn, labelled), origin=tuple(-centre * spacing), spacing=(spacing,) * 3
    )
    target = ants.resample_image(fixed, (_REGISTERED_SPACING,) * 3, use_voxels=False, interp_type=0)
    origin = tuple(-filler.thalamus * filler.spacing)
    size = (filler.spacing,) * 3
    everywhere = np.ones(filler.tissues.shape, dtype=bool)
    moving = ants.from_numpy(_painted(filler.tissues, everywhere), origin=origin, spacing=size)
    transform = ants.registration(
        target,
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
    tissues = ants.from_numpy(filler.tissues.astype(np.float32), origin=origin, spacing=size)
    warped = ants.apply_transforms(
        fixed, tissues, transform["fwdtransforms"], interpolator="nearestNeighbor"
    )
    for path in {*transform["fwdtransforms"], *transform["invtransforms"]}:
        Path(path).unlink()
    return np.asarray(warped.numpy().round(), dtype=np.uint8)


def _composed(
    drawn: npt.NDArray[np.uint8], labelled: npt.NDArray[np.bool_], filled: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Manual labels where there are any, the filler's other tissues elsewhere."""
    manual_tissues = [TISSUE_NAMES.index(name) for name in _MANUAL if name != "cerebrospinal fluid"]
    plexus = TISSUE_NAMES.index("choroid plexus")
    # Where the filler still has a structure that the hand did not draw there, its surroundings win.
    usable = ~np.isin(filled, manual_tissues)
    nearest = distance_transform_edt(~usable, return_distances=False, return_indices=True)
    surroundings = filled[tuple(nearest)]
    tissues = np.where(labelled, drawn, surroundings)
    in_ventricle = labelled & (drawn == TISSUE_NAMES.index("ventricle"))
    tissues[in_ventricle & (filled == plexus)] = plexus
    return np.asarray(tissues, dtype=np.uint8)


def _write(shape_path: Path, filler: LabelMap, output: Path) -> None:
    path = output / f"{shape_path.name.split('_')[0]}.npz"
    if not path.exists():
        save(complete(shape_path, filler), path)


def main() -> None:
    """Read the arguments, complete every manual map that has no file yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shapes", type=Path, help="folder dseg of the manual maps")
    parser.add_argument("labelmaps", type=Path, help="folder of whole-head label maps")
    parser.add_argument("output", type=Path)
    parser.add_argument("--maps", type=int, help="how many, in the order of names; default: all")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    paths = sorted(arguments.shapes.glob("*_dseg.nii.gz"))
    paths = [path for path in paths if not path.name.startswith(_SHIFTED)]
    paths = paths[: arguments.maps]
    heads = read_label_maps(arguments.labelmaps)
    fillers = [heads[index % len(heads)] for index in range(len(paths))]
    with ProcessPoolExecutor(arguments.processes) as pool:
        list(pool.map(_write, paths, fillers, repeat(arguments.output)))


if __name__ == "__main__":
    main()
