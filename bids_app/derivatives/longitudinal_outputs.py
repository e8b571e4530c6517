"""Writing what is measured in the common spaces of a participant's visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from bids_app.dataset.index import Scan
from bids_app.dataset.metadata import merged
from bids_app.dataset.staging import Staging
from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.outputs import generated_by, write_table
from bids_app.derivatives.results import Measurement
from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray
from bids_app.images.volume import Volume


def write_within_subject(
    staging: Staging,
    scan: Scan,
    contrast: str,
    image: Volume,
    *,
    space: str,
    transform: AffineArray,
) -> None:
    """Write a contrast of a scan in a common space of the participant's visits.

    Parameters
    ----------
    staging : Staging
    scan : Scan
        The anchor.
    contrast : str
    image : Volume
    space : str
        Label of ``space-``.
    transform : (4, 4) float64
        World coordinates (mm, RAS) of the common space to those of the scan.
    """
    path = names.within_subject_image(scan, contrast, space)
    of_anchor = contrast == scan.contrast
    staging.image(
        path,
        image,
        Description="Half-way between all scans of the participant; interpolated "
        + ("once" if of_anchor else "from the grid of the anchor")
        + " (cubic spline), differential intensity inhomogeneity corrected",
        Sources=[names.raw_uri(scan) if of_anchor else names.uri(names.aligned(scan, contrast))],
        SpatialReference=names.uri(path),
        SkullStripped=False,
        ToOriginalSpace={"Description": "World coordinates, mm, RAS", "Matrix": transform},
        GeneratedBy=generated_by("longitudinal"),
    )


def read_from_scan(output_dir: Path, labels: PurePosixPath) -> AffineArray:
    """Read the transform of a scan to the common space of visits that labels of it are in.

    Parameters
    ----------
    output_dir : Path
    labels : PurePosixPath
        Labels that `write_within_subject_segmentation` wrote, relative to the output folder.

    Returns
    -------
    (4, 4) float64
        World coordinates (mm, RAS) of the scan to those of the common space.

    Raises
    ------
    BadDataError
        If a JSON file is damaged or lacks it.
    """
    reference = merged((output_dir / names.sidecar(labels),)).get("SpatialReference")
    image = PurePosixPath(str(reference).removeprefix("bids::"))
    path = output_dir / names.sidecar(image)
    described = merged((path,)).get("ToOriginalSpace")
    try:
        matrix = np.asarray(dict(described)["Matrix"], dtype=np.float64)  # type: ignore[call-overload]
    except (TypeError, ValueError, KeyError) as error:
        raise BadDataError(_no_matrix(path)) from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise BadDataError(_no_matrix(path))
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _no_matrix(path: Path) -> str:
    return (
        f"{path} lacks the matrix ToOriginalSpace of 4 x 4 numbers. Run its participant again with "
        "--longitudinal."
    )


def write_within_subject_segmentation(
    staging: Staging,
    scan: Scan,
    measured: Measurement,
    *,
    contrasts: Sequence[str],
    space: str,
) -> None:
    """Write the labels of a measurement in a common space of the participant's visits.

    Parameters
    ----------
    staging : Staging
    scan : Scan
        The anchor.
    measured : Measurement
    contrasts : sequence of str
        Those that it was made from.
    space : str
        Label of ``space-``.
    """
    method = measured.method.removesuffix(names.LONGITUDINAL)
    images = [names.uri(names.within_subject_image(scan, each, space)) for each in contrasts]
    staging.image(
        names.within_subject_segmentation(scan, measured.method, measured.contrast, space),
        measured.dseg,
        Sources=images,
        SpatialReference=images[0],
        Manual=False,
        GeneratedBy=generated_by(f"{method}, longitudinal"),
    )


def write_within_subject_volumes(
    staging: Staging, rows: Mapping[PurePosixPath, Sequence[Mapping[str, object]]]
) -> None:
    """Write the longitudinal volumes.

    Parameters
    ----------
    staging : Staging
    rows : mapping of PurePosixPath to sequence of mapping
        Rows of each table, as `volumes_row` gives them. For the group stage their methods are
        further ones, ``<method>Longitudinal``, and their scanners those of the scan in its own
        table.
    """
    for path, rows_of_session in rows.items():
        write_table(staging, path, rows_of_session, VOLUME_COLUMNS)
