"""The average anatomy of the simulated heads, and how its tissue moves when thalami shrink.

Positions are in mm and RAS; the origin of the anatomy is the midpoint of the thalami.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import as_file, files

import nibabel as nib
import numpy as np
import numpy.typing as npt

from bids_app.simulation.displacement import Field, atrophy_field

Labels = npt.NDArray[np.uint8]

LEFT, RIGHT = 1, 2
_ANATOMY = "tpl-thalbids_res-1_dseg"


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The average anatomy, and how its tissue moves when the thalami shrink.

    Attributes
    ----------
    tissues : (X, Y, Z) uint8
        Index into ``names``; RAS, 1 mm isotropic.
    low : (3,) float
        Position of the first voxel's centre in mm.
    names : tuple of str
        Tissue of each index; 1 is the left and 2 the right thalamus.
    atrophy : Field
        Displacement of the tissue per unit of thalamic volume lost.
    """

    tissues: Labels
    low: npt.NDArray[np.float64]
    names: tuple[str, ...]
    atrophy: Field


def load_anatomy() -> Anatomy:
    """Read the average anatomy that comes with the package.

    Returns
    -------
    Anatomy

    Raises
    ------
    FileNotFoundError
        If the package was installed without its anatomy.
    """
    folder = files("bids_app") / "assets" / "anatomy"
    with as_file(folder / f"{_ANATOMY}.nii.gz") as path:
        image = nib.Nifti1Image.from_filename(path)
        tissues = np.asarray(image.dataobj, dtype=np.uint8)
    with (folder / f"{_ANATOMY}.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    names = ("background", *(row["name"] for row in rows))
    low = np.asarray(image.affine[:3, 3], dtype=np.float64)
    thalami = (tissues == LEFT) | (tissues == RIGHT)
    field = atrophy_field(thalami, tissues == names.index("ventricle"), low)
    return Anatomy(tissues, low, names, field)


def thalamus_box(anatomy: Anatomy, margin: int) -> tuple[slice, ...]:
    """Find the part of the anatomy's grid with both thalami and some voxels around them."""
    inside = (anatomy.tissues == LEFT) | (anatomy.tissues == RIGHT)
    box = []
    for others in ((1, 2), (0, 2), (0, 1)):
        place = np.flatnonzero(inside.any(others))
        box.append(slice(int(place[0]) - margin, int(place[-1]) + 1 + margin))
    return tuple(box)
