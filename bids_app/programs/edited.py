"""Masks corrected by hand, given with ``-d edited=PATH``: found by name, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from bids_app.dataset.images import read_labels
from bids_app.dataset.metadata import merged
from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid, same_grid
from bids_app.images.volume import to_ras
from bids_app.programs.method import FREESURFER_LABELS
from bids_app.programs.placement import check_place
from bids_app.segmentation.sides import LEFT, RIGHT

# Name under which the folder is given.
EDITED = "edited"
_OURS = {1: LEFT, 2: RIGHT}
_ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Edit:
    """A corrected mask.

    Attributes
    ----------
    root : Path
        Folder that was given.
    path : Path
    """

    root: Path
    path: Path

    @property
    def sidecar(self) -> Path:
        """JSON file next to the mask, which need not exist."""
        return self.path.with_name(self.path.name.partition(".nii")[0] + ".json")

    @property
    def files(self) -> tuple[Path, ...]:
        """The mask, and the JSON file if there is one."""
        return (self.path, *([self.sidecar] if self.sidecar.is_file() else []))

    @property
    def source(self) -> str:
        """Name of the mask in stamps and notes."""
        return self.key(self.path)

    @property
    def fields(self) -> dict[str, str]:
        """Who edited the mask (``EditedBy``) and when (``EditedOn``), if the JSON file has it."""
        content = merged((self.sidecar,)) if self.sidecar.is_file() else {}
        return {
            name: " ".join(str(content[name]).split())
            for name in ("EditedBy", "EditedOn")
            if content.get(name)
        }

    @property
    def text(self) -> str:
        """Who and when in one phrase, ``yes`` if unknown."""
        fields = self.fields
        words = [
            f"{word} {fields[name]}"
            for name, word in (("EditedBy", "by"), ("EditedOn", "on"))
            if name in fields
        ]
        return " ".join(words) or "yes"

    def key(self, path: Path) -> str:
        """Name a file in stamps."""
        return f"{EDITED}:{path.relative_to(self.root).as_posix()}"


def find_edit(root: Path, mask: PurePosixPath) -> Edit | None:
    """Find the corrected version of a mask: a file of the same name, in the same folder or in none.

    Parameters
    ----------
    root : Path
        Folder that was given.
    mask : PurePosixPath
        The mask that was corrected, relative to the output folder.
    """
    stem = mask.name.partition(".nii")[0]
    for folder in (root / mask.parent, root):
        for ending in _ENDINGS:
            path = folder / f"{stem}{ending}"
            if path.is_file():
                return Edit(root, path)
    return None


def read_edit(edit: Edit, grid: Grid, expected: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Read a corrected mask.

    Parameters
    ----------
    edit : Edit
    grid : Grid
        Grid of the scan, axes in RAS order.
    expected : (X, Y, Z) uint8
        The mask that it replaces.

    Returns
    -------
    (X, Y, Z) uint8
        1 left, 2 right.

    Raises
    ------
    MissingInputError, BadDataError
        If it cannot be read, is on another grid, empty or of another head, or has other labels.
    """
    labels = to_ras(read_labels(edit.path))
    # Programs store affines with single precision.
    if not same_grid(labels.grid, grid, tolerance=1e-2):
        raise BadDataError(
            f"its grid ({_described(labels.grid)}) is not that of the mask it replaces "
            f"({_described(grid)}). Save it without resampling."
        )
    present = set(np.unique(labels.data).tolist()) - {0}
    if not present:
        raise BadDataError("it is empty.")
    table = next((each for each in (_OURS, FREESURFER_LABELS) if present <= set(each)), None)
    if table is None:
        raise BadDataError(
            f"it holds the labels {', '.join(map(str, sorted(present)[:10]))}. Expected 1 (left) "
            "and 2 (right), or 10 and 49."
        )
    dseg = np.zeros(grid.shape, np.uint8)
    for label, side in table.items():
        dseg[labels.data == label] = side
    check_place(dseg, expected)
    return dseg


def _described(grid: Grid) -> str:
    size = ", ".join(f"{side:.2f}" for side in grid.voxel_size)
    origin = ", ".join(f"{place:.1f}" for place in grid.affine[:3, 3])
    return f"{grid.shape} voxels of ({size}) mm from ({origin}) mm"
