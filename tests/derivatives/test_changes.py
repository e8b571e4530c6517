"""Tables of change between visits are read as they were written."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bids_app.dataset.staging import staged
from bids_app.derivatives import names
from bids_app.derivatives.change_columns import CHANGE_COLUMNS
from bids_app.derivatives.changes import (
    BrainChange,
    ThalamusChange,
    read_brain_changes,
    read_thalamus_changes,
    write_brain_changes,
    write_thalamus_changes,
)
from bids_app.derivatives.verdicts import Fact, Reason, Verdict

_REASONS = (Fact(Reason.COIL, "A, B"), Fact(Reason.UNCERTAIN_SIDES))
_CHANGE = ThalamusChange(
    participant_id="sub-1",
    from_session="ses-1",
    to_session="ses-2",
    from_scan="sub-1_ses-1_T1w",
    to_scan="sub-1_ses-2_T1w",
    method="thalnetLongitudinal",
    contrast="FLAIR",
    left_change=-1.5,
    right_change=-0.5,
    total_change=-1.0,
    total_change_raw=-0.75,
    total_change_scaled=-1.0,
    scale=0.25,
    scale_error=0.05,
    change_low=-1.75,
    change_high=-0.25,
    verdict=Verdict.CHECK,
    reasons=_REASONS,
    differences="receive coil (A, B); scanner software (1, 2)",
)


def test_changes_are_read_as_they_were_written(tmp_path: Path) -> None:
    unknown = _CHANGE.without_values()
    with staged(tmp_path, "sub-1") as staging:
        write_thalamus_changes(staging, "1", [_CHANGE, unknown])
    (first, second), problems = read_thalamus_changes(tmp_path)
    assert problems == []
    assert first == _CHANGE
    values = [asdict(second)[name] for name in CHANGE_COLUMNS if "change" in name]
    assert len(values) == 7
    assert all(math.isnan(value) for value in values)
    assert (second.scale, second.reasons) == (0.25, _REASONS)
    path = tmp_path / names.thalamus_change_table("1")
    header, row, _ = (line.split("\t") for line in path.read_text().splitlines())
    assert tuple(header) == CHANGE_COLUMNS
    # Reasons can be counted; their values are in a column of their own.
    assert row[-4:-1] == ["check", "receive coil; uncertain sides", "A, B; n/a"]


@pytest.mark.parametrize(
    "damage",
    [
        ("\t-1\t", "\tmuch\t"),
        ("check", "perhaps"),
        ("verdict", "v"),
        ("receive coil", "spool"),
        ("A, B; n/a", "A, B"),
    ],
)
def test_a_damaged_table_of_changes_costs_its_participant(
    tmp_path: Path, damage: tuple[str, str]
) -> None:
    for subject in ("1", "2"):
        with staged(tmp_path, f"sub-{subject}") as staging:
            change = replace(_CHANGE, participant_id=f"sub-{subject}")
            write_thalamus_changes(staging, subject, [change])
    path = tmp_path / names.thalamus_change_table("1")
    path.write_text(path.read_text().replace(*damage))
    changes, problems = read_thalamus_changes(tmp_path)
    assert [each.participant_id for each in changes] == ["sub-2"]
    (problem,) = problems
    assert "sub-1_desc-thalamus_changes.tsv has a row without a change" in problem
    assert "--longitudinal" in problem


def test_brain_volume_changes_are_read_in_both_directions(tmp_path: Path) -> None:
    with staged(tmp_path, "sub-1") as staging:
        changes = {
            ("ses-1", "ses-2"): BrainChange(-20.0, Verdict.CHECK, _REASONS),
            ("ses-1", "ses-3"): BrainChange(math.nan, Verdict.NOT_MEASURABLE),
        }
        write_brain_changes(staging, "1", changes)
    read, problems = read_brain_changes(tmp_path)
    assert problems == []
    assert read["sub-1", "ses-1", "ses-2"] == BrainChange(-20.0, Verdict.CHECK, _REASONS)
    assert read["sub-1", "ses-2", "ses-1"].percent == pytest.approx(25)
    for pair in (("ses-1", "ses-3"), ("ses-3", "ses-1")):
        assert math.isnan(read["sub-1", *pair].percent)
        assert read["sub-1", *pair].verdict is Verdict.NOT_MEASURABLE


def test_brain_volume_changes_of_earlier_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / names.brain_change_table("1")
    path.parent.mkdir()
    header = "participant_id\tbaseline_session_id\tsession_id\tpbvc\n"
    path.write_text(f"{header}sub-1\tses-1\tses-2\t-20.0\n")
    assert read_brain_changes(tmp_path)[0]["sub-1", "ses-1", "ses-2"].percent == -20
    path.write_text(f"{header}sub-1\tses-1\tses-2\tn/a?\n")
    changes, (problem,) = read_brain_changes(tmp_path)
    assert changes == {}
    assert "has a row without brain volume change" in problem
