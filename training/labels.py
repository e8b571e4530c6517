"""The training label maps: reading them, and what their labels mean to the networks.

The maps carry FreeSurfer numbers (10 and 49 are the thalami) plus extra-cerebral labels
above 500. Left and right share a tissue; the networks' classes keep the two thalami apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

# Classes predicted by both networks, in the order of their output channels.
CLASSES = (
    "background",
    "left thalamus",
    "right thalamus",
    "other deep grey matter",
    "ventricles",
    "other parenchyma",
    "extraventricular CSF",
)

# Tissue: the labels it covers in the maps. One mean intensity is drawn for each per image.
TISSUES: dict[str, tuple[int, ...]] = {
    "air": (0,),
    "white matter": (2, 41),
    "cortex": (3, 42),
    "ventricle": (4, 5, 14, 15, 43, 44, 72),
    "cerebellar white matter": (7, 46),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "brainstem": (16,),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "cerebrospinal fluid": (24,),
    "lesion": (25, 57, 77),
    "accumbens": (26, 58),
    "ventral diencephalon": (28, 60),
    "vessel": (30, 62),
    "optic chiasm": (85,),
    "choroid plexus": (31, 63, 136, 137, 163, 164),
    "bone": (515, 516, 514),
    "soft tissue": (507, 502, 512, 530),
    "skin": (511,),
    "eye": (506, 508),
    "mucosa": (509,),
}
TISSUE_NAMES = tuple(TISSUES)

_CLASS_OF_TISSUE = {
    "air": 0,
    "bone": 0,
    "soft tissue": 0,
    "skin": 0,
    "eye": 0,
    "mucosa": 0,
    "caudate": 3,
    "putamen": 3,
    "pallidum": 3,
    "accumbens": 3,
    "ventricle": 4,
    "choroid plexus": 4,
    "cerebrospinal fluid": 6,
}
_PARENCHYMA = 5
# Class of each tissue; the thalamus counts as parenchyma until its side is determined.
CLASS_OF_TISSUE = np.array(
    [_CLASS_OF_TISSUE.get(tissue, _PARENCHYMA) for tissue in TISSUES], dtype=np.uint8
)
_LEFT_THALAMUS, _RIGHT_THALAMUS = 10, 49
BRIGHTEST = 127
_HIGHEST_LABEL = 600


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One label map in RAS, cropped to the head or to the surroundings of the thalami.

    Attributes
    ----------
    tissues : (X, Y, Z) uint8
        Index into ``TISSUE_NAMES``.
    classes : (X, Y, Z) uint8
        Index into ``CLASSES``.
    thalamus : (3,) float
        Centre of both thalami, in voxels.
    spacing : float
        Voxel side in mm.
    """

    tissues: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]
    thalamus: npt.NDArray[np.float64]
    spacing: float = 1.0


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

    image: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float16]
    thalamus: npt.NDArray[np.float64]
    spacing: float = 0.8

    @cached_property
    def classes(self) -> npt.NDArray[np.uint8]:
        """Most probable class (X, Y, Z)."""
        return np.asarray(self.shares.argmax(0), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Crop:
    """One scan around the thalami, RAS, without labels.

    Attributes
    ----------
    image : (X, Y, Z) uint8
        From 0 to ``BRIGHTEST``; noise leaves no more levels to distinguish.
    """

    image: npt.NDArray[np.uint8]


def _lookup_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    unknown = TISSUE_NAMES.index("soft tissue")
    tissue_of = np.full(_HIGHEST_LABEL, unknown, dtype=np.uint8)
    class_of = np.zeros(_HIGHEST_LABEL, dtype=np.uint8)
    for index, (tissue, labels) in enumerate(TISSUES.items()):
        tissue_of[list(labels)] = index
        class_of[list(labels)] = _CLASS_OF_TISSUE.get(tissue, _PARENCHYMA)
    class_of[_LEFT_THALAMUS], class_of[_RIGHT_THALAMUS] = 1, 2
    return tissue_of, class_of


def read_label_maps(folder: Path) -> list[LabelMap]:
    """Read every ``*.nii.gz`` label map of a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
        Holds whole-head label maps at 1 mm with FreeSurfer numbers.

    Raises
    ------
    FileNotFoundError
        If the folder holds no map.
    """
    paths = sorted(folder.glob("*.nii.gz"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no label map (*.nii.gz).")
    tissue_of, class_of = _lookup_tables()
    maps = []
    for path in paths:
        image = nib.as_closest_canonical(nib.load(path))
        labels = np.asarray(image.dataobj).astype(np.int32)
        inside = np.argwhere(labels > 0)
        low, high = inside.min(0), inside.max(0) + 1
        labels = labels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        classes = class_of[labels]
        thalamus = np.argwhere((classes == 1) | (classes == 2)).mean(0)
        maps.append(LabelMap(tissue_of[labels], classes, thalamus))
    return maps
