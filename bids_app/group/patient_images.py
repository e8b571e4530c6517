"""Images of the thalami of all patients on grids of one size, for networks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from bids_app.dataset.images import read_volume
from bids_app.derivatives import names
from bids_app.errors import BadDataError, ThalbidsError
from bids_app.group.study import Study
from bids_app.images.geometry import Grid, apply_affine
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.statistics.image_classifier import Images

METHOD, CONTRAST = "thalnet", "T1w"
# Both thalami, the third ventricle and the bodies of the lateral ones: 96 by 84 by 72 mm.
_SHAPE, _SPACING = (32, 28, 24), 3.0


@dataclass(frozen=True, eq=False)
class PatientImages:
    """Images of the patients who have them.

    Attributes
    ----------
    participants : tuple of str
    images : (n, 2, 32, 28, 24) float32
        T1w, standardised within the box, and the probability of both thalami; voxels of 3 mm from
        left to right, posterior to anterior and inferior to superior, the thalami in the middle.
    problems : tuple of str
        Images that could not be used, and why.
    """

    participants: tuple[str, ...]
    images: Images
    problems: tuple[str, ...]


def patient_images(study: Study) -> PatientImages:
    """Read the preprocessed T1w and thalnet's probabilities of each first session.

    Patients without these files have no image.

    Parameters
    ----------
    study : Study

    Returns
    -------
    PatientImages
    """
    rows = study.measured
    first = rows[(rows["visit"] == 0) & (rows["method"] == METHOD) & (rows["contrast"] == CONTRAST)]
    images: dict[str, Images] = {}
    problems: list[str] = []
    for row in first.to_dict("records"):
        try:
            image = _image(study, row)
        except ThalbidsError as error:
            problems.append(f"{row['scan']}: {error}")
            continue
        if image is not None:
            images[str(row["participant_id"])] = image
    stacked = np.stack(list(images.values())) if images else np.empty((0, 2, *_SHAPE), np.float32)
    return PatientImages(tuple(images), stacked, tuple(problems))


def _image(study: Study, row: Mapping[Hashable, Any]) -> Images | None:
    """Cut the box of the thalami out of a scan and its probabilities; None if a file is absent."""
    scan = study.output_dir / names.image_of_scan(str(row["scan"]))
    path = study.output_dir / names.probabilities(names.segmentation_of_row(row))
    if not (scan.is_file() and path.is_file()):
        return None
    sides = read_volume(path, may_be_constant=True, volumes=2)
    both = Volume(sides.data.sum(-1), sides.affine)
    if not both.data.any():
        raise BadDataError(f"{path} is empty. Expected probabilities of the thalami.")
    centre = apply_affine(
        both.affine, np.array(ndimage.center_of_mass(both.data.astype(np.float64)))
    )
    grid = Grid.around(centre, _SHAPE, _SPACING)
    intensity = resample(read_volume(scan), grid)
    # Outside of the image and of an extracted brain, there is nothing.
    shown = intensity[intensity > 0]
    if shown.size == 0 or shown.std() == 0:
        raise BadDataError(f"{scan} shows nothing around the thalami.")
    standardised = np.where(intensity > 0, (intensity - shown.mean()) / shown.std(), 0.0)
    return np.stack([standardised, resample(both, grid)]).astype(np.float32)


def of_patients(images: PatientImages, data: pd.DataFrame) -> tuple[pd.DataFrame, Images]:
    """Select the rows of patients who have an image, and the images in the same order."""
    place = {name: number for number, name in enumerate(images.participants)}
    rows = data[data["participant_id"].isin(place)]
    return rows, images.images[[place[name] for name in rows["participant_id"]]]
