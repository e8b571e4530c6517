"""Reference labels, usually manual, in another derivatives dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bids_app.dataset.images import read_labels
from bids_app.dataset.names import agreement, closest, parse_name
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.images.geometry import AffineArray, Box, Grid, apply_affine, bounding_box
from bids_app.images.volume import Volume, to_ras
from bids_app.programs.method import FREESURFER_LABELS
from bids_app.programs.precomputed import thalamus_names
from bids_app.segmentation.sides import EITHER, LEFT, RIGHT

_SIDES = {LEFT: "left", RIGHT: "right"}
_USUAL = {1: LEFT, 2: RIGHT}
# A single thalamus is less than this wide from left to right, both together are more.
_BOTH_WIDE_MM = 30


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference labels, of which only the box that holds them is kept.

    Attributes
    ----------
    labels : (X, Y, Z) uint8
        Those in the box.
    box : tuple of 3 slices
        Where it is in the image.
    grid : Grid
        That of the whole image.
    ml : mapping of str to float
        Volume by side, mL, of the labels as they were drawn.
    """

    labels: npt.NDArray[np.uint8]
    box: Box
    grid: Grid
    ml: Mapping[str, float]

    @classmethod
    def of(cls, image: Volume) -> Reference:
        """Cut the labels out of an image that is not empty."""
        whole: npt.NDArray[Any] = image.data
        box = bounding_box(whole)
        labels = whole[box].copy()
        return cls(labels, box, image.grid, volumes_ml(labels, image.voxel_volume))

    @property
    def image(self) -> Volume:
        """The whole image."""
        x, y, z = (slice(0, size) for size in self.grid.shape)
        return Volume(pasted(self.labels, self.box, (x, y, z)), self.grid.affine)


@dataclass(frozen=True)
class References:
    """Reference labels of the scans of a study; each is read once.

    Attributes
    ----------
    folder : Path
        A BIDS derivatives dataset.
    """

    folder: Path
    _read: dict[str, Reference | ThalbidsError | None] = field(default_factory=dict, repr=False)

    def of(self, scan: str) -> Reference | None:
        """Return the reference of a scan; None if there is none.

        Raises
        ------
        ThalbidsError
            See `find_reference` and `read_reference`.
        """
        if scan not in self._read:
            try:
                path = find_reference(self.folder, scan)
                image = None if path is None else read_reference(path, self.folder)
                self._read[scan] = None if image is None else Reference.of(image)
            except ThalbidsError as error:
                self._read[scan] = error
        reference = self._read[scan]
        if isinstance(reference, ThalbidsError):
            raise reference
        return reference


def volumes_ml(labels: npt.NDArray[Any], voxel_volume: float) -> dict[str, float]:
    """Measure labels of both sides: left, right and bilateral volume, mL."""
    masks = {"left": labels == LEFT, "right": labels == RIGHT, "bilateral": labels > 0}
    return {
        side: float(np.count_nonzero(mask)) * voxel_volume / 1000 for side, mask in masks.items()
    }


def pasted(part: npt.NDArray[Any], box: Box, whole: Box) -> npt.NDArray[Any]:
    """Surround the voxels of a box by zeros up to a box that holds it."""
    array = np.zeros([side.stop - side.start for side in whole], dtype=part.dtype)
    x, y, z = (
        slice(inner.start - outer.start, inner.stop - outer.start)
        for inner, outer in zip(box, whole, strict=True)
    )
    array[x, y, z] = part
    return array


def find_reference(folder: Path, scan: str) -> Path | None:
    """Find the reference labels of one scan.

    Parameters
    ----------
    folder : Path
        A BIDS derivatives dataset.
    scan : str
        Name of the scan, for example ``sub-01_ses-01_run-1_T1w``.

    Returns
    -------
    Path or None
        The ``_dseg`` of the thalamus that agrees with the scan in every entity that both have. A
        label image with fewer entities (without ``run-``, for example) is used only if no other
        agrees in more.

    Raises
    ------
    BadDataError
        If several agree equally well.
    """
    entities = parse_name(scan).entities
    place = folder / f"sub-{entities['sub']}"
    if "ses" in entities:
        place = place / f"ses-{entities['ses']}"
    paths = sorted(place.glob("anat/*_dseg.nii*"))
    names = [(path, parse_name(path.name).entities) for path in paths]
    best = closest(
        (agreement(labels, entities), path)
        for path, labels in names
        if labels.get("seg", "thalamus") == "thalamus"
    )
    if not best:
        return None
    if len(best) > 1:
        listed = ", ".join(path.name for path in best)
        raise BadDataError(
            f"{place / 'anat'}: {listed} could all be the reference of {scan}. Keep one of them."
        )
    return best[0]


def read_reference(path: Path, folder: Path) -> Volume:
    """Read reference labels as 1 (left) and 2 (right), axes in RAS order.

    Parameters
    ----------
    path : Path
        ``_dseg`` image.
    folder : Path
        Its dataset, whose ``dseg.tsv`` names the labels. Without one, labels 10 and 49
        (FreeSurfer) or 1 and 2 are expected, or 1 alone for both sides.

    Returns
    -------
    Volume
        (X, Y, Z) uint8; 3 where both sides have one label.

    Raises
    ------
    MissingInputError, BadDataError
        If the image cannot be read, has no thalamus label, or that of one side only.
    """
    stored = read_labels(path)
    # Around the labels there is nothing to look for.
    labels: npt.NDArray[Any] = stored.data
    volume = to_ras(stored.crop(bounding_box(labels)))
    present = set(np.unique(volume.data).tolist()) - {0}
    named: Mapping[int, int] = _named_labels(path, folder)
    if not present & set(named):
        # Segmentations of FreeSurfer hold other structures with the labels 1 and 2.
        named = FREESURFER_LABELS if present & set(FREESURFER_LABELS) else _USUAL
        if present >= set(_USUAL) and not present >= set(FREESURFER_LABELS):
            named = _USUAL
    dseg = np.zeros(volume.data.shape, dtype=np.uint8)
    for value, side in named.items():
        dseg[volume.data == value] = side
    sides = [side for side in _SIDES if (dseg == side).any()]
    if not sides:
        raise BadDataError(
            f"{path} holds no thalamus: its labels are {sorted({0, *present})[:10]}. Expected 1 "
            "and 2, 10 and 49, or a dseg.tsv that names them."
        )
    if len(sides) == 1:
        if named is not _USUAL or present != {1} or not _is_bilateral(dseg, volume.affine):
            raise BadDataError(
                f"{path} holds the {_SIDES[sides[0]]} thalamus only. Expected labels of both."
            )
        dseg[dseg > 0] = EITHER
    whole = to_ras(Volume(np.zeros(stored.data.shape, dtype=np.uint8), stored.affine))
    corner = np.rint(apply_affine(np.linalg.inv(whole.affine), volume.affine[:3, 3]))
    ends = (corner + dseg.shape).astype(int).tolist()
    x, y, z = map(slice, corner.astype(int).tolist(), ends)
    whole.data[x, y, z] = dseg
    return whole


def _is_bilateral(labels: npt.NDArray[np.uint8], affine: AffineArray) -> bool:
    """Judge whether one label is that of both thalami: two parts of like size, or a wide one."""
    parts, _ = ndimage.label(labels)
    sizes = np.sort(np.bincount(np.asarray(parts).ravel())[1:])
    if len(sizes) > 1 and sizes[-2] >= sizes[-1] / 2:
        return True
    across = apply_affine(affine, np.argwhere(labels).T)[0]
    low, high = np.percentile(across, (1, 99))
    return bool(high - low > _BOTH_WIDE_MM)


def _named_labels(path: Path, folder: Path) -> dict[int, int]:
    """Read the labels named thalamus with a side, from the image's own table or the dataset's."""
    table = path.with_name(path.name.split(".nii")[0] + ".tsv")
    for candidate in (table, folder / "seg-thalamus_dseg.tsv", folder / "dseg.tsv"):
        if candidate.is_file():
            break
    else:
        return {}
    return thalamus_names(candidate)
