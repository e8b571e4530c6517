"""Clinical tables of a BIDS dataset: participants, sessions and phenotype, with their JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """One table, missing codes taken out.

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

    ``sub-*/sub-*_sessions.tsv`` count as one table, as does a ``sessions.tsv`` beside
    ``participants.tsv``.

    Parameters
    ----------
    bids_dir : Path

    Returns
    -------
    tables : list of ClinicalTable
        Those of sessions before those of participants; a more specific value goes first.
    problems : list of str
        Phenotype tables that were left out, and why.

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


def with_prefix(labels: pd.Series, prefix: str) -> pd.Series:
    """Write labels as ``sub-01`` and ``ses-01`` whether or not the prefix was given."""
    return prefix + labels.str.removeprefix(prefix)


def years(values: pd.Series, units: str) -> pd.Series:
    """Convert a duration to years, from the unit its JSON declares; years if it declares none."""
    divisor = next((d for unit, d in _PER_YEAR.items() if units.lower().startswith(unit)), 1.0)
    return values / divisor if pd.api.types.is_numeric_dtype(values) else values


def _read_one(bids_dir: Path, path: Path) -> ClinicalTable:
    table = _tidy(pd.DataFrame(read_rows(path)), path, _read_json(path.with_suffix(".json")))
    keys = [key for key in IDENTITY if key in table.values]
    _require_single(table.values, keys, path)
    return _named(table, path.relative_to(bids_dir).as_posix())


def _read_sessions(bids_dir: Path, paths: Sequence[Path]) -> ClinicalTable:
    """Join the session tables of all participants; they share their columns."""
    rows: list[dict[str, str]] = []
    described = _read_json(bids_dir / "sessions.json")
    for path in paths:
        own = read_rows(path)
        if own and "session_id" not in own[0]:
            raise BadDataError(f"{path} lacks the column 'session_id'.")
        if path.parent != bids_dir:
            own = [{"participant_id": path.parent.name, **row} for row in own]
            described = {**_read_json(path.with_suffix(".json")), **described}
        labels = [(row.get("participant_id"), row["session_id"]) for row in own]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise BadDataError(f"{path} lists {twice[1]} of {twice[0]} twice. Keep one row of it.")
        rows += own
    first = paths[0]
    table = _tidy(pd.DataFrame(rows, columns=None if rows else list(IDENTITY)), first, described)
    _require_single(table.values, list(IDENTITY), first)
    return _named(table, "sessions.tsv" if len(paths) == 1 else "sub-*_sessions.tsv")


def _named(table: ClinicalTable, source: str) -> ClinicalTable:
    columns = {
        name: Column(source, name, column.description, column.units, column.levels)
        for name, column in table.columns.items()
    }
    return ClinicalTable(table.values, columns)


def _tidy(rows: pd.DataFrame, path: Path, described: Mapping[str, object]) -> ClinicalTable:
    if "participant_id" not in rows:
        raise BadDataError(f"{path} lacks the column 'participant_id'.")
    rows = rows.mask(rows.isin(_MISSING))
    if rows["participant_id"].isna().any():
        raise BadDataError(f"{path} has a row without participant_id.")
    values = pd.DataFrame({"participant_id": with_prefix(rows["participant_id"], "sub-")})
    if "session_id" in rows:
        values["session_id"] = with_prefix(rows["session_id"], "ses-")
    columns = {}
    for name in rows.columns.difference(list(IDENTITY), sort=False):
        entry = described.get(name)
        entry = entry if isinstance(entry, dict) else {}
        levels = entry.get("Levels")
        levels = {str(k): str(v) for k, v in levels.items()} if isinstance(levels, dict) else {}
        column = Column(
            "", name, str(entry.get("Description", "")), str(entry.get("Units", "")), levels
        )
        columns[name] = column
        values[name] = _values(rows[name], _missing_codes(entry, levels), levels)
    return ClinicalTable(values, columns)


def _values(texts: pd.Series, codes: set[str], levels: Mapping[str, str]) -> pd.Series:
    """Take out missing codes; make numbers of what is all numbers, else unify the levels."""
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
    """Codes that stand for a missing value: ``MissingValues``, or a level that says so."""
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
