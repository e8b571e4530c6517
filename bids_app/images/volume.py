"""Volumes: voxels with their affine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bids_app.images.geometry import AffineArray, Grid, voxel_size


@dataclass(frozen=True)
class Volume:
    """Voxels with their affine.

    Attributes
    ----------
    data : (X, Y, Z) array
        Voxel values.
    affine : (4, 4) float64
        Voxel indices to world coordinates in mm (RAS+).
    """

    data: npt.NDArray[np.generic]
    affine: AffineArray

    @property
    def grid(self) -> Grid:
        """Grid on which the voxels lie."""
        x, y, z = self.data.shape
        return Grid((x, y, z), self.affine)

    @property
    def voxel_size(self) -> npt.NDArray[np.float64]:
        """Sides of a voxel in mm, (3,)."""
        return voxel_size(self.affine)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mm³: the determinant, which is right for sheared affines too."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def moved(self, transform: AffineArray) -> Volume:
        """Move the voxels by a transform (4, 4) between world coordinates."""
        return Volume(self.data, transform @ self.affine)

    def crop(self, box: Sequence[slice]) -> Volume:
        """Cut out a part, 3 slices; its voxels stay where they are."""
        return Volume(self.data[tuple(box)], self.grid.crop(box).affine)


def to_ras(volume: Volume) -> Volume:
    """Flip and permute the axes to the orientation closest to right, anterior, superior (RAS).

    No interpolation: voxels are only reordered, oblique affines stay oblique.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    Volume
        The same voxels, reordered.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    orientation = io_orientation(volume.affine)
    # Flipped views would slow down everything that follows.
    data = np.ascontiguousarray(apply_orientation(volume.data, orientation))
    affine = volume.affine @ inv_ornt_aff(orientation, volume.data.shape)
    return Volume(data, affine)
