"""A simulated head, and its values as the network measures them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.images import read_scan
from bids_app.dataset.notes import NoteKind
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume, to_ras
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation
from bids_app.segmentation.volumes import measure
from bids_app.statistics.overlap import dice
from examples.anatomy import load_anatomy
from examples.contrast import t1w_contrast
from examples.simulation import draw_subject, scan


@dataclass(frozen=True, eq=False)
class Measured:
    """A scan as read, and its values.

    Attributes
    ----------
    image : Volume
    segmentation : Segmentation
    total_ml, brain_ml, icv_ml : float
    kinds : list of NoteKind
    """

    image: Volume
    segmentation: Segmentation
    total_ml: float
    brain_ml: float
    icv_ml: float
    kinds: list[NoteKind]

    def dice_with(self, other: Measured, side: int) -> float:
        """Compare the segmentations of one side in world space."""
        labels = Volume(self.segmentation.dseg, self.image.affine)
        on_grid = resample(labels, other.image.grid, order=0)
        return dice(on_grid == side, other.segmentation.dseg == side)


@pytest.fixture(scope="package")
def head() -> Volume:
    """A simulated whole head (T1w), int16, voxels of 2 mm."""
    anatomy = load_anatomy()
    rng = np.random.default_rng(11)
    simulated = scan(anatomy, draw_subject(anatomy, rng), t1w_contrast(), rng)
    data = simulated.image[::2, ::2, ::2]
    thinned = simulated.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    return Volume(np.round(data / data.max() * 1900).astype(np.int16), thinned)


@pytest.fixture(scope="package")
def plain(head: Volume) -> Measured:
    """The values of the undisturbed head."""
    return _values(to_ras(head), [])


@pytest.fixture(scope="package")
def brain(plain: Measured, head: Volume) -> Volume:
    """The head without what is not brain."""
    return Volume(np.where(plain.segmentation.brain_mask, head.data, 0), head.affine)


@pytest.fixture(scope="package")
def plain_brain(brain: Volume) -> Measured:
    """The values of the undisturbed brain."""
    return _values(to_ras(brain), [])


@pytest.fixture(scope="package")
def measured(plain: Measured, plain_brain: Measured) -> Callable[[Path], Measured]:
    """Measure the scan in a file as the participant stage does."""
    return partial(_measure, known=(plain, plain_brain))


def _measure(path: Path, known: tuple[Measured, ...]) -> Measured:
    """Measure a scan; the network need not be applied again to an image that differs in scale."""
    read = read_scan(path)
    image = to_ras(read.volume)
    kinds = [note.kind for note in read.notes]
    for other in known:
        if _is_scaled(image, other.image):
            return Measured(image, other.segmentation, *_sizes(other), kinds)
    return _values(image, kinds)


def _is_scaled(image: Volume, other: Volume) -> bool:
    """Whether images agree but for a factor, which the network is not sensitive to."""
    if image.data.shape != other.data.shape or not np.allclose(image.affine, other.affine, 1e-4):
        return False
    first, second = (each.data.astype(np.float64) / each.data.max() for each in (image, other))
    return float(np.abs(first - second).max()) < 1e-5


def _sizes(values: Measured) -> tuple[float, float, float]:
    return values.total_ml, values.brain_ml, values.icv_ml


def _values(image: Volume, kinds: list[NoteKind]) -> Measured:
    segmentation = thalnet.segment({"T1w": image}, flip_averaging=False)
    volumes = measure(segmentation, image.voxel_volume)
    return Measured(image, segmentation, volumes.total_ml, volumes.brain_ml, volumes.icv_ml, kinds)
