"""Clinical tables of a BIDS dataset: participants, sessions and phenotype, with their JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bids_app.dataset.tables import Column, read_json, read_rows
from bids_app.errors import BadDataError

IDENTITY = ("participant_id", "session_id")

_MISSING = ("n/a", "N/A", "nan", "NaN", "")
_MISSING_LEVEL = re.compile(
    r"^(missing|unknown|refused|not (available|applicable|done|assessed|known|recorded|tested))\b",
    re.IGNORECASE,
)
_PER_YEAR = {"month": 12.0, "week": 365.25 / 7, "day": 365.25}


@dataclass(frozen=True)
class ClinicalTable:
    """A clinical table, with missing codes removed.

    Attributes
    ----------
    values : DataFrame
        ``participant_id`` and, in a table of sessions, ``session_id``, with their prefixes;
        then the columns: float64 where all entries are numbers, otherwise text.
    columns : mapping of str to Column
        All but the identifiers.
    """

    values: pd.DataFrame
    columns: Mapping[str, Column]


def read_clinical_tables(bids_dir: Path) -> tuple[list[ClinicalTable], list[str]]:
    """Read every clinical table of a dataset.

    ``sub-*/sub-*_sessions.tsv`` count as one table, as does a ``sessions.tsv`` next to
    ``participants.tsv``.

    Parameters
    ----------
    bids_dir : Path

    Returns
    -------
    tables : list of ClinicalTable
        Tables of sessions before those of participants: the more specific value comes first.
    problems : list of str
        Phenotype tables that could not be used, and why.

    Raises
    ------
    BadDataError
        If a table cannot be read, lacks its identifiers, or lists a participant or a session
        twice.
    """
    tables, problems = [], []
    sessions = [*sorted(bids_dir.glob("sub-*/sub-*_sessions.tsv"))]
    root = bids_dir / "sessions.tsv"
    if sessions or root.is_file():
        tables.append(_read_sessions(bids_dir, [*([root] if root.is_file() else []), *sessions]))
    for path in sorted(bids_dir.glob("phenotype/*.tsv")):
        try:
            tables.append(_read_one(bids_dir, path))
        except BadDataError as error:
            problems.append(str(error))
    participants = bids_dir / "participants.tsv"
    if participants.is_file():
        tables.append(_read_one(bids_dir, participants))
    # A stable sort keeps sessions.tsv before phenotype, and participants.tsv last.
    tables.sort(key=lambda table: "session_id" not in table.values)
    return tables, problems


def _with_prefix(labels: pd.Series, prefix: str) -> pd.Series:
    """Write labels as ``sub-01`` and ``ses-01`` whether or not the prefix was given."""
    return prefix + labels.str.removeprefix(prefix)


def in_years(values: pd.Series, column: Column) -> tuple[pd.Series, Column]:
    """Convert a duration to years from months, weeks or days, if its JSON declares them as units.

    Parameters
    ----------
    values : Series
        Text remains as it is.
    column : Column
        Description of the values.

    Returns
    -------
    values : Series
    column : Column
        Description of the converted values.
    """
    unit = next((unit for unit in _PER_YEAR if column.units.lower().startswith(unit)), None)
    if unit is None or not pd.api.types.is_numeric_dtype(values):
        return values, column
    return values / _PER_YEAR[unit], replace(column, units="years")


def _read_one(bids_dir: Path, path: Path) -> ClinicalTable:
    """Read a table of participants or of sessions."""
    described = _read_json(path.with_suffix(".json"))
    source = path.relative_to(bids_dir).as_posix()
    table = _tidy(pd.DataFrame(read_rows(path)), path, described, source)
    keys = [key for key in IDENTITY if key in table.values]
    _require_single(table.values, keys, path)
    return table


def _read_sessions(bids_dir: Path, paths: Sequence[Path]) -> ClinicalTable:
    """Join the session tables of all participants; they share their columns."""
    rows: list[dict[str, str]] = []
    described = _read_json(bids_dir / "sessions.json")
    for path in paths:
        added = read_rows(path)
        if added and "session_id" not in added[0]:
            raise BadDataError(f"{path} lacks the column 'session_id'.")
        if path.parent != bids_dir:
            added = [{"participant_id": path.parent.name, **row} for row in added]
            described = {**_read_json(path.with_suffix(".json")), **described}
        _require_distinct(added, path)
        rows += added
    source = "sessions.tsv" if len(paths) == 1 else "sub-*_sessions.tsv"
    joined = pd.DataFrame(rows, columns=None if rows else list(IDENTITY))
    table = _tidy(joined, paths[0], described, source)
    _require_single(table.values, list(IDENTITY), paths[0])
    return table


def _require_distinct(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    labels = [(row.get("participant_id"), row["session_id"]) for row in rows]
    if len(set(labels)) < len(labels):
        subject, session = next(label for label in labels if labels.count(label) > 1)
        raise BadDataError(f"{path} lists {session} of {subject} twice. Keep one row of it.")


def _tidy(
    rows: pd.DataFrame, path: Path, described: Mapping[str, object], source: str
) -> ClinicalTable:
    """Prefix the identifiers, remove missing codes, and attach the descriptions.

    Parameters
    ----------
    rows : DataFrame
        As in the file.
    path : Path
        File that errors name.
    described : mapping of str to object
        Content of its JSON.
    source : str
        File that the columns name as their origin.
    """
    if "participant_id" not in rows:
        raise BadDataError(f"{path} lacks the column 'participant_id'.")
    rows = rows.mask(rows.isin(_MISSING))
    if rows["participant_id"].isna().any():
        raise BadDataError(f"{path} has a row without participant_id.")
    values = pd.DataFrame({"participant_id": _with_prefix(rows["participant_id"], "sub-")})
    if "session_id" in rows:
        values["session_id"] = _with_prefix(rows["session_id"], "ses-")
    columns = {}
    for name in rows.columns.difference(list(IDENTITY), sort=False):
        entry = described.get(name)
        entry = entry if isinstance(entry, dict) else {}
        levels = entry.get("Levels")
        levels = {str(k): str(v) for k, v in levels.items()} if isinstance(levels, dict) else {}
        description, units = (str(entry.get(key, "")) for key in ("Description", "Units"))
        columns[name] = Column(source, name, description, units, levels)
        values[name] = _values(rows[name], _missing_codes(entry, levels), levels)
    return ClinicalTable(values, columns)


def _values(texts: pd.Series, codes: set[str], levels: Mapping[str, str]) -> pd.Series:
    """Remove missing codes; convert to numbers if all are numbers, else unify the levels."""
    texts = texts.mask(texts.isin(codes))
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    numeric_codes = {float(code) for code in codes if _is_number(code)}
    if not (numbers.isna() & texts.notna()).any():
        return numbers.mask(numbers.isin(numeric_codes))
    texts = texts.mask(numbers.isin(numeric_codes))
    spelling = {level.casefold(): level for level in levels}
    for text in texts.dropna().unique():
        spelling.setdefault(text.casefold(), text)
    return texts.map(lambda text: spelling[text.casefold()], na_action="ignore")


def _missing_codes(entry: Mapping[str, object], levels: Mapping[str, str]) -> set[str]:
    """Collect the codes of missing values: ``MissingValues``, and levels described as missing."""
    declared = entry.get("MissingValues", ())
    if isinstance(declared, (str, int, float)):
        declared = [declared]
    codes = {str(code) for code in declared} if isinstance(declared, (list, dict)) else set()
    return codes | {code for code, meaning in levels.items() if _MISSING_LEVEL.match(meaning)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_json(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    content = read_json(path)
    return content if isinstance(content, dict) else {}


def _require_single(values: pd.DataFrame, keys: list[str], path: Path) -> None:
    repeated = values.duplicated(keys)
    if repeated.any():
        twice = " ".join(values.loc[repeated, keys].iloc[0].astype(str))
        raise BadDataError(f"{path} lists {twice} twice. Keep one row of it.")
