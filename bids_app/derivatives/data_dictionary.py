"""Data dictionaries: the JSON files that describe the columns of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bids_app.dataset.tables import Column as DatasetColumn
from bids_app.derivatives.column import Column
from bids_app.derivatives.columns import COLUMNS

_INTERVAL_ENDS = {"_ci_low": "lower", "_ci_high": "upper"}


def column(name: str) -> Column | None:
    """Look up a column; the ends of a confidence interval are described by their estimate.

    Parameters
    ----------
    name : str
        As in the tables.

    Examples
    --------
    >>> column("bias_ci_low")
    Column(label='Bias, lower limit', description='Mean of method minus reference: lower end \
of the confidence interval', units='mL')
    """
    for suffix, end in _INTERVAL_ENDS.items():
        stem = COLUMNS.get(name.removesuffix(suffix))
        if name not in COLUMNS and name.endswith(suffix) and stem is not None:
            text = f"{stem.description}: {end} end of the confidence interval"
            return Column(f"{stem.label}, {end} limit", text, stem.units)
    return COLUMNS.get(name)


def describe_columns(
    names: Iterable[str], declared: Mapping[str, DatasetColumn] = MappingProxyType({})
) -> dict[str, dict[str, object]]:
    """Describe the columns of a table for its JSON file.

    Parameters
    ----------
    names : iterable of str
    declared : mapping of str to DatasetColumn
        Columns that come from the dataset's own tables.

    Returns
    -------
    dict
        Column name to its ``Description``, ``Units`` and ``Levels``. The description of a column
        that nothing describes is empty.
    """
    return {name: _entry(name, declared) for name in names}


def _entry(name: str, declared: Mapping[str, DatasetColumn]) -> dict[str, object]:
    if name not in declared:
        described = column(name)
        return described.entry if described else {"Description": ""}
    of_dataset = declared[name]
    origin = f"column '{of_dataset.name}' of {of_dataset.source}"
    text = f"{of_dataset.description} ({origin})" if of_dataset.description else f"From {origin}"
    return {
        "Description": text,
        **({"Units": of_dataset.units} if of_dataset.units else {}),
        **({"Levels": dict(of_dataset.levels)} if of_dataset.levels else {}),
    }
