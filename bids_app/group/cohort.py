"""The cohort: volumes of every session joined with the clinical tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.dataset.tables import Column, read_rows
from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.derivatives.names import volumes_tables
from bids_app.errors import BadDataError, MissingInputError, NothingSelectedError
from bids_app.group.clinical import (
    IDENTITY,
    ClinicalTable,
    in_years,
    read_clinical_tables,
)
from bids_app.group.exclusion import Exclusion, Reason
from bids_app.options import Folders, Selection

SCAN = ["participant_id", "session_id", "scan"]
SESSION = list(IDENTITY)
_KEYS = [*SCAN, "method", "contrast"]
_ML = [name for name in VOLUME_COLUMNS if name.endswith("_ml")]
# Both thalami of the largest brain have well below 40 mL, and no skull holds 10 litres.
_MOST_THALAMUS_ML, _MOST_HEAD_ML = 100.0, 10_000.0
_DURATIONS = ("age", "disease_duration")


@dataclass(frozen=True)
class Cohort:
    """Measurements and clinical data of all sessions.

    Attributes
    ----------
    table : DataFrame
        One row per scan, method and contrast: the columns of ``VOLUME_COLUMNS`` (mL);
        ``segmentation``, the method and contrast in one; ``visit``, the order of the session
        from 0; ``interval``, years since the participant's first measured session (NaN if
        unknown); and the clinical columns.
    columns : mapping of str to Column
        Description of the clinical columns.
    participants : int
        All participants of the dataset, measured or not.
    excluded : mapping of Exclusion or Cause to int
        Number of participants without any volume, by reason.
    problems : tuple of str
        Files that could not be used, and why.
    """

    table: pd.DataFrame
    columns: Mapping[str, Column]
    participants: int
    excluded: Mapping[Reason, int]
    problems: tuple[str, ...]


def read_cohort(
    folders: Folders,
    selection: Selection,
    aliases: Mapping[str, Sequence[str]],
    time: str = "auto",
    reasons: Mapping[str, Reason] | None = None,
) -> Cohort:
    """Read volumes and clinical tables and join them.

    Parameters
    ----------
    folders : Folders
        Folders of the dataset and of the results.
    selection : Selection
        Participants and sessions to keep.
    aliases : mapping of str to sequence of str
        Names that a column may have in the dataset, by its common name.
    time : str
        Column with the time of a session in years; ``auto`` takes ``acq_time``, else ``age``
        where it changes between sessions, else the order of the session labels.
    reasons : mapping of str to Exclusion or Cause, optional
        Why participants (``sub-01``) have no volumes.

    Returns
    -------
    Cohort

    Raises
    ------
    MissingInputError
        If there are no volumes.
    BadDataError
        If no volume can be used, a measurement is duplicated, or a clinical table cannot be
        read.
    NothingSelectedError
        If the selected labels match no volume.
    """
    reasons = reasons or {}
    tables, table_problems = read_clinical_tables(folders.bids_dir)
    volumes, problems = read_volumes(folders.output_dir)
    measured, selected = set(volumes["participant_id"]), _select(volumes, selection)
    participants = measured.union(*(table.values["participant_id"] for table in tables), reasons)
    excluded = Counter(
        Exclusion.NOT_SELECTED if name in measured else reasons.get(name, Exclusion.NOT_MEASURED)
        for name in sorted(participants - set(selected["participant_id"]))
    )
    table, columns = _join(selected, tables, aliases)
    for name in _DURATIONS:
        if name in columns:
            table[name], columns[name] = in_years(table[name], columns[name])
    table["icv_ml"] = _filled(table, "icv_ml")
    table.insert(2, "segmentation", table["method"] + " " + table["contrast"])
    return Cohort(
        table=_ordered(table, _scan_times(table, folders.bids_dir), time),
        columns=columns,
        participants=len(participants),
        excluded=excluded,
        problems=(*table_problems, *problems),
    )


def read_volumes(output_dir: Path) -> tuple[pd.DataFrame, list[str]]:
    """Gather the volumes of all finished sessions.

    Parameters
    ----------
    output_dir : Path
        Output of the participant stage.

    Returns
    -------
    volumes : DataFrame
        One row per scan, method and contrast; the columns of ``VOLUME_COLUMNS`` in mL.
    problems : list of str
        Tables that could not be used because of text, infinite, negative or implausible volumes.

    Raises
    ------
    MissingInputError
        If there are none.
    BadDataError
        If none can be used, or a measurement is duplicated.
    """
    paths = volumes_tables(output_dir)
    if not paths:
        raise MissingInputError(
            f"{output_dir} holds no results. Run the participant stage first: "
            "thalbids BIDS_DIR OUTPUT_DIR participant."
        )
    rows: list[dict[str, object]] = []
    problems: list[str] = []
    for path in paths:
        try:
            rows += _read_volumes(path)
        except BadDataError as error:
            problems.append(str(error))
    if not rows:
        raise BadDataError(problems[0] if problems else f"{paths[0]} and all others are empty.")
    volumes = pd.DataFrame(rows, columns=list(VOLUME_COLUMNS)).astype({"session_id": "str"})
    repeated = volumes.duplicated(_KEYS)
    if repeated.any():
        twice = " ".join(volumes.loc[repeated, _KEYS].iloc[0].dropna())
        raise BadDataError(
            f"{output_dir} holds two volumes of {twice}. A session was copied under another's "
            "name or measured into two folders; keep one."
        )
    return volumes, problems


def _read_volumes(path: Path) -> list[dict[str, object]]:
    rows = read_rows(path)
    missing = [name for name in (*_KEYS, "total_ml") if rows and name not in rows[0]]
    if missing:
        raise BadDataError(f"{path} lacks the column '{missing[0]}'. Measure its session again.")
    return [_checked(row, path) for row in rows]


def _checked(row: Mapping[str, str], path: Path) -> dict[str, object]:
    """Convert the entries of a row, and check its volumes."""
    values: dict[str, object] = {name: row[name] for name in _KEYS}
    if row["session_id"] == "n/a":
        values["session_id"] = None
    for name in _ML:
        values[name] = _volume(row.get(name, "n/a"), name, path)
    # Results of an earlier version have no such columns.
    values["confidence"] = pd.to_numeric(row.get("confidence", "n/a"), errors="coerce")
    for name in ("qc", "qc_reason"):
        text = row.get(name, "n/a")
        values[name] = None if text == "n/a" else text
    return values


def _volume(text: str, column: str, path: Path) -> float:
    """Convert an entry to mL, NaN if missing; raise BadDataError if it is implausible."""
    try:
        value = float("nan" if text == "n/a" else text)
    except ValueError as error:
        raise BadDataError(
            f"{path}: column '{column}' holds the text '{text}'. Expected a volume in mL."
        ) from error
    if np.isinf(value) or value < 0:
        kind = "an infinite" if np.isinf(value) else "a negative"
        raise BadDataError(f"{path}: column '{column}' holds {kind} volume ({text}).")
    most = _MOST_HEAD_ML if column in ("icv_ml", "brain_ml") else _MOST_THALAMUS_ML
    if value > most:
        raise BadDataError(
            f"{path}: column '{column}' holds {text}, more than {most:g} mL. "
            "It seems to be in µL (mm³); expected mL."
        )
    return value


def _select(volumes: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Keep the selected participants and sessions."""
    subjects = volumes["participant_id"].str.removeprefix("sub-")
    keep = ~subjects.isin(selection.exclude_participant_labels)
    if selection.participant_labels is not None:
        keep &= subjects.isin(selection.participant_labels)
    if selection.session_labels is not None:
        sessions = volumes["session_id"].str.removeprefix("ses-")
        keep &= sessions.isin(selection.session_labels)
    if not keep.any():
        raise NothingSelectedError(
            f"The selected labels match none of the {len(volumes)} volumes of the results."
        )
    return volumes[keep].reset_index(drop=True)


def _join(
    volumes: pd.DataFrame, tables: Sequence[ClinicalTable], aliases: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Add the clinical columns to the volumes, and repeat some under their common names.

    A column whose name an earlier table has already used is prefixed with the name of its file.
    """
    taken = {*VOLUME_COLUMNS, "segmentation", "visit", "interval"}
    columns: dict[str, Column] = {}
    joined = volumes
    for table in tables:
        names = {
            name: f"{Path(column.source).stem.split('_')[-1]}_{name}" if name in taken else name
            for name, column in table.columns.items()
        }
        keys = [key for key in SESSION if key in table.values]
        values = table.values.rename(columns=names)
        joined = joined.merge(values, on=keys, how="left", validate="many_to_one")
        columns |= {names[name]: column for name, column in table.columns.items()}
        taken |= columns.keys()
    present = {name.casefold(): name for name in reversed(list(columns))}
    for common, spellings in aliases.items():
        matches = [present[s.casefold()] for s in spellings if s.casefold() in present]
        if matches and common not in columns:
            joined[common], columns[common] = joined[matches[0]], columns[matches[0]]
    return joined, columns


def _filled(table: pd.DataFrame, column: str) -> pd.Series:
    """Fill values that a method does not measure from the same scan, else the same session."""
    values = table[column]
    for keys in (SCAN, SESSION):
        measured = values.groupby([table[key] for key in keys], dropna=False).transform("first")
        values = values.fillna(measured)
    return values


def _scan_times(table: pd.DataFrame, bids_dir: Path) -> pd.Series:
    """Look up the acquisition time of each row's session: its session table, else scans table."""
    times = table["acq_time"] if "acq_time" in table else pd.Series(None, index=table.index)
    times = times.astype(object)
    absent = table.loc[times.isna(), SESSION].dropna().drop_duplicates()
    earliest: dict[tuple[str, str], str | None] = {}
    for row in absent.itertuples():
        subject, session = str(row.participant_id), str(row.session_id)
        path = bids_dir / subject / session / f"{subject}_{session}_scans.tsv"
        if not path.is_file():
            continue
        anatomical = [
            scan.get("acq_time", "n/a")
            for scan in read_rows(path)
            if scan.get("filename", "").startswith("anat/")
        ]
        available = [time for time in anatomical if time != "n/a"]
        earliest[subject, session] = min(available, default=None)
    keys = zip(table["participant_id"], table["session_id"], strict=True)
    scan_times = pd.Series([earliest.get(key) for key in keys], index=table.index, dtype=object)
    return times.where(times.notna(), scan_times)


def _ordered(table: pd.DataFrame, acquired: pd.Series, time: str) -> pd.DataFrame:
    """Add ``visit`` and ``interval``, and sort by participant and visit."""
    if time not in ("auto", *table.columns):
        raise BadDataError(f"The column '{time}', named as time of the sessions, is in no table.")
    candidates = [_dates(acquired), table.get("age")] if time == "auto" else [table[time]]
    sessions = table[SESSION].assign(
        **{f"time{i}": values for i, values in enumerate(candidates) if values is not None}
    )
    sessions = sessions.drop_duplicates(SESSION)
    subject = sessions["participant_id"]
    clock = pd.Series(np.nan, index=sessions.index)
    for name in sessions.columns.difference(SESSION):
        values = pd.to_numeric(sessions[name], errors="coerce").astype("float64")
        # A clock is used for a participant only if it distinguishes all sessions.
        usable = values.groupby(subject).transform("nunique") == subject.groupby(subject).transform(
            "size"
        )
        clock = clock.fillna(values.where(usable))
    labels = sessions["session_id"].fillna("").map(_natural)
    sessions = sessions.assign(clock=clock, label=labels)
    sessions = sessions.sort_values(["participant_id", "clock", "label"], kind="stable")
    by_participant = sessions.groupby("participant_id", sort=False)
    sessions["visit"] = by_participant.cumcount()
    interval = sessions["clock"] - by_participant["clock"].transform("first")
    # To half a minute: equal intervals must not differ by rounding.
    sessions["interval"] = interval.round(6)
    sessions.loc[sessions["visit"] == 0, "interval"] = 0.0
    ordered = table.merge(sessions[[*SESSION, "visit", "interval"]], on=SESSION, how="left")
    ordered = ordered.sort_values(["participant_id", "visit"], kind="stable", ignore_index=True)
    front = [*SESSION, "visit", "interval"]
    return ordered[[*front, *ordered.columns.difference(front, sort=False)]]


def _dates(acquired: pd.Series) -> pd.Series:
    """Convert dates to years of any origin; NaN for anything else."""
    dates = pd.to_datetime(acquired, format="ISO8601", errors="coerce", utc=True)
    return (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=365.25)


def _natural(label: str) -> tuple[tuple[int, str], ...]:
    """Make a sort key by which ses-2 comes before ses-10.

    >>> sorted(["ses-10", "ses-2"], key=_natural)
    ['ses-2', 'ses-10']
    """
    parts = re.findall(r"\d+|\D+", label)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
