"""Values of images within the thalami, joined with the cohort as columns of each scan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

import pandas as pd

from bids_app.dataset.tables import Column, Remarks
from bids_app.derivatives.names import values_tables
from bids_app.group.scan_columns import read_scan_columns
from bids_app.qmri.transmit_field import EXCESS_OF_ESTIMATED
from bids_app.wording import counted

# What the columns begin with; clinical columns of such a name stay as they are.
PREFIX = "value_"
FIELD = f"{PREFIX}transmit_field"


def with_values(
    table: pd.DataFrame, columns: dict[str, Column], output_dir: Path, remarks: Remarks
) -> pd.DataFrame:
    """Add the mean value of every image in every region of both thalami to the rows of its scan.

    Parameters
    ----------
    table : DataFrame
        With the column ``scan``.
    columns : dict of str to Column
        Gets a description of each new column, for example ``value_R1map_whole``, which analyses
        can then use as any clinical one.
    output_dir : Path
        Results of the participant stage.
    remarks : Remarks
        Gets tables that cannot be used, and a warning where the transmit fields of the scans are
        not of one kind.

    Returns
    -------
    DataFrame
    """
    means = read_scan_columns(values_tables(output_dir), table["scan"], _means, remarks)
    _compare_fields(means.values, remarks)
    return means.joined_with(table, columns)


def _means(
    rows: Iterable[Mapping[str, str]], described: dict[str, Column], path: Path
) -> dict[str, dict[str, object]]:
    """Average both thalami by their volumes, by scan and column."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    fields: dict[str, dict[str, object]] = defaultdict(dict)
    for row in rows:
        # The regions of another program are those of its own nuclei.
        by_thalnet = row["method"] == "thalnet"
        region = row["region"] if by_thalnet else f"{row['method']}_{row['region']}"
        name = f"{PREFIX}{row['image']}_{region}"
        if row["value_mean"] == "n/a":
            continue
        weight, value = float(row["region_ml"]), float(row["value_mean"])
        if not (isfinite(value) and isfinite(weight)):
            raise ValueError(f"it holds the value {row['value_mean']} in {row['region_ml']} mL")
        total = sums[row["scan"], name]
        total[0] += weight * value
        total[1] += weight
        if name not in described:
            by = "" if by_thalnet else f" nuclei by {row['method']}"
            text = f"Mean of {row['image']} in the thalami, {row['region']}{by}"
            described[name] = Column(path.name, name, text, _units(row["image_units"]))
        if row["transmit_field"] != "n/a":
            fields[row["scan"]][FIELD] = row["transmit_field"]
            text = "How R1 was corrected for the transmit field"
            described.setdefault(FIELD, Column(path.name, FIELD, text))
    means: dict[str, dict[str, object]] = defaultdict(dict)
    for (scan, name), (weighted, volume) in sums.items():
        if volume > 0:
            means[scan][name] = weighted / volume
    return {scan: values | fields.get(scan, {}) for scan, values in means.items()}


def _units(text: str) -> str:
    return "relative to the brain" if text == "brain" else text


def _compare_fields(wide: pd.DataFrame, remarks: Remarks) -> None:
    """Warn where the transmit fields of some scans were measured and those of others estimated."""
    if FIELD not in wide or wide[FIELD].nunique() < 2:
        return
    counts = ", ".join(
        f"{kind} in {counted(n, 'scan')}" for kind, n in wide[FIELD].value_counts().items()
    )
    remarks.problem(
        FIELD,
        f"R1 was corrected with transmit fields of different kinds ({counts}). R1 by an estimated "
        f"field is not comparable with R1 by a measured one, than which it was "
        f"{EXCESS_OF_ESTIMATED} % higher in the thalami of six adults: use {FIELD} as a covariate, "
        "or exclude the scans of one kind.",
    )
