"""Volumes of groups of thalamic nuclei, joined with the cohort as columns of each scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

import pandas as pd

from bids_app.dataset.tables import Column, Remarks
from bids_app.derivatives.names import nuclei_tables
from bids_app.group.scan_columns import read_scan_columns


def with_nuclei(
    table: pd.DataFrame, columns: dict[str, Column], output_dir: Path, remarks: Remarks
) -> pd.DataFrame:
    """Add the volume of each group of nuclei, of both sides together, to the rows of its scan.

    Parameters
    ----------
    table : DataFrame
        With the column ``scan``.
    columns : dict of str to Column
        Gets a description of each new column, for example
        ``nuclei_freesurferNuclei_anterior_ml``, which analyses can then use as any clinical one.
    output_dir : Path
        Results of the participant stage.
    remarks : Remarks
        Gets tables that cannot be used.

    Returns
    -------
    DataFrame
    """
    paths = nuclei_tables(output_dir)
    return read_scan_columns(paths, table["scan"], _sums, remarks).joined_with(table, columns)


def _sums(
    rows: Iterable[Mapping[str, str]], described: dict[str, Column], path: Path
) -> dict[str, dict[str, float]]:
    """Add the volumes of both thalami, by scan and column."""
    sums: dict[str, dict[str, float]] = {}
    for row in rows:
        name = f"nuclei_{row['method']}_{row['nuclei']}_ml"
        volume = float(row["nuclei_ml"])
        if not isfinite(volume):
            raise ValueError(f"it holds the volume {row['nuclei_ml']}")
        of_scan = sums.setdefault(row["scan"], {})
        of_scan[name] = of_scan.get(name, 0.0) + volume
        text = f"Volume of the {row['nuclei']} nuclei of both thalami by {row['method']}"
        described.setdefault(name, Column(path.name, name, text, "mL"))
    return sums
