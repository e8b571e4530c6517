"""Reading the results of the participant stage, for pages, longitudinal series and the cohort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.contrasts import Role, suffixes
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.metadata import merged
from bids_app.dataset.tables import read_rows
from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, Measurement
from bids_app.derivatives.scanner_columns import SCANNER_COLUMNS
from bids_app.derivatives.steps import Step, recorded_steps
from bids_app.derivatives.template_outputs import read_templates
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.volume import Volume
from bids_app.run.outcome import Outcome
from bids_app.segmentation.borders import UncertainBorder
from bids_app.segmentation.quality import Quality
from bids_app.segmentation.volumes import ThalamusVolumes

if TYPE_CHECKING:
    import pandas as pd


def measured_anchors(session: Session, record: Outcome | None) -> tuple[Scan, ...]:
    """Select the scans of a session that have results, by the record of its last run.

    Parameters
    ----------
    session : Session
    record : Outcome or None
        Without one, no scan has results.
    """
    outputs = record.outputs if record else ()
    return tuple(scan for scan in session.anchors if str(names.preprocessed(scan)) in outputs)


def read_measured_scan(output_dir: Path, session: Session, scan: Scan) -> MeasuredScan:
    """Read the results of a scan, to write its page again.

    Raises
    ------
    MissingInputError, BadDataError
        If a result is missing or damaged.
    """
    path = output_dir / names.volumes_table(session)
    if not path.is_file():
        raise MissingInputError(f"There are no results yet: {path} is missing.")
    table = read_rows(path)
    if not table or "scan" not in table[0]:
        raise BadDataError(f"{path} is no table of volumes of scans. Measure its session again.")
    unused = (
        *("contrast_agent", "edited", *SCANNER_COLUMNS, "deep_grey_ml", "ventricles_ml"),
        "uncertain_borders",
    )
    needed = [name for name in VOLUME_COLUMNS if name not in unused]
    absent = [name for name in needed if name not in table[0]]
    if absent:
        raise MissingInputError(
            f"{path} lacks the column '{absent[0]}': it was written by an earlier version. "
            "Measure its session again."
        )
    rows = [row for row in table if row["scan"] == names.row_name(scan)]
    if not rows:
        raise MissingInputError(f"{path} has no row for {scan.path.name}.")
    image, brain_mask = read_conformed(output_dir, scan)
    contrasts = (*(other.contrast for other in session.others), *suffixes(Role.MAP))
    return MeasuredScan(
        scan=scan,
        image=image,
        brain_mask=brain_mask,
        measurements=tuple(_read_measurement(output_dir, path, row, image) for row in rows),
        aligned=tuple(
            _read_aligned(output_dir, scan, contrast, image)
            for contrast in contrasts
            if (output_dir / names.aligned(scan, contrast)).is_file()
        ),
        templates=read_templates(output_dir, scan),
        values=_read_values(output_dir / names.values_table(session), scan),
    )


def _read_values(path: Path, scan: Scan) -> tuple[Mapping[str, str], ...]:
    """Read the values within the thalami of a scan; none where an earlier version wrote none."""
    rows = read_rows(path) if path.is_file() else []
    return tuple(row for row in rows if row.get("scan") == names.row_name(scan))


def read_conformed(
    output_dir: Path, scan: Scan, contrast: str | None = None
) -> tuple[Volume, Volume]:
    """Read a measured scan and its brain mask, both in RAS order.

    Parameters
    ----------
    output_dir : Path
    scan : Scan
        The anchor.
    contrast : str, optional
        Another contrast on its grid, which is read in its place.

    Raises
    ------
    MissingInputError, BadDataError
        If one is missing or damaged.
    """
    if contrast in (None, scan.contrast):
        image = read_volume(output_dir / names.preprocessed(scan))
    else:
        image = read_volume(output_dir / names.aligned(scan, str(contrast)))
    return image, _on_grid(output_dir / names.brain_mask(scan), image)


def is_edited(output_dir: Path, scan: Scan, contrast: str) -> bool:
    """Whether thalnet's mask of a contrast was replaced by one that was corrected by hand."""
    sidecar = names.sidecar(names.segmentation(scan, "thalnet", contrast))
    path = output_dir / sidecar
    return path.is_file() and merged((path,)).get("Manual") is True


def read_edited(output_dir: Path, scan: Scan, contrast: str, image: Volume) -> Volume | None:
    """Read the corrected mask of a contrast on the grid of its scan, if there is one.

    Raises
    ------
    MissingInputError, BadDataError
        If it is missing or damaged.
    """
    if not is_edited(output_dir, scan, contrast):
        return None
    path = output_dir / names.segmentation(scan, "thalnet", contrast)
    return _on_grid(path, image, most=2)


def read_steps(output_dir: Path, session: Path) -> list[Step]:
    """Read by which steps the contrasts of a session were aligned and R1 was mapped.

    Parameters
    ----------
    output_dir : Path
    session : Path
        Folder of the session, relative to the output.

    Returns
    -------
    list of Step
        As the JSON sidecars of transforms and R1 maps list them; those of earlier versions list
        none.

    Raises
    ------
    BadDataError
        If a JSON sidecar is damaged.
    """
    sidecars = [
        *names.transform_sidecars(output_dir, session),
        *names.map_sidecars(output_dir, session, "R1map"),
    ]
    return [step for path in sidecars for step in recorded_steps(merged((path,)))]


def on_scan_grid(volumes: pd.DataFrame) -> pd.DataFrame:
    """Select the rows whose masks lie on the grid of their scan.

    Longitudinal masks lie in the common space of several scans and would have to be interpolated
    again to be compared with labels drawn on a scan.
    """
    return volumes[~volumes["method"].str.endswith(names.LONGITUDINAL)]


def _read_measurement(
    output_dir: Path, table: Path, row: Mapping[str, str], image: Volume
) -> Measurement:
    reasons = row["qc_reason"]
    volumes = {name: _number(table, row, name) for name in ThalamusVolumes.__dataclass_fields__}
    return Measurement(
        method=row["method"],
        contrast=row["contrast"],
        dseg=_on_grid(
            output_dir / names.segmentation_of_row(row), image, most=2, may_be_empty=True
        ),
        volumes=ThalamusVolumes(**volumes),
        quality=Quality(
            _number(table, row, "confidence"),
            () if reasons == "n/a" else tuple(reasons.split("; ")),
            _borders(table, row.get("uncertain_borders", "n/a")),
        ),
        edited="" if row.get("edited", "n/a") == "n/a" else row["edited"],
    )


def _borders(table: Path, text: str) -> tuple[UncertainBorder, ...]:
    """Convert the uncertain borders of a row."""
    try:
        return tuple(map(UncertainBorder.parse, () if text == "n/a" else text.split("; ")))
    except ValueError as error:
        raise BadDataError(
            f"{table}: column 'uncertain_borders' holds the text '{text}'. Expected borders such "
            "as 'left lateral 1.4'; measure its session again."
        ) from error


def _number(table: Path, row: Mapping[str, str], column: str) -> float:
    """Convert an entry of a table, NaN if missing."""
    text = row.get(column, "n/a")
    try:
        return float("nan" if text == "n/a" else text)
    except ValueError as error:
        raise BadDataError(
            f"{table}: column '{column}' holds the text '{text}'. Expected a number; measure its "
            "session again."
        ) from error


def _on_grid(
    path: Path, image: Volume, *, most: int | None = None, may_be_empty: bool = False
) -> Volume:
    """Read an image on the grid of another; ``most`` is the highest label if it is a mask."""
    volume = read_volume(path, may_be_constant=may_be_empty)
    if volume.data.shape != image.data.shape:
        raise BadDataError(
            f"{path} has {volume.data.shape} voxels, but its scan has {image.data.shape}: it was "
            "changed since it was written. Measure its session again."
        )
    if most is not None and not (volume.data.dtype.kind in "iu" and volume.data.max() <= most):
        raise BadDataError(f"{path} contains other values than labels. Measure its session again.")
    return volume


def _read_aligned(output_dir: Path, scan: Scan, contrast: str, image: Volume) -> AlignedContrast:
    path = names.aligned(scan, contrast)
    sidecar = output_dir / names.sidecar(path)
    fields = merged((sidecar,))
    strategy, attempts = fields.get("Strategy"), fields.get("Attempts")
    if not (
        isinstance(strategy, str)
        and isinstance(attempts, list)
        and all(isinstance(attempt, dict) for attempt in attempts)
    ):
        raise BadDataError(
            f"{sidecar} lacks the text Strategy or the list Attempts: how the image was aligned. "
            "Measure its session again."
        )
    return AlignedContrast(
        contrast=contrast,
        image=_on_grid(output_dir / path, image),
        attempts=tuple(attempts),
        strategy=strategy,
        steps=recorded_steps(fields),
        contrast_agent=names.contrast_agent_of(fields.get("Sources"), fields),
    )
