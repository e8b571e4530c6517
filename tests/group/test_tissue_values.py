"""Values within the thalami become columns of the cohort."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bids_app.dataset.tables import Column, Remarks
from bids_app.group.tissue_values import with_values


def _write(out: Path, subject: str, field: str, left: str, right: str) -> None:
    folder = out / subject / "anat"
    folder.mkdir(parents=True)
    lines = [
        "scan\tmethod\timage\timage_units\ttransmit_field\tside\tregion\tregion_ml\tvalue_mean"
    ]
    for side, volume, value in (("left", 6, left), ("right", 2, right)):
        row = f"{subject}_T1w\tthalnet\tR1map\t1/s\t{field}\t{side}\twhole\t{volume}\t{value}"
        lines.append(row)
    path = folder / f"{subject}_desc-thalamus_values.tsv"
    path.write_text("\n".join(lines) + "\n")


def _joined(out: Path, *subjects: str) -> tuple[pd.DataFrame, dict[str, Column], list[str]]:
    table = pd.DataFrame({"scan": [f"{subject}_T1w" for subject in subjects]})
    columns: dict[str, Column] = {}
    remarks = Remarks()
    joined = with_values(table, columns, out, remarks)
    return joined, columns, [problem.text for problem in remarks.problems]


def test_both_thalami_are_averaged_by_their_volumes(tmp_path: Path) -> None:
    _write(tmp_path, "sub-01", "measured", "0.6", "0.8")
    _write(tmp_path, "sub-02", "measured", "0.7", "n/a")
    table, columns, problems = _joined(tmp_path, "sub-01", "sub-02", "sub-03")
    assert list(table["value_R1map_whole"][:2]) == pytest.approx([0.65, 0.7])
    assert pd.isna(table["value_R1map_whole"][2])
    assert columns["value_R1map_whole"].units == "1/s"
    assert problems == []


def test_measured_and_estimated_fields_are_not_mixed_in_silence(tmp_path: Path) -> None:
    _write(tmp_path, "sub-01", "measured", "0.6", "0.6")
    _write(tmp_path, "sub-02", "estimated", "0.7", "0.7")
    table, _, (problem,) = _joined(tmp_path, "sub-01", "sub-02")
    assert list(table["value_transmit_field"]) == ["measured", "estimated"]
    assert "measured in 1 scan, estimated in 1 scan" in problem


@pytest.mark.parametrize("value", ["inf", "soon"])
def test_a_table_with_other_than_numbers_costs_its_session_only(tmp_path: Path, value: str) -> None:
    _write(tmp_path, "sub-01", "measured", "0.6", "0.6")
    _write(tmp_path, "sub-02", "measured", value, "0.7")
    table, _, (problem,) = _joined(tmp_path, "sub-01", "sub-02")
    assert table["value_R1map_whole"].notna().tolist() == [True, False]
    assert "sub-02_desc-thalamus_values.tsv" in problem


def test_without_tables_nothing_changes(tmp_path: Path) -> None:
    table, columns, problems = _joined(tmp_path, "sub-01")
    assert (list(table), columns, problems) == (["scan"], {}, [])
