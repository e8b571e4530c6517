"""The page on which all scans are rated by eye, from the results of all sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.dataset.staging import staged
from bids_app.dataset.tables import read_rows
from bids_app.derivatives import names
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.description import dataset_name
from bids_app.errors import BadDataError
from bids_app.options import Folders
from bids_app.run.records import read_records

if TYPE_CHECKING:
    from bids_app.report.qc_board import Row

BOARD = "qc.html"
_SEPARATOR = "; "


def write_board(folders: Folders) -> None:
    """Write ``qc.html`` with all measured scans, if there are any.

    Parameters
    ----------
    folders : Folders

    Raises
    ------
    CannotCreateError
        If it cannot be written.
    """
    from bids_app.report.qc_board import Board, qc_board

    output_dir = folders.output_dir
    rows: list[Row] = []
    unmeasured = {
        record.name: record.reason
        for record in read_records(output_dir)
        if record.status in ("failed", "skipped")
    }
    for path in names.volumes_tables(output_dir):
        try:
            rows += _rows_of(output_dir, read_rows(path))
        except BadDataError as error:
            unmeasured[path.name] = str(error)
    if rows:
        board = Board(dataset_name(folders.bids_dir), tuple(rows), tuple(unmeasured.items()))
        with staged(output_dir, "qc") as staging:
            staging.text(BOARD, qc_board(board))


def _rows_of(output_dir: Path, table: list[dict[str, str]]) -> Iterator[Row]:
    """Yield one row per scan: its first segmentation, and the flags of all."""
    from bids_app.report.qc_board import Row

    by_scan: dict[str, list[Mapping[str, str]]] = {}
    for entry in table:
        row = dict.fromkeys(VOLUME_COLUMNS, "n/a") | entry
        # Longitudinal segmentations are shown on the page of the visits.
        if not row["method"].endswith(names.LONGITUDINAL):
            by_scan.setdefault(row["scan"], []).append(row)
    for scan, rows in by_scan.items():
        first, thumbnail = rows[0], output_dir / names.thumbnail(scan)
        session = "_".join(
            first[key] for key in ("participant_id", "session_id") if first[key] != "n/a"
        )
        page = f"{session}.html"
        yield Row(
            participant_id=first["participant_id"],
            session_id=first["session_id"],
            scan=scan,
            method=f"{first['method']} {first['contrast']}",
            is_edited=first["edited"] != "n/a",
            page=page if (output_dir / page).is_file() else "",
            thumbnail=thumbnail.read_bytes() if thumbnail.is_file() else b"",
            left_ml=_number(first["left_ml"]),
            right_ml=_number(first["right_ml"]),
            total_ml=_number(first["total_ml"]),
            confidence=_number(first["confidence"]),
            flags=tuple(_flags(rows)),
        )


def _flags(rows: list[Mapping[str, str]]) -> Iterator[str]:
    """Yield each reason to review a scan, with the segmentations that it applies to."""
    concerns: dict[str, list[str]] = {}
    for row in rows:
        for reason in row["qc_reason"].split(_SEPARATOR):
            if reason != "n/a":
                concerns.setdefault(reason, []).append(f"{row['method']} {row['contrast']}")
    for reason, segmentations in concerns.items():
        yield f"{reason} ({', '.join(segmentations)})"


def _number(text: str) -> float:
    """Convert an entry, NaN if missing."""
    try:
        return float("nan" if text == "n/a" else text)
    except ValueError as error:
        raise BadDataError(f"'{text}' is no number. Measure the session again.") from error
