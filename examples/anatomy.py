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
from scipy import fft
from scipy.ndimage import gaussian_filter, map_coordinates

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

LEFT, RIGHT = 1, 2
_ANATOMY = "tpl-thalbids_res-1_dseg"


@dataclass(frozen=True, eq=False)
class Field:
    """A displacement known at the nodes of a regular grid, and linear between them.

    Attributes
    ----------
    values : (3, X, Y, Z) float32
        Displacement in mm.
    low : (3,) float
        Position of the first node in mm.
    spacing : float
        Distance of the nodes in mm.
    """

    values: Array
    low: npt.NDArray[np.float64]
    spacing: float

    def at(self, points: Array) -> Array:
        """Interpolate the displacement at some points.

        Parameters
        ----------
        points : (3, ...) float32
            Positions in mm; beyond the grid the nearest border value holds.

        Returns
        -------
        (3, ...) float32
            Displacement in mm.
        """
        index = (points - column(self.low, points)) / np.float32(self.spacing)
        parts = [map_coordinates(part, index, order=1, mode="nearest") for part in self.values]
        return np.stack(parts)


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
    return Anatomy(tissues, low, names, atrophy_field(tissues, low, names.index("ventricle")))


def atrophy_field(tissues: Labels, low: npt.NDArray[np.float64], ventricle: int) -> Field:
    """Compute the displacement of all tissue when the thalami shrink and nearby ventricles grow.

    The divergence is prescribed: -1 in the thalami, positive in the ventricles near them so that
    the sum vanishes, and 0 elsewhere, where volume is kept. The displacement is the gradient of
    the potential that solves Poisson's equation: the prescribed volume change of Karacali and
    Davatzikos 2006 (IEEE Trans Med Imaging 25:649) without their topology constraints.

    Parameters
    ----------
    tissues : (X, Y, Z) uint8
        1 and 2 are the thalami; 1 mm.
    low : (3,) float
        Position of the first voxel in mm; the origin is the midpoint of the thalami.
    ventricle : int
        Index of the ventricles.

    Returns
    -------
    Field
        On a 2 mm grid; multiplied by 0.05 it takes about 5 % from the thalami.
    """
    position = np.indices(tissues.shape, sparse=True)
    distance2 = sum((axis + start) ** 2 for axis, start in zip(position, low, strict=True))
    # Third ventricle and bodies of the lateral ones; the fourth is too far to take part.
    grows = (tissues == ventricle) * np.exp(-distance2 / (2 * 20.0**2))
    shrinks = (tissues == LEFT) | (tissues == RIGHT)
    divergence = grows * (shrinks.sum() / grows.sum()) - shrinks
    return field_of(gaussian_filter(divergence.astype(np.float32), 2.0), low)


def field_of(divergence: Array, low: npt.NDArray[np.float64]) -> Field:
    """Compute the irrotational displacement that has a given divergence.

    Parameters
    ----------
    divergence : (X, Y, Z) float32
        Share of its volume that every voxel gains; 1 mm, smooth, summing to zero.
    low : (3,) float
        Position of the first voxel in mm.

    Returns
    -------
    Field
        On a 2 mm grid.
    """
    source = divergence[::2, ::2, ::2]
    spectrum = fft.rfftn(source)
    frequency = np.meshgrid(
        *[2 * np.pi * fft.fftfreq(n, 2.0) for n in source.shape[:2]],
        2 * np.pi * fft.rfftfreq(source.shape[2], 2.0),
        indexing="ij",
        sparse=True,
    )
    squared = frequency[0] ** 2 + frequency[1] ** 2 + frequency[2] ** 2
    # The mean of the potential is free.
    squared[0, 0, 0] = 1.0
    gradient = [fft.irfftn(-1j * axis * spectrum / squared, source.shape) for axis in frequency]
    return Field(np.stack(gradient).astype(np.float32), low, 2.0)


def thalamus_box(anatomy: Anatomy, margin: int) -> tuple[slice, ...]:
    """Find the part of the anatomy's grid with both thalami and some voxels around them."""
    inside = (anatomy.tissues == LEFT) | (anatomy.tissues == RIGHT)
    box = []
    for others in ((1, 2), (0, 2), (0, 1)):
        place = np.flatnonzero(inside.any(others))
        box.append(slice(int(place[0]) - margin, int(place[-1]) + 1 + margin))
    return tuple(box)


def column(vector: npt.NDArray[np.float64], like: Array) -> Array:
    """Shape a vector (3,) so that it can be added to points (3, ...)."""
    return vector.astype(np.float32).reshape(3, *[1] * (like.ndim - 1))
