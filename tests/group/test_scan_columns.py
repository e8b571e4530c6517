"""Tables of the participant stage that become columns of scans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bids_app.dataset.tables import Column, Remarks
from bids_app.group.nuclei_volumes import with_nuclei
from bids_app.group.tissue_values import with_values

Join = Callable[[pd.DataFrame, dict[str, Column], Path, Remarks], pd.DataFrame]
_VALUES = {
    "scan": "sub-01_T1w",
    "method": "thalnet",
    "image": "R1map",
    "image_units": "1/s",
    "transmit_field": "n/a",
    "side": "left",
    "region": "whole",
    "region_ml": "4",
    "value_mean": "0.75",
}
_NUCLEI = {"scan": "sub-01_T1w", "method": "thomas", "nuclei": "medial", "nuclei_ml": "1.5"}
_CASES = [
    (with_values, "values", _VALUES, "value_R1map_whole", 0.75),
    (with_nuclei, "nuclei", _NUCLEI, "nuclei_thomas_medial_ml", 1.5),
]


def _joined(
    join: Join, out: Path, kind: str, rows: list[dict[str, str]], **column: float
) -> tuple[pd.DataFrame, dict[str, Column], list[str]]:
    path = out / "sub-01" / "anat" / f"sub-01_desc-thalamus_{kind}.tsv"
    path.parent.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    columns: dict[str, Column] = {}
    remarks = Remarks()
    table = pd.DataFrame({"scan": ["sub-01_T1w", "sub-02_T1w"], **column})
    joined = join(table, columns, out, remarks)
    return joined, columns, [problem.text for problem in remarks.problems]


@pytest.mark.parametrize(("join", "kind", "row", "name", "value"), _CASES)
def test_rows_of_scans_of_the_cohort_become_columns(
    join: Join, kind: str, row: dict[str, str], name: str, value: float, tmp_path: Path
) -> None:
    """Rows of scans that are not selected are not read: they may hold anything."""
    other = dict.fromkeys(row, "?") | {"scan": "sub-09_T1w"}
    table, columns, problems = _joined(join, tmp_path, kind, [row, other])
    assert table[name].fillna(-1).tolist() == [value, -1]
    assert list(columns) == [name]
    assert problems == []


@pytest.mark.parametrize(("join", "kind", "row", "name", "value"), _CASES)
def test_a_table_without_scans_is_a_problem(
    join: Join, kind: str, row: dict[str, str], name: str, value: float, tmp_path: Path
) -> None:
    del value
    without = {key: text for key, text in row.items() if key != "scan"}
    table, columns, (problem,) = _joined(join, tmp_path, kind, [without])
    assert name not in table
    assert columns == {}
    assert "lacks the column 'scan'" in problem


@pytest.mark.parametrize(("join", "kind", "row", "name", "value"), _CASES)
def test_clinical_columns_of_the_same_name_stay(
    join: Join, kind: str, row: dict[str, str], name: str, value: float, tmp_path: Path
) -> None:
    del value
    table, columns, _ = _joined(join, tmp_path, kind, [row], **{name: 42.0})
    assert table[name].tolist() == [42, 42]
    assert columns == {}
