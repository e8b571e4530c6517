"""What is common to methods that other programs carry out: labels, places, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray, same_grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.segmentation.result import LEFT, RIGHT
from bids_app.tools.call import Call
from bids_app.tools.program import Program

Labels = npt.NDArray[np.uint8]

# FreeSurfer's numbers, which FSL, FastSurfer and SynthSeg use too.
FREESURFER_LABELS: Mapping[int, int] = {10: LEFT, 49: RIGHT}
# Of a label without side.
BOTH = 3
# Labels on a wrong grid or of another head, or with sides exchanged, hardly touch the thalami that
# the network found; every method's masks share most of their voxels.
_LEAST_OVERLAP = 0.1


@dataclass(frozen=True)
class Job:
    """One image to be segmented, in folders of its own.

    Attributes
    ----------
    image : Path
        NIfTI file with equal qform and sform; alone in its folder.
    folder : Path
        Empty and writable: outputs, and the program's home.
    contained : bool
        Whether the program runs in a container.
    threads : int
    gpu : bool
    weights : Path or None
        Of programs that do not bring their own.
    """

    image: Path
    folder: Path
    contained: bool
    threads: int = 1
    gpu: bool = False
    weights: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ExternalMethod(Program):
    """A method that another program carries out; ``seconds`` are those of one image.

    Attributes
    ----------
    contrasts : tuple of str
        That the program can segment.
    labels : mapping of int to int
        The program's labels to 1 (left), 2 (right) or `BOTH`.
    call : function
        The run of the program.
    output : function
        Where its labels lie afterwards; raises BadDataError if it left none that are of use.
    brain_only : bool
        Whether it expects a brain without skull.
    measures : function or None
        Left and right volume free of voxel quantisation, and intracranial volume, in mm³, from
        the program's own statistics.
    needs_licence : bool
        Whether it refuses to work without FreeSurfer's licence file.
    keeps_grid : bool
        Whether it writes its labels on the grid of its image.
    needs_gpu : bool
    weights : str
        What ``--tool-weights`` must name, if anything.
    weights_hold : str
        A folder in there, without which the program would fetch it.
    """

    contrasts: tuple[str, ...]
    labels: Mapping[int, int]
    call: Callable[[Job], Call]
    output: Callable[[Job], Path]
    brain_only: bool = False
    measures: Callable[[Path], tuple[npt.NDArray[np.float64], float]] | None = None
    needs_licence: bool = False
    keeps_grid: bool = False
    needs_gpu: bool = False
    weights: str = ""
    weights_hold: str = ""

    @property
    def needs_envelope(self) -> bool:
        """Whether its label is more than the thalami, which another method's mask cuts out."""
        return BOTH in self.labels.values()


def placed(
    labels: Volume, table: Mapping[int, int], grid: Volume, transform: AffineArray | None = None
) -> Labels:
    """Bring a program's labels onto an image's grid, by their headers alone.

    Parameters
    ----------
    labels : Volume
        (X, Y, Z), any integer labels, any grid.
    table : mapping of int to int
        The labels that are wanted, and what they become.
    grid : Volume
        Its shape and affine count.
    transform : (4, 4) float64 or None
        World coordinates of the grid to those of the labels, where these differ.

    Returns
    -------
    (X', Y', Z') uint8
        Nearest neighbour; voxel for voxel where the grids are the same.
    """
    wanted = np.zeros(labels.data.shape, dtype=np.uint8)
    for value, becomes in table.items():
        wanted[labels.data == value] = becomes
    source = Volume(wanted, labels.affine)
    if transform is not None:
        source = Volume(wanted, np.linalg.inv(transform) @ labels.affine)
    if same_grid(source.grid, grid.grid):
        return wanted
    return resample(source, grid.grid, order=0).astype(np.uint8)


def within_envelope(labels: Labels, envelope: Labels) -> Labels:
    """Cut the thalami out of a label of more than them (Ibrahim et al. 2026, section 2.6).

    Parameters
    ----------
    labels : (X, Y, Z) uint8
        Not 0 in the deep grey matter.
    envelope : (X, Y, Z) uint8
        1 and 2 in what another method takes for the left and right thalamus.

    Returns
    -------
    (X, Y, Z) uint8
        The envelope's label where there is deep grey matter.
    """
    return np.where(labels != 0, envelope, 0).astype(np.uint8)


def check_place(dseg: Labels, expected: Labels) -> None:
    """Refuse masks that do not lie where the thalami are.

    Parameters
    ----------
    dseg : (X, Y, Z) uint8
        Of a program.
    expected : (X, Y, Z) uint8
        Of the network.

    Raises
    ------
    BadDataError
        If a side is empty, or overlaps less than a tenth (Dice) with the expected one.
    """
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        found, other = dseg == side, expected == side
        if not found.any():
            raise BadDataError(f"it holds no {name} thalamus.")
        overlap = 2 * np.count_nonzero(found & other) / (found.sum() + other.sum())
        if overlap < _LEAST_OVERLAP:
            raise BadDataError(
                f"its {name} thalamus lies elsewhere than the one that thalnet found (Dice "
                f"{overlap:.2f}): its grid is wrong, its sides are exchanged, or it belongs to "
                "another scan."
            )
