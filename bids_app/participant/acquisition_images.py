"""Reading the images of an acquisition, which share a grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bids_app.dataset.images import ReadImage, read_magnitude
from bids_app.dataset.notes import Note
from bids_app.dataset.sources import SourceImage
from bids_app.errors import BadDataError
from bids_app.images.geometry import same_grid
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.participant.acquisition_types import EchoSeries
from bids_app.qmri.arrays import Mask

# A smaller share of the brain in common with the anatomical scan means another position or person.
_LEAST_OVERLAP = 0.2
# A larger share of negative voxels in the brain cannot be noise.
_MOST_NEGATIVE = 0.01


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one grid as they were read, the brain on it, and what was normalised."""

    volumes: tuple[Volume, ...]
    brain: Mask
    notes: tuple[Note, ...]

    @property
    def grid(self) -> Volume:
        """The first image, for its grid."""
        return self.volumes[0]


def on_one_grid(images: Sequence[SourceImage], read: Iterable[ReadImage], brain: Volume) -> Images:
    """Check that images share a grid while they are read, and find the brain on it."""
    volumes: list[Volume] = []
    notes: list[Note] = []
    for image, each in zip(images, read, strict=True):
        volume = each.volume
        notes += each.notes
        if volumes and not same_grid(volumes[0].grid, volume.grid, tolerance=0.01):
            raise BadDataError(
                f"{image.path.name} lies on another grid than {images[0].path.name}; "
                "all images of an acquisition must share shape and position."
            )
        volumes.append(volume)
    on_grid = resample(brain, volumes[0].grid, order=0) > 0
    covered = on_grid.sum() * volumes[0].voxel_volume
    whole = np.count_nonzero(brain.data) * brain.voxel_volume
    if covered < _LEAST_OVERLAP * whole:
        raise BadDataError(
            f"{images[0].path.name} holds only {100 * covered / whole:.0f} % of the brain that the "
            "anatomical scan shows; it shows another position or person."
        )
    return Images(tuple(volumes), on_grid, tuple(notes))


def read_series(series: Sequence[EchoSeries], brain: Volume) -> Images:
    """Read all echoes, which have to be magnitudes."""
    images = [image for each in series for image in each.images]
    read = on_one_grid(images, (read_magnitude(image.path) for image in images), brain)
    for image, volume in zip(images, read.volumes, strict=True):
        negative = float(np.mean(np.signbit(volume.data[read.brain].astype(np.float32))))
        if negative > _MOST_NEGATIVE:
            raise BadDataError(
                f"{image.path.name} is negative in {100 * negative:.0f} % of the brain. Expected "
                "a magnitude; phase, real and imaginary images carry the entity part."
            )
    return read
