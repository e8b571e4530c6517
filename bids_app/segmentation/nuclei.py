"""Groups of thalamic nuclei, by which methods that divide the thalamus can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bids_app.images.volume import Volume


class Group(StrEnum):
    """A group of nuclei, as Iglesias et al. 2018 arrange those of their atlas (Table 1)."""

    ANTERIOR = "anterior"
    LATERAL = "lateral"
    VENTRAL = "ventral"
    INTRALAMINAR = "intralaminar"
    MEDIAL = "medial"
    POSTERIOR = "posterior"


# What stands for each group in an image of groups.
NUMBERS: Mapping[Group, int] = {group: number for number, group in enumerate(Group, start=1)}


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Groups of nuclei of both thalami by one method.

    Attributes
    ----------
    method : str
        As in tables.
    groups : mapping of int to Volume
        By side, (X, Y, Z) uint8 on the method's own grid, moved into the space of the scan; values
        of `NUMBERS`, 0 elsewhere.
    """

    method: str
    groups: Mapping[int, Volume]
