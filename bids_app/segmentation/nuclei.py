"""Groups of thalamic nuclei, by which programs that divide the thalamus can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bids_app.images.volume import Volume


class Group(StrEnum):
    """A group of nuclei, as Iglesias et al. 2018 arrange those of their atlas (Table 1)."""

    ANTERIOR = "anterior"
    LATERAL = "lateral"
    VENTRAL = "ventral"
    INTRALAMINAR = "intralaminar"
    MEDIAL = "medial"
    POSTERIOR = "posterior"


@dataclass(frozen=True, eq=False)
class GroupOfNuclei:
    """One group on one side, by one method.

    Attributes
    ----------
    method : str
        As in tables.
    side : int
        1 left, 2 right.
    group : Group
    mask : Volume
        (X, Y, Z) bool around the group, on the grid of the method, in the world space of the scan.
    """

    method: str
    side: int
    group: Group
    mask: Volume

    @property
    def volume(self) -> float:
        """Volume of the mask in mm³."""
        return float(self.mask.data.sum()) * self.mask.voxel_volume
