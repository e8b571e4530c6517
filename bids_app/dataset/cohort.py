"""The cohort's tables: volumes of every session, and what is known of the participants."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_app.dataset.description import VOLUME_COLUMNS
from bids_app.errors import BadDataError, MissingInputError


def read_volumes(output_dir: Path) -> pd.DataFrame:
    """Gather the volumes of all finished sessions.

    Parameters
    ----------
    output_dir : Path
        Output of the participant stage.

    Returns
    -------
    DataFrame
        One row per scan, method and contrast; the columns of ``VOLUME_COLUMNS`` in mL.

    Raises
    ------
    MissingInputError
        If there are none.
    BadDataError
        If a table lacks columns or holds text where a volume is expected.
    """
    pattern = "anat/sub-*_desc-thalamus_volumes.tsv"
    paths = sorted([*output_dir.glob(f"sub-*/{pattern}"), *output_dir.glob(f"sub-*/*/{pattern}")])
    if not paths:
        raise MissingInputError(
            f"{output_dir} holds no results. Run the participant stage first: "
            "thalbids BIDS_DIR OUTPUT_DIR participant."
        )
    return pd.concat([_read_volumes(path) for path in paths], ignore_index=True)


def read_participants(bids_dir: Path) -> pd.DataFrame | None:
    """Read ``participants.tsv``; None where the dataset has none.

    Raises
    ------
    BadDataError
        If it cannot be read or lacks ``participant_id``.
    """
    path = bids_dir / "participants.tsv"
    if not path.is_file():
        return None
    table = _read_tsv(path)
    if "participant_id" not in table:
        raise BadDataError(f"{path} lacks the column 'participant_id'.")
    if table["participant_id"].duplicated().any():
        twice = table.loc[table["participant_id"].duplicated(), "participant_id"].iloc[0]
        raise BadDataError(f"{path} lists {twice} twice. Keep one row per participant.")
    return table


def join(volumes: pd.DataFrame, participants: pd.DataFrame | None) -> pd.DataFrame:
    """Put what is known of each participant beside the volumes.

    Columns that both tables have keep the measured values.
    """
    if participants is None:
        return volumes
    own = [c for c in participants if c == "participant_id" or c not in volumes]
    return volumes.merge(participants[own], on="participant_id", how="left")


def _read_volumes(path: Path) -> pd.DataFrame:
    table = _read_tsv(path)
    missing = [column for column in VOLUME_COLUMNS if column not in table]
    if missing:
        raise BadDataError(f"{path} lacks the column '{missing[0]}'. Measure its session again.")
    table = table[list(VOLUME_COLUMNS)].copy()
    for column in (name for name in VOLUME_COLUMNS if name.endswith("_ml")):
        try:
            table[column] = pd.to_numeric(table[column])
        except ValueError as error:
            raise BadDataError(f"{path}: column '{column}' holds text ({error}).") from error
    return table


def _read_tsv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path,
            sep="\t",
            na_values=["n/a"],
            keep_default_na=False,
            dtype={"participant_id": str, "session_id": str},
            encoding="utf-8-sig",
        )
    except (OSError, ValueError) as error:
        raise BadDataError(f"{path} is not a readable TSV table ({error}).") from error
