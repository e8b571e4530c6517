"""Columns of scans from tables of the participant stage, joined with the cohort."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_app.dataset.tables import Column, Remarks, read_rows
from bids_app.errors import BadDataError

# From the rows of a table, values by scan and column; describes the columns. Raises KeyError for a
# column that is absent, ValueError for values that cannot be used.
Measure = Callable[
    [Iterable[Mapping[str, str]], dict[str, Column], Path], Mapping[str, Mapping[str, object]]
]


@dataclass(frozen=True, eq=False)
class ScanColumns:
    """Columns that tables add to scans.

    Attributes
    ----------
    values : DataFrame
        One row per scan, with its name as index.
    described : mapping of str to Column
        Each column, in order.
    """

    values: pd.DataFrame
    described: Mapping[str, Column]

    def joined_with(self, table: pd.DataFrame, columns: dict[str, Column]) -> pd.DataFrame:
        """Add the columns to the rows of their scans, but none that is there.

        Parameters
        ----------
        table : DataFrame
            With the column ``scan``.
        columns : dict of str to Column
            Gets a description of each new column, which analyses can then use as any clinical one.
        """
        new = [name for name in self.described if name in self.values and name not in table]
        if not new:
            return table
        columns |= {name: self.described[name] for name in new}
        return table.merge(self.values[new], left_on="scan", right_index=True, how="left")


def read_scan_columns(
    paths: Sequence[Path], scans: Iterable[str], measure: Measure, remarks: Remarks
) -> ScanColumns:
    """Read what tables of sessions state about scans.

    Parameters
    ----------
    paths : sequence of Path
        Tables with the column ``scan``.
    scans : iterable of str
        Names of the scans of the cohort; rows of others are not read.
    measure : callable
        See `Measure`.
    remarks : Remarks
        Gets tables that cannot be used.
    """
    selected = set(scans)
    values: dict[str, Mapping[str, object]] = {}
    described: dict[str, Column] = {}
    for path in paths:
        try:
            rows = [row for row in read_rows(path) if row["scan"] in selected]
            values |= measure(rows, described, path)
        except KeyError as error:
            remarks.problem(path, f"{path} lacks the column {error}. Measure its session again.")
        except (BadDataError, ValueError) as error:
            remarks.problem(path, f"{path} is not used: {error}")
    return ScanColumns(pd.DataFrame.from_dict(values, orient="index"), described)
