"""Reference labels, usually manual, in another derivatives dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bids_app.dataset.images import read_labels
from bids_app.dataset.names import agreement, closest, parse_name
from bids_app.errors import BadDataError
from bids_app.images.volume import Volume, to_ras
from bids_app.programs.method import FREESURFER_LABELS
from bids_app.programs.precomputed import thalamus_names
from bids_app.segmentation.sides import LEFT, RIGHT


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
        Its dataset, whose ``dseg.tsv`` names the labels. Without one, labels 1 and 2 or 10 and
        49 (FreeSurfer) are expected.

    Returns
    -------
    Volume
        (X, Y, Z) uint8.

    Raises
    ------
    MissingInputError, BadDataError
        If the image cannot be read or has no thalamus label.
    """
    volume = to_ras(read_labels(path))
    for labels in (_named_labels(path, folder), {1: LEFT, 2: RIGHT}, FREESURFER_LABELS):
        dseg = np.zeros(volume.data.shape, dtype=np.uint8)
        for value, side in labels.items():
            dseg[volume.data == value] = side
        if dseg.any():
            return Volume(dseg, volume.affine)
    present = {int(value) for value in np.unique(volume.data)}
    raise BadDataError(
        f"{path} holds no thalamus: its labels are {sorted(present)[:10]}. Expected 1 and 2, "
        "10 and 49, or a dseg.tsv that names them."
    )


def _named_labels(path: Path, folder: Path) -> dict[int, int]:
    """Read the labels named thalamus with a side, from the image's own table or the dataset's."""
    table = path.with_name(path.name.split(".nii")[0] + ".tsv")
    for candidate in (table, folder / "seg-thalamus_dseg.tsv", folder / "dseg.tsv"):
        if candidate.is_file():
            break
    else:
        return {}
    return thalamus_names(candidate)
