"""Volumes of groups of thalamic nuclei, joined with the cohort as columns of each scan."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import pandas as pd

from bids_app.dataset.tables import Column, Remarks, read_rows
from bids_app.derivatives.names import nuclei_tables
from bids_app.errors import BadDataError


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
    selected = set(table["scan"])
    volumes: dict[str, dict[str, float]] = {}
    described: dict[str, Column] = {}
    for path in nuclei_tables(output_dir):
        sums: dict[str, dict[str, float]] = {}
        try:
            for row in read_rows(path):
                name = f"nuclei_{row['method']}_{row['nuclei']}_ml"
                volume = float(row["nuclei_ml"])
                if not isfinite(volume):
                    raise ValueError(f"it holds the volume {row['nuclei_ml']}")
                of_scan = sums.setdefault(row["scan"], {})
                of_scan[name] = of_scan.get(name, 0.0) + volume
                text = f"Volume of the {row['nuclei']} nuclei of both thalami by {row['method']}"
                described.setdefault(name, Column(path.name, name, text, "mL"))
        except KeyError as error:
            remarks.problem(path, f"{path} lacks the column {error}. Measure its session again.")
        except (BadDataError, ValueError) as error:
            remarks.problem(path, f"{path} is not used: {error}")
        else:
            volumes |= {scan: each for scan, each in sums.items() if scan in selected}
    if not volumes:
        return table
    wide = pd.DataFrame.from_dict(volumes, orient="index")
    new = [name for name in described if name in wide and name not in table]
    columns |= {name: described[name] for name in new}
    return table.merge(wide[new], left_on="scan", right_index=True, how="left")
