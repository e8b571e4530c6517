"""Levels of clinical columns: their text, their declared meaning, and rows that have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bids_app.dataset.tables import Column
from bids_app.group.result import NotApplicableError


def select(
    rows: pd.DataFrame, subset: Mapping[str, Sequence[str]], columns: Mapping[str, Column]
) -> pd.DataFrame:
    """Return the rows with given levels by column, irrespective of upper and lower case.

    Parameters
    ----------
    rows : DataFrame
    subset : mapping of str to sequence of str
        Levels, or their meanings, by column.
    columns : mapping of str to Column
        Descriptions of the clinical columns.

    Raises
    ------
    NotApplicableError
        If the column is absent or no row remains.
    """
    for column, levels in subset.items():
        if column not in rows:
            raise NotApplicableError(f"the subset's column '{column}' is absent")
        selected = {level.casefold() for level in levels}
        texts = rows[column].map(level_name, na_action="ignore")
        meanings = level_meanings(rows[column], columns)
        rows = rows[texts.str.casefold().isin(selected) | meanings.str.casefold().isin(selected)]
        if rows.empty:
            raise NotApplicableError(f"no participant has {column} in {list(levels)}")
    return rows


def level_meanings(values: pd.Series, columns: Mapping[str, Column]) -> pd.Series:
    """Replace each level of a clinical column by the meaning that its JSON declares."""
    column = columns.get(str(values.name))
    meanings = column.levels if column else {}
    texts = values.map(level_name, na_action="ignore")
    return texts.map(lambda text: meanings.get(text, text), na_action="ignore")


def level_name(value: object) -> str:
    """Write a level as in its table: a number without needless decimals."""
    return f"{value:g}" if isinstance(value, float) else str(value)
