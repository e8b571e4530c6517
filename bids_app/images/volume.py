"""A volume: voxels and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AffineArray = npt.NDArray[np.float64]


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
    def voxel_size(self) -> npt.NDArray[np.float64]:
        """Sides of a voxel in mm, (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mm³: the determinant, which holds for sheared affines too."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def to_ras(volume: Volume) -> Volume:
    """Flip and permute the axes so that they run right, anterior, superior as far as they can.

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
    data = np.ascontiguousarray(apply_orientation(volume.data, orientation))
    affine = volume.affine @ inv_ornt_aff(orientation, volume.data.shape)
    return Volume(data, affine)


def same_grid(first: Volume, second: Volume, tolerance: float = 1e-4) -> bool:
    """Whether two volumes have equal shapes and affines that agree within ``tolerance`` mm."""
    return first.data.shape == second.data.shape and bool(
        np.allclose(first.affine, second.affine, rtol=0, atol=tolerance)
    )
