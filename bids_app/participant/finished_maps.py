"""Finished maps of R2*, MTsat and PD that are given in addition to a finished one of R1 or T1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bids_app.dataset.images import read_image
from bids_app.dataset.notes import Note
from bids_app.dataset.sources import SourceImage
from bids_app.derivatives.results import QuantitativeMap
from bids_app.errors import ThalbidsError
from bids_app.images.volume import Volume, to_ras
from bids_app.participant.acquisition_images import on_one_grid
from bids_app.qmri.arrays import within_limits

# Of maps whose JSON file gives none (BIDS, appendix on quantitative MRI).
_UNITS = {"R2starmap": "1/s", "MTsat": "arbitrary", "PDmap": "arbitrary"}


@dataclass(frozen=True)
class FinishedMaps:
    """Maps that were read, why others were not, and what was normalised.

    Attributes
    ----------
    maps : tuple of QuantitativeMap
    problems : tuple of str
    unusable : tuple of SourceImage
        Images of these.
    notes : tuple of Note
    """

    maps: tuple[QuantitativeMap, ...]
    problems: tuple[str, ...]
    unusable: tuple[SourceImage, ...]
    notes: tuple[Note, ...]


def read_finished_maps(images: Iterable[SourceImage], name: str, brain: Volume) -> FinishedMaps:
    """Read maps as they are, each on its own grid.

    Parameters
    ----------
    images : iterable of SourceImage
    name : str
        Common name of the acquisition, as in file names.
    brain : Volume
        Brain mask of the anatomical scan, in the same scanner coordinates.

    Returns
    -------
    FinishedMaps
        Voxels without a value or with an impossible one are 0.
    """
    maps, problems, unusable = [], [], []
    notes: list[Note] = []
    for image in images:
        try:
            read = on_one_grid((image,), (read_image(image.path, may_hold_nan=True),), brain)
        except ThalbidsError as error:
            problems.append(f"{image.path.name} is not used: {error}")
            unusable.append(image)
            continue
        notes += read.notes
        possible = within_limits(image.suffix, read.grid.data.astype(np.float32))
        data = np.nan_to_num(possible, nan=0.0, posinf=0.0, neginf=0.0)
        sidecar: dict[str, object] = {
            "Units": image.metadata.get("Units", _UNITS[image.suffix]),
            "EstimationAlgorithm": image.metadata.get(
                "EstimationAlgorithm", f"existing {image.suffix}, unchanged"
            ),
            "EstimationReference": image.metadata.get("EstimationReference", "n/a"),
            "Sources": [image.uri],
            "SkullStripped": False,
            "TransmitField": "as in the existing map",
            "Conversions": [],
            "UndeterminedBrainVoxels": int(np.isnan(possible[read.brain]).sum()),
        }
        volume = to_ras(Volume(data, read.grid.affine))
        maps.append(QuantitativeMap(image.suffix, name, volume, sidecar))
    return FinishedMaps(tuple(maps), tuple(problems), tuple(unusable), tuple(notes))
