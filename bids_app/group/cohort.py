"""The cohort: volumes of every session joined with the clinical tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from math import isinf
from pathlib import Path

import pandas as pd

from bids_app.dataset.inputs import Offer, OfferKind
from bids_app.dataset.listing import contrasts_in
from bids_app.dataset.names import parse_name
from bids_app.dataset.notes import Note
from bids_app.dataset.tables import Column, Remarks, read_rows
from bids_app.dataset.units import split_name
from bids_app.derivatives.columns import COLUMNS, VOLUME_COLUMNS
from bids_app.derivatives.names import volumes_tables
from bids_app.derivatives.scanner_columns import SCANNER_COLUMNS
from bids_app.errors import BadDataError, MissingInputError, NothingSelectedError
from bids_app.group.clinical import (
    IDENTITY,
    ClinicalTable,
    in_years,
    read_clinical_tables,
)
from bids_app.group.exclusion import Exclusion, Reason
from bids_app.group.identifiers import members_of
from bids_app.group.nuclei_volumes import with_nuclei
from bids_app.group.ratings import RATING, failed_scans, read_ratings
from bids_app.group.tissue_values import with_values
from bids_app.group.visits import acquisition_times, order_visits
from bids_app.options import Folders, Selection
from bids_app.wording import listed

SCAN = ["participant_id", "session_id", "scan"]
SESSION = list(IDENTITY)
_KEYS = [*SCAN, "method", "contrast"]
_IMAGE = [*SESSION, "contrast"]
_ML = [name for name in VOLUME_COLUMNS if name.endswith("_ml")]
_THALAMUS_ML = [name for name in _ML if name.startswith(("left_", "right_", "total_"))]
# Both thalami of the largest brain have well below 40 mL, and no skull holds 10 litres.
_MOST_THALAMUS_ML, _MOST_HEAD_ML = 100.0, 10_000.0
# Text in other columns is a problem of the table; in these it is a missing value.
_NUMBERS = ("confidence", "scanner_field_strength")
_TEXTS = (
    *("contrast_agent", "edited", "qc", "uncertain_borders", "qc_reason"),
    *("scanner_device", "scanner_site", "scanner_software"),
)
# Clinical columns that the JSON files of the scans replace where the dataset has none.
_BY_SIDECAR = {"scanner": "scanner_device", "site": "scanner_site"}
_DURATIONS = ("age", "disease_duration")
_MOST_YEARS = 125.0
# Columns that analyses add to those of the clinical tables, which may not have the same names.
DERIVED = (
    *("segmentation", "visit", "interval", "baseline_ml", "followup_ml", "change_ml", "percent"),
    *("annual_change_ml", "annual_percent", "change_low", "change_high", "verdict", "counted"),
    *("reason", "progression", "confirmation", "worse", "scanner_change"),
    "total_harmonised_ml",
    *("total_calibrated_ml", "total_calibrated_low_ml", "total_calibrated_high_ml"),
)


@dataclass(frozen=True, kw_only=True)
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
        Files, rows and entries that could not be used, and why.
    notes : tuple of Note
        How tables were read that are not as BIDS has them.
    offers : tuple of Offer
        Clinical tables, their rows and columns, and whether they are used.
    images : DataFrame
        ``participant_id``, ``session_id`` and ``contrast`` of the images of the dataset.
    ratings : DataFrame
        Ratings of scans by eye, as `read_ratings` returns them.
    failed_scans : int
        Number of selected scans that are excluded because a rater failed them.
    """

    table: pd.DataFrame
    columns: Mapping[str, Column]
    participants: int
    excluded: Mapping[Reason, int]
    problems: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    offers: tuple[Offer, ...] = ()
    images: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_IMAGE))
    ratings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=RATING))
    failed_scans: int = 0


def read_cohort(
    folders: Folders,
    selection: Selection,
    aliases: Mapping[str, Sequence[str]],
    time: str = "auto",
    reasons: Mapping[str, Reason] | None = None,
    qc_files: Sequence[Path] = (),
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
    qc_files : sequence of Path
        Ratings by eye; a scan that a rater failed is excluded as if it had not been measured.

    Returns
    -------
    Cohort

    Raises
    ------
    MissingInputError
        If there are no volumes.
    BadDataError
        If no volume can be used, a measurement is duplicated, or no participant of a clinical
        table is one of the dataset.
    NothingSelectedError
        If the selected labels match no volume, or raters failed all that they match.
    """
    reasons = reasons or {}
    volumes, problems = read_volumes(folders.output_dir)
    remarks = Remarks()
    members = members_of(
        folders.bids_dir,
        [*zip(volumes["participant_id"], volumes["session_id"], strict=True)],
    )
    tables = read_clinical_tables(folders.bids_dir, members, remarks)
    measured, selected = set(volumes["participant_id"]), _select(volumes, selection)
    ratings = read_ratings(qc_files, volumes["scan"].unique(), remarks)
    reviewed, failed = set(selected["participant_id"]), selected["scan"].isin(failed_scans(ratings))
    failed_count = int(selected.loc[failed, "scan"].nunique())
    selected = _passed(selected, failed)
    participants = measured.union(*(table.values["participant_id"] for table in tables), reasons)
    names = sorted(participants - set(selected["participant_id"]))
    excluded = Counter(_reason(name, reviewed, measured, reasons) for name in names)
    _account_for_rows(tables, selected, members.subjects, remarks)
    table, columns = _join(selected, tables, aliases, remarks)
    table = with_values(_with_scanners(table, columns), columns, folders.output_dir, remarks)
    table = with_nuclei(table, columns, folders.output_dir, remarks)
    for name in _DURATIONS:
        if name in columns:
            table[name], columns[name] = in_years(table[name], columns[name])
            _name_text(table[name], columns[name], remarks)
            table[name] = _plausible(table, name, columns[name], remarks)
    images = pd.DataFrame(sorted(contrasts_in(folders.bids_dir), key=str), columns=_IMAGE)
    table.insert(2, "segmentation", table["method"] + " " + table["contrast"])
    return Cohort(
        table=order_visits(table, acquisition_times(table, folders.bids_dir, remarks), time),
        columns=columns,
        participants=len(participants),
        excluded=excluded,
        problems=(*(problem.text for problem in remarks.problems), *problems),
        notes=tuple(remarks.notes),
        offers=tuple(remarks.offers),
        images=images[_selected(images, selection)].reset_index(drop=True),
        ratings=ratings,
        failed_scans=failed_count,
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
    for name in _NUMBERS:
        volumes[name] = pd.to_numeric(volumes[name], errors="coerce")
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
    for name in _NUMBERS:
        values[name] = row.get(name, "n/a")
    agent = parse_name(row["scan"]).entities.get("ce", "n/a")
    texts = {"contrast_agent": agent, "qc": "n/a", "qc_reason": "n/a"} | dict(row)
    for name in _TEXTS:
        text = texts.get(name, "n/a")
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
    if isinf(value) or value < 0:
        kind = "an infinite" if isinf(value) else "a negative"
        raise BadDataError(f"{path}: column '{column}' holds {kind} volume ({text}).")
    most = _MOST_THALAMUS_ML if column in _THALAMUS_ML else _MOST_HEAD_ML
    if value > most:
        raise BadDataError(
            f"{path}: column '{column}' holds {text}, more than {most:g} mL. "
            "It seems to be in µL (mm³); expected mL."
        )
    return value


def _select(volumes: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Keep the selected participants and sessions."""
    keep = _selected(volumes, selection)
    if not keep.any():
        raise NothingSelectedError(
            f"The selected labels match none of the {len(volumes)} volumes of the results."
        )
    return volumes[keep].reset_index(drop=True)


def _reason(
    name: str, reviewed: Collection[str], measured: Collection[str], reasons: Mapping[str, Reason]
) -> Reason:
    """Give the reason why a participant without a row in the cohort has none."""
    if name in reviewed:
        return Exclusion.FAILED_REVIEW
    return Exclusion.NOT_SELECTED if name in measured else reasons.get(name, Exclusion.NOT_MEASURED)


def _passed(selected: pd.DataFrame, failed: pd.Series) -> pd.DataFrame:
    """Remove the scans that raters failed."""
    if failed.all():
        raise NothingSelectedError(
            "The raters failed every scan that is selected: nothing is left to analyse. Review "
            "the files of --qc-file."
        )
    return selected[~failed].reset_index(drop=True)


def _selected(rows: pd.DataFrame, selection: Selection) -> pd.Series:
    """Determine which rows are of selected participants and sessions."""
    subjects = rows["participant_id"].astype("str").str.removeprefix("sub-")
    keep = ~subjects.isin(selection.exclude_participant_labels)
    if selection.participant_labels is not None:
        keep &= subjects.isin(selection.participant_labels)
    if selection.session_labels is not None:
        sessions = rows["session_id"].astype("str").str.removeprefix("ses-")
        keep &= sessions.isin(selection.session_labels)
    return keep


def _account_for_rows(
    tables: Iterable[ClinicalTable],
    volumes: pd.DataFrame,
    subjects: Collection[str],
    remarks: Remarks,
) -> None:
    """Count the rows of clinical tables that are joined with volumes, and those that are not.

    Parameters
    ----------
    tables : iterable of ClinicalTable
    volumes : DataFrame
        The selected ones.
    subjects : collection of str
        Participants of the dataset; rows of others have been reported.
    remarks : Remarks
        Gets the numbers.
    """
    for table in tables:
        keys = [key for key in SESSION if key in table.values]
        rows = table.values.loc[table.values["participant_id"].isin(subjects), keys]
        joined = rows.merge(volumes[keys].drop_duplicates(), on=keys)
        unused = len(rows) - len(joined)
        for number, reason in ((len(joined), ""), (unused, "of sessions without a volume here")):
            if number:
                name = f"{number} row{'s' if number > 1 else ''}"
                remarks.offer(table.source, OfferKind.ROW, [name], reason)


def _join(
    volumes: pd.DataFrame,
    tables: Sequence[ClinicalTable],
    aliases: Mapping[str, Sequence[str]],
    remarks: Remarks,
) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Add the clinical columns to the volumes, and repeat some under their common names.

    A column whose name an earlier table has already used is prefixed with the name of its file.
    """
    ours = _reserved(tables)
    columns: dict[str, Column] = {}
    joined = volumes
    for table in tables:
        names: dict[str, str] = {}
        for name, column in table.columns.items():
            taken = {*ours, *columns, *names.values(), *(table.columns.keys() - {name})}
            names[name] = _free_name(name, Path(column.source), taken)
            if name in ours:
                text = f"{column.source}: the column '{name}' is used as '{names[name]}'"
                remarks.note(column.source, f"{text}; thalbids has a column '{name}' of its own.")
        keys = [key for key in SESSION if key in table.values]
        values = table.values.rename(columns=names)
        joined = joined.merge(values, on=keys, how="left", validate="many_to_one")
        columns |= {names[name]: column for name, column in table.columns.items()}
    for name in list(columns):
        plain, unit = split_name(name)
        if unit and plain and plain not in {*columns, *ours}:
            columns[plain] = replace(columns[name], units=columns[name].units or unit)
            joined[plain] = joined[name]
    present = {name.casefold(): name for name in reversed(list(columns))}
    for common, spellings in aliases.items():
        matches = [present[s.casefold()] for s in spellings if s.casefold() in present]
        if matches and common not in columns:
            joined[common], columns[common] = joined[matches[0]], columns[matches[0]]
    return joined, columns


def _with_scanners(table: pd.DataFrame, columns: dict[str, Column]) -> pd.DataFrame:
    """Give all rows of a scan its scanner, and use it where no clinical table names one."""
    by_scan = table.groupby("scan", sort=False)[list(SCANNER_COLUMNS)].transform("first")
    table = table.assign(**{name: by_scan[name] for name in SCANNER_COLUMNS})
    for common, name in _BY_SIDECAR.items():
        if common not in columns and table[name].notna().any():
            text = COLUMNS[name].description
            columns[common] = Column("JSON files of the scans", name, text)
            table[common] = table[name]
    return table


def _plausible(table: pd.DataFrame, name: str, column: Column, remarks: Remarks) -> pd.Series:
    """Read durations that nobody has as missing, such as dates or codes, and report them."""
    values = table[name]
    if not pd.api.types.is_numeric_dtype(values):
        return values
    odd = (values < 0) | (values > _MOST_YEARS)
    if odd.any():
        entries = listed(sorted({f"{value:g}" for value in values[odd]}))
        of = listed(sorted(table.loc[odd, "participant_id"].unique()))
        text = (
            f"{column.source}, column '{column.name}': {entries} ({of}) count as missing: expected "
            f"0 to {_MOST_YEARS:g} years. Correct the entries, or declare Units in its JSON file."
        )
        remarks.problem(column.source, text)
    return values.mask(odd)


def _name_text(values: pd.Series, column: Column, remarks: Remarks) -> None:
    """Report a duration that is text, which no model can use."""
    texts = values.dropna()
    if len(texts) and not pd.api.types.is_numeric_dtype(values):
        text = f"{column.source}, column '{column.name}' holds text, such as '{texts.iloc[0]}'"
        remarks.problem(column.source, f"{text}. Expected numbers; models do without it.")


def _reserved(tables: Sequence[ClinicalTable]) -> set[str]:
    """Collect the names that clinical columns may not have: those of our own columns."""
    changes = {f"{name}_change" for table in tables for name in table.columns}
    return {*VOLUME_COLUMNS, *DERIVED, *changes}


def _free_name(name: str, source: Path, taken: Collection[str]) -> str:
    """Prefix a name that is taken with that of its file, and number it if need be.

    >>> _free_name("age", Path("participants.tsv"), ["age", "participants_age"])
    'participants_age_2'
    """
    prefixed = f"{source.stem.split('_')[-1]}_{name}"
    numbered = (f"{prefixed}_{number}" for number in count(2))
    return next(each for each in chain([name, prefixed], numbered) if each not in taken)
