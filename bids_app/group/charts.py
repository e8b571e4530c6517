"""Data of the charts of several analyses."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd


def chart_values(rows: pd.DataFrame, column: str, panel: str | None = None) -> pd.DataFrame:
    """Select the columns of `bids_app.report.charts.Strips`.

    Parameters
    ----------
    rows : DataFrame
        ``method``, `column`, ``participant_id`` and, if known, ``session_id``.
    column : str
        Values to draw.
    panel : str, optional
        Column of the panels; those of equal sizes are sorted by name.

    Returns
    -------
    DataFrame
    """
    values = pd.DataFrame({"method": rows["method"], "value": rows[column]})
    if panel is not None:
        values["panel"] = rows[panel]
        values = values.sort_values("panel", kind="stable")
    values["subject"] = rows["participant_id"].str.removeprefix("sub-")
    if "session_id" in rows:
        values["session"] = rows["session_id"].fillna("").str.removeprefix("ses-")
    return values


def chart_panels(rows: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Stack several columns as panels.

    Parameters
    ----------
    rows : DataFrame
        As of `chart_values`.
    columns : mapping of str to str
        Text of the panel by column.
    """
    return pd.concat(
        [chart_values(rows, column).assign(panel=text) for column, text in columns.items()],
        ignore_index=True,
    )
