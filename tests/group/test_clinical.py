"""Clinical tables of a dataset: order, missing codes, units."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bids_app.dataset.tables import Column, Remarks
from bids_app.group.clinical import in_years, read_clinical_tables
from bids_app.group.identifiers import members_of


def test_tables_of_sessions_come_first(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\tedss\n01\t2\nsub-02\tn/a\n")
    (tmp_path / "participants.json").write_text(
        json.dumps({"edss": {"Description": "EDSS", "Units": "points"}})
    )
    for subject in ("sub-01", "sub-02"):
        folder = tmp_path / subject
        folder.mkdir()
        (folder / f"{subject}_sessions.tsv").write_text("session_id\tsdmt\nses-1\t50\n2\t51\n")
    (tmp_path / "phenotype").mkdir()
    (tmp_path / "phenotype" / "items.tsv").write_text("participant_id\titem\n01\t1\n01\t2\n")
    remarks = Remarks()
    known = members_of(tmp_path, [])
    sessions, participants = read_clinical_tables(tmp_path, known, remarks)
    assert list(sessions.values["session_id"]) == ["ses-1", "ses-2"] * 2
    assert sessions.columns["sdmt"] == Column("sub-*_sessions.tsv", "sdmt")
    assert list(participants.values["participant_id"]) == ["sub-01", "sub-02"]
    assert participants.columns["edss"] == Column("participants.tsv", "edss", "EDSS", "points")
    assert participants.values["edss"].isna().tolist() == [False, True]
    assert ["items.tsv" in problem.text for problem in remarks.problems] == [True]


@pytest.mark.parametrize(
    ("units", "expected"), [("months", 2.0), ("Weeks", 24 / (365.25 / 7)), ("", 24), ("years", 24)]
)
def test_durations_are_converted_to_years(units: str, expected: float) -> None:
    column = Column("participants.tsv", "age", units=units)
    values, described = in_years(pd.Series([24.0]), column)
    assert values.tolist() == [pytest.approx(expected)]
    assert described.units == (units and "years")


def test_a_duration_as_text_remains() -> None:
    column = Column("participants.tsv", "age", units="months")
    values, described = in_years(pd.Series(["about 20"]), column)
    assert values.tolist() == ["about 20"]
    assert described == column
