"""Reading the participant stage's results back, for pages, changes over time and the cohort."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from bids_app.alignment.brain_change import percentage_change
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.metadata import merged
from bids_app.dataset.tables import read_rows
from bids_app.derivatives.description import PBVC_COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.methods_section import LONGITUDINAL
from bids_app.derivatives.outputs import (
    PBVC,
    AlignedContrast,
    MeasuredScan,
    Measurement,
    aligned_name,
    session_of,
)
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.volume import Volume
from bids_app.segmentation.quality import Quality
from bids_app.segmentation.volumes import ThalamusVolumes

if TYPE_CHECKING:
    import pandas as pd


def read_measured_scan(output_dir: Path, session: Session, scan: Scan) -> MeasuredScan:
    """Read a scan's results back, to draw its page anew.

    Raises
    ------
    MissingInputError, BadDataError
        If a result is not there or damaged.
    """
    import pandas as pd

    folder = output_dir / session.folder / "anat"
    table_path = folder / f"{session.name}_desc-thalamus_volumes.tsv"
    if not table_path.is_file():
        raise MissingInputError(f"There are no results yet: {table_path} is missing.")
    table = pd.read_csv(table_path, sep="\t")
    absent = [name for name in VOLUME_COLUMNS if name not in table]
    if absent:
        raise MissingInputError(
            f"{table_path} lacks the column '{absent[0]}': an earlier version wrote it. "
            "Measure its session again."
        )
    names = list(ThalamusVolumes.__dataclass_fields__)
    own = table[table["scan"] == f"{scan.name}_{scan.contrast}"]
    if own.empty:
        raise MissingInputError(f"{table_path} has no row for {scan.path.name}.")
    measurements = []
    for row in own.to_dict("records"):
        volumes = ThalamusVolumes(*(float(row[name]) for name in names))
        dseg = read_volume(output_dir / dseg_path(row), may_be_constant=True)
        reasons = row["qc_reason"]
        quality = Quality(
            float(row["confidence"]),
            tuple(reasons.split("; ")) if isinstance(reasons, str) else (),
        )
        measurements.append(
            Measurement(str(row["method"]), str(row["contrast"]), dseg, volumes, quality)
        )
    return MeasuredScan(
        scan,
        read_volume(folder / f"{scan.name}_desc-preproc_{scan.contrast}.nii.gz"),
        read_volume(folder / f"{scan.name}_desc-brain_mask.nii.gz"),
        tuple(measurements),
        tuple(
            _read_aligned(folder, scan, contrast)
            for contrast in (*(other.contrast for other in session.others), "R1map")
            if (folder / aligned_name(scan, contrast)).is_file()
        ),
    )


def read_conformed(output_dir: Path, scan: Scan) -> tuple[Volume, Volume]:
    """Read a measured scan and its brain mask back.

    Raises
    ------
    MissingInputError, BadDataError
        If one is not there or damaged.
    """
    folder = output_dir / session_of(scan).folder / "anat"
    return (
        read_volume(folder / f"{scan.name}_desc-preproc_{scan.contrast}.nii.gz"),
        read_volume(folder / f"{scan.name}_desc-brain_mask.nii.gz"),
    )


def read_steps(output_dir: Path, session: Path) -> tuple[list[str], list[Mapping[str, object]]]:
    """Read back how the contrasts of a session were aligned and R1 mapped.

    Parameters
    ----------
    output_dir : Path
    session : Path
        Folder of the session, relative to the output.

    Returns
    -------
    strategies : list of str
        One per aligned image.
    r1_maps : list of mapping
        Content of the JSON file of each R1 map.

    Raises
    ------
    BadDataError
        If a JSON file is damaged.
    """
    folder = output_dir / session / "anat"
    transforms = [merged((path,)) for path in sorted(folder.glob("*_mode-image_xfm.json"))]
    maps = [merged((path,)) for path in sorted(folder.glob("*_R1map.json"))]
    # Maps that were aligned do not tell how they were computed.
    return (
        [str(fields["Strategy"]) for fields in transforms if "Strategy" in fields],
        [fields for fields in maps if "TransmitField" in fields],
    )


def read_brain_changes(output_dir: Path) -> dict[tuple[str, str, str], float]:
    """Read the built-in PBVC of all subjects back.

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
    for path in sorted(output_dir.glob(f"sub-*/sub-*_{PBVC}.tsv")):
        for row in read_rows(path):
            try:
                subject, first, later, value = (row[name] for name in PBVC_COLUMNS)
                change = float(value)
            except (KeyError, ValueError) as error:
                raise BadDataError(
                    f"{path} has a row without brain volume change between two sessions. Run its "
                    "subject again with --longitudinal."
                ) from error
            changes[subject, first, later] = change
            changes[subject, later, first] = percentage_change(1 + change / 100, 1)
    return changes


def on_scan_grid(volumes: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows whose masks lie in the common space of several scans.

    They cannot be laid over labels drawn on the scan without interpolating them once more.
    """
    return volumes[~volumes["method"].str.endswith(LONGITUDINAL)]


def dseg_path(row: Mapping[Hashable, Any]) -> PurePosixPath:
    """Where the labels of one row of the volumes table lie, relative to the output folder."""
    scan, _, anchor = str(row["scan"]).rpartition("_")
    folder = PurePosixPath(str(row["participant_id"]))
    if isinstance(row["session_id"], str):
        folder = folder / row["session_id"]
    space = f"{scan}_space-{anchor}_seg-thalamus"
    return folder / "anat" / f"{space}_desc-{row['method']}{row['contrast']}_dseg.nii.gz"


def probseg_path(row: Mapping[Hashable, Any]) -> PurePosixPath:
    """Where the probabilities of one row lie; masks that were fused have none."""
    path = dseg_path(row)
    return path.with_name(path.name.replace("_dseg.", "_probseg."))


def _read_aligned(folder: Path, scan: Scan, contrast: str) -> AlignedContrast:
    path = folder / aligned_name(scan, contrast)
    sidecar = merged((path.with_name(path.name.removesuffix(".nii.gz") + ".json"),))
    attempts = cast("list[Mapping[str, object]]", sidecar["Attempts"])
    return AlignedContrast(contrast, read_volume(path), tuple(attempts), str(sidecar["Strategy"]))
