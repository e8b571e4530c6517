"""Order of the sessions of each participant, and the time between them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.dataset.dates import read_dates
from bids_app.dataset.entries import is_missing
from bids_app.dataset.inputs import Offer, OfferKind
from bids_app.dataset.names import natural
from bids_app.dataset.tables import Remarks, read_table
from bids_app.errors import BadDataError
from bids_app.group.clinical import IDENTITY
from bids_app.wording import listed

SESSION = list(IDENTITY)


def acquisition_times(table: pd.DataFrame, bids_dir: Path, remarks: Remarks) -> pd.Series:
    """Look up when each row's session was acquired: in its session table, else its scans table.

    Parameters
    ----------
    table : DataFrame
        Rows of the cohort.
    bids_dir : Path
    remarks : Remarks
        Tables and dates that cannot be used are added as problems, and each table of scans with
        whether it is used.

    Returns
    -------
    Series of float64
        Years of any origin; NaN if unknown.
    """
    times = table["acq_time"] if "acq_time" in table else pd.Series(None, index=table.index)
    times = times.astype(object)
    absent = table.loc[times.isna(), SESSION].dropna().drop_duplicates()
    scans = _times_of_scans(bids_dir, table, [*absent.itertuples(index=False, name=None)], remarks)
    texts = [
        *times.dropna().astype("str"),
        *(text for texts_of_session in scans.values() for text in texts_of_session),
    ]
    dates = read_dates(texts)
    if dates.read:
        pairs = [f"{text} as {date:%Y-%m-%d}" for text, date in dates.read.items()]
        remarks.note("acq_time", f"acq_time: dates are read day first: {listed(pairs)}.")
    if dates.unclear:
        remarks.problem(
            "acq_time",
            f"acq_time: {listed([repr(text) for text in dates.unclear])} cannot be read as dates, "
            "or could be two, and count as missing. Write them as YYYY-MM-DDThh:mm:ss.",
        )
    years = dates.years
    earliest = {
        session: min((years[text] for text in texts_of_session if text in years), default=np.nan)
        for session, texts_of_session in scans.items()
    }
    keys = zip(table["participant_id"], table["session_id"], strict=True)
    of_scans = pd.Series([earliest.get(key, np.nan) for key in keys], table.index, dtype=float)
    of_sessions = times.map(lambda time: years.get(str(time), np.nan), na_action="ignore")
    return of_sessions.astype(float).where(times.notna(), of_scans)


def _times_of_scans(
    bids_dir: Path,
    table: pd.DataFrame,
    wanted: Collection[tuple[str, str]],
    remarks: Remarks,
) -> dict[tuple[str, str], list[str]]:
    """Read the acquisition times of the sessions that have no other, by participant and session."""
    measured = {*zip(table["participant_id"], table["session_id"].fillna(""), strict=True)}
    times: dict[tuple[str, str], list[str]] = {}
    for pattern in ("sub-*/*_scans.tsv", "sub-*/ses-*/*_scans.tsv"):
        for path in sorted(bids_dir.glob(pattern)):
            subject, *session, name = path.relative_to(bids_dir).parts
            key = (subject, "".join(session))
            if name != "_".join([subject, *session, "scans.tsv"]):
                reason = "not named for the session of its folder"
            elif key not in measured:
                reason = "nothing of its session was measured"
            elif key in wanted:
                texts = _scan_times(path, remarks)
                times[key] = texts or []
                reason = "" if texts else "without acquisition time of an anatomical scan"
                reason = "it cannot be read" if texts is None else reason
            else:
                reason = "the time of its session is known or not needed"
            relative = path.relative_to(bids_dir).as_posix()
            remarks.offers.append(Offer(relative, OfferKind.TABLE, reason))
    return times


def _scan_times(path: Path, remarks: Remarks) -> list[str] | None:
    """Read the acquisition times of anatomical scans; None if the table cannot be read."""
    try:
        rows = read_table(path, remarks)
    except BadDataError as error:
        remarks.problem(path, str(error))
        return None
    if rows and "acq_time" in rows[0] and "filename" not in rows[0]:
        remarks.problem(path, f"{path} lacks the column 'filename'. Its acq_time is not used.")
        return None
    times = [
        row["acq_time"]
        for row in rows
        # Paths begin at the session, but also at the subject or with "./", and have either slash.
        if "acq_time" in row and "anat" in row["filename"].replace("\\", "/").split("/")[:-1]
    ]
    return [time for time in times if not is_missing(time)]


def order_visits(table: pd.DataFrame, acquired: pd.Series, time: str) -> pd.DataFrame:
    """Add ``visit`` and ``interval``, and sort by participant and visit.

    Parameters
    ----------
    table : DataFrame
        Rows of the cohort.
    acquired : Series of float64
        Acquisition time of each row in years, as `acquisition_times` returns it.
    time : str
        Column with the time of a session in years, or ``auto``.

    Returns
    -------
    DataFrame

    Raises
    ------
    BadDataError
        If there is no such column.
    """
    if time not in ("auto", *table.columns):
        raise BadDataError(f"The column '{time}', named as time of the sessions, is in no table.")
    candidates = [acquired, table.get("age")] if time == "auto" else [table[time]]
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
    labels = sessions["session_id"].fillna("").map(natural)
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
