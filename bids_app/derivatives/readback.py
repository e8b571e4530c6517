"""Reading the results of the participant stage, for pages, longitudinal series and the cohort."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bids_app.alignment.brain_change import percentage_change
from bids_app.contrasts import Role, suffixes
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.metadata import merged
from bids_app.dataset.tables import read_rows
from bids_app.derivatives import names
from bids_app.derivatives.columns import PBVC_COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.results import AlignedContrast, MeasuredScan, Measurement
from bids_app.derivatives.steps import Step, recorded_steps
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.volume import Volume
from bids_app.segmentation.quality import Quality
from bids_app.segmentation.volumes import ThalamusVolumes

if TYPE_CHECKING:
    import pandas as pd


def read_measured_scan(output_dir: Path, session: Session, scan: Scan) -> MeasuredScan:
    """Read the results of a scan, to write its page again.

    Raises
    ------
    MissingInputError, BadDataError
        If a result is missing or damaged.
    """
    import pandas as pd

    path = output_dir / names.volumes_table(session)
    if not path.is_file():
        raise MissingInputError(f"There are no results yet: {path} is missing.")
    table = pd.read_csv(path, sep="\t")
    absent = [name for name in VOLUME_COLUMNS if name not in table]
    if absent:
        raise MissingInputError(
            f"{path} lacks the column '{absent[0]}': it was written by an earlier version. "
            "Measure its session again."
        )
    rows = table[table["scan"] == f"{scan.name}_{scan.contrast}"]
    if rows.empty:
        raise MissingInputError(f"{path} has no row for {scan.path.name}.")
    image, brain_mask = read_conformed(output_dir, scan)
    contrasts = (*(other.contrast for other in session.others), *suffixes(Role.MAP))
    return MeasuredScan(
        scan,
        image,
        brain_mask,
        tuple(_read_measurement(output_dir, row) for row in rows.to_dict("records")),
        tuple(
            _read_aligned(output_dir, scan, contrast)
            for contrast in contrasts
            if (output_dir / names.aligned(scan, contrast)).is_file()
        ),
    )


def read_conformed(output_dir: Path, scan: Scan) -> tuple[Volume, Volume]:
    """Read a measured scan and its brain mask, both in RAS order.

    Raises
    ------
    MissingInputError, BadDataError
        If one is missing or damaged.
    """
    return (
        read_volume(output_dir / names.preprocessed(scan)),
        read_volume(output_dir / names.brain_mask(scan)),
    )


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


def read_brain_changes(output_dir: Path) -> dict[tuple[str, str, str], float]:
    """Read the built-in PBVC of all participants.

    Parameters
    ----------
    output_dir : Path

    Returns
    -------
    dict of (str, str, str) to float
        PBVC in percent by participant, earlier and later session: ``sub-01``, ``ses-01``,
        ``ses-02``. Either of two sessions may be the earlier one.

    Raises
    ------
    BadDataError
        If a table is damaged.
    """
    changes = {}
    for path in names.brain_change_tables(output_dir):
        for row in read_rows(path):
            try:
                subject, first, later, value = (row[name] for name in PBVC_COLUMNS)
                change = float(value)
            except (KeyError, ValueError) as error:
                raise BadDataError(
                    f"{path} has a row without brain volume change between two sessions. Run its "
                    "participant again with --longitudinal."
                ) from error
            changes[subject, first, later] = change
            changes[subject, later, first] = percentage_change(1 + change / 100, 1)
    return changes


def on_scan_grid(volumes: pd.DataFrame) -> pd.DataFrame:
    """Select the rows whose masks lie on the grid of their scan.

    Longitudinal masks lie in the common space of several scans and would have to be interpolated
    again to be compared with labels drawn on a scan.
    """
    return volumes[~volumes["method"].str.endswith(names.LONGITUDINAL)]


def _read_measurement(output_dir: Path, row: Mapping[Hashable, Any]) -> Measurement:
    reasons = row["qc_reason"]
    return Measurement(
        str(row["method"]),
        str(row["contrast"]),
        read_volume(output_dir / names.segmentation_of_row(row), may_be_constant=True),
        ThalamusVolumes(
            **{name: float(row[name]) for name in ThalamusVolumes.__dataclass_fields__}
        ),
        Quality(
            float(row["confidence"]),
            tuple(reasons.split("; ")) if isinstance(reasons, str) else (),
        ),
    )


def _read_aligned(output_dir: Path, scan: Scan, contrast: str) -> AlignedContrast:
    path = names.aligned(scan, contrast)
    fields = merged((output_dir / names.sidecar(path),))
    return AlignedContrast(
        contrast=contrast,
        image=read_volume(output_dir / path),
        attempts=tuple(cast("list[Mapping[str, object]]", fields["Attempts"])),
        strategy=str(fields["Strategy"]),
        steps=recorded_steps(fields),
    )
