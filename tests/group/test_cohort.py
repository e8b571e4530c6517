"""Volumes and clinical tables become one cohort; their errors are reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.derivatives.columns import VOLUME_COLUMNS
from bids_app.errors import BadDataError, Cause, MissingInputError, NothingSelectedError
from bids_app.group.analysis_file import AnalysisPlan
from bids_app.group.cohort import DERIVED, Cohort, read_cohort, read_volumes
from bids_app.group.exclusion import Exclusion
from bids_app.group.registry import ANALYSES
from bids_app.group.study import Study
from tests.conftest import describe, options_of
from tests.group.simulation import Folders, volume_row, write_volumes

ALIASES = {"sex": ("sex", "gender"), "diagnosis": ("diagnosis", "group"), "age": ("age",)}


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    return describe(tmp_path / "bids")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two participants with two sessions each, one method."""
    out = tmp_path / "out"
    for number in (1, 2):
        for session in ("ses-1", "ses-10", "ses-2")[: number + 1]:
            subject = f"sub-0{number}"
            row = volume_row(f"{subject}_{session}_T1w", "first", "T1w", 12.0 + number, 1500)
            write_volumes(out, subject, session, [row])
    return out


def cohort(bids: Path, out: Path, **options: object) -> Cohort:
    time = str(options.pop("time", "auto"))
    given = options_of(bids, out, "group", **options)  # type: ignore[arg-type]
    return read_cohort(given.folders, given.selection, ALIASES, time)


def write(path: Path, text: str, described: dict[str, object] | None = None) -> None:
    """Write a table given with spaces, and its JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [line.split() for line in text.strip().splitlines()]
    path.write_text("\n".join("\t".join(line) for line in lines) + "\n")
    if described is not None:
        path.with_suffix(".json").write_text(json.dumps(described))


def row_of(result: Cohort, subject: str, session: str) -> pd.Series:
    table = result.table
    rows = (table["participant_id"] == subject) & (table["session_id"] == session)
    return table[rows].iloc[0]


def test_without_any_table_sessions_are_ordered_by_label(bids: Path, out: Path) -> None:
    result = cohort(bids, out)
    second = result.table[result.table["participant_id"] == "sub-02"]
    assert list(second["session_id"]) == ["ses-1", "ses-2", "ses-10"]
    assert list(second["visit"]) == [0, 1, 2]
    assert second["interval"].isna().tolist() == [False, True, True]


def test_acquisition_times_order_the_sessions(bids: Path, out: Path) -> None:
    write(
        bids / "sub-02" / "sub-02_sessions.tsv",
        """session_id acq_time
           ses-1 2022-01-01T00:00:00
           ses-2 2020-01-01T00:00:00
           ses-10 2021-01-01T00:00:00""",
    )
    second = cohort(bids, out).table.query("participant_id == 'sub-02'")
    assert list(second["session_id"]) == ["ses-2", "ses-10", "ses-1"]
    assert second["interval"].tolist() == pytest.approx([0, 366 / 365.25, 731 / 365.25], abs=1e-6)


def test_times_in_the_scans_table_are_used(bids: Path, out: Path) -> None:
    for session, year in (("ses-1", 2021), ("ses-10", 2020)):
        write(
            bids / "sub-01" / session / f"sub-01_{session}_scans.tsv",
            f"""filename acq_time
                func/sub-01_bold.nii.gz 1990-01-01T00:00:00
                anat/sub-01_T1w.nii.gz {year}-01-01T00:00:00""",
        )
    first = cohort(bids, out).table.query("participant_id == 'sub-01'")
    assert list(first["session_id"]) == ["ses-10", "ses-1"]


def test_an_age_that_changes_orders_the_sessions(bids: Path, out: Path) -> None:
    write(
        bids / "sessions.tsv",
        """participant_id session_id age
           sub-01 ses-1 31.5
           sub-01 ses-10 30""",
    )
    first = cohort(bids, out).table.query("participant_id == 'sub-01'")
    assert list(first["interval"]) == [0, 1.5]
    assert list(first["session_id"]) == ["ses-10", "ses-1"]


def test_a_named_column_orders_the_sessions(bids: Path, out: Path) -> None:
    write(
        bids / "phenotype" / "visits.tsv",
        """participant_id session_id month_of_study
           01 1 2.0
           01 10 1.5""",
    )
    first = cohort(bids, out, time="month_of_study").table.query("participant_id == 'sub-01'")
    assert list(first["session_id"]) == ["ses-10", "ses-1"]
    with pytest.raises(BadDataError, match="'nothing', named as time"):
        cohort(bids, out, time="nothing")


def test_missing_codes_levels_and_units(bids: Path, out: Path) -> None:
    write(
        bids / "participants.tsv",
        """participant_id gender group score other age
           sub-01 f RRMS -999 -9 240
           sub-02 X rrms 3 2 n/a""",
        {
            "gender": {"Levels": {"M": "male", "F": "female"}},
            "score": {"MissingValues": [-999], "Units": "points"},
            "other": {"Levels": {"-9": "not available", "2": "two"}},
            "age": {"Units": "months"},
        },
    )
    result = cohort(bids, out)
    first, second = row_of(result, "sub-01", "ses-1"), row_of(result, "sub-02", "ses-1")
    assert (first["sex"], second["sex"]) == ("F", "X")
    assert first["diagnosis"] == second["diagnosis"] == "RRMS"
    assert np.isnan(first["score"])
    assert second["score"] == 3
    assert np.isnan(first["other"])
    assert first["age"] == 20
    assert result.columns["age"].units == "years"
    assert result.columns["score"].units == "points"
    assert result.columns["sex"].name == "gender"


def test_the_more_specific_table_keeps_its_name(bids: Path, out: Path) -> None:
    write(bids / "participants.tsv", "participant_id edss\nsub-01 1")
    write(bids / "sub-01" / "sub-01_sessions.tsv", "session_id edss\nses-1 4")
    write(bids / "phenotype" / "visit.tsv", "participant_id session_id edss\nsub-01 ses-1 5")
    row = row_of(cohort(bids, out), "sub-01", "ses-1")
    assert (row["edss"], row["visit_edss"], row["participants_edss"]) == (4, 5, 1)


def test_those_without_volumes_are_counted_by_reason(bids: Path, out: Path) -> None:
    write(bids / "participants.tsv", "participant_id age\nsub-01 30\nsub-02 31\nsub-03 32")
    options = options_of(bids, out, "group", participant_labels=("01",))
    reasons = {"sub-04": Cause.BAD_DATA}
    result = read_cohort(options.folders, options.selection, ALIASES, reasons=reasons)
    assert result.participants == 4
    assert result.excluded == {
        Exclusion.NOT_SELECTED: 1,
        Exclusion.NOT_MEASURED: 1,
        Cause.BAD_DATA: 1,
    }
    with pytest.raises(NothingSelectedError, match="match none"):
        cohort(bids, out, participant_labels=("99",))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("inf", "infinite volume"),
        ("-1.5", "negative volume"),
        ("13250.0", "seems to be in µL"),
        ("lots", "holds the text 'lots'. Expected a volume in mL"),
    ],
)
def test_a_bad_volume_excludes_its_session(
    bids: Path, out: Path, value: str, sentence: str
) -> None:
    path = next(out.glob("sub-01/ses-1/anat/*.tsv"))
    path.write_text(path.read_text().replace("13\t", f"{value}\t").replace("13.0\t", f"{value}\t"))
    result = cohort(bids, out)
    assert len(result.table) == 4
    assert len(result.problems) == 1
    assert sentence in result.problems[0]
    assert str(path) in result.problems[0]


def test_if_no_volume_can_be_used_nothing_is_left(out: Path) -> None:
    for path in out.glob("sub-*/*/anat/*.tsv"):
        path.write_text(path.read_text().replace("\t1500", "\t1500000"))
    with pytest.raises(BadDataError, match="µL"):
        read_volumes(out)


def test_a_measurement_that_is_there_twice(bids: Path, out: Path) -> None:
    path = next(out.glob("sub-01/ses-1/anat/*.tsv"))
    copy = out / "sub-09" / "ses-1" / "anat" / "sub-09_ses-1_desc-thalamus_volumes.tsv"
    copy.parent.mkdir(parents=True)
    copy.write_text(path.read_text())
    with pytest.raises(BadDataError, match="two volumes of sub-01 ses-1"):
        cohort(bids, out)


def test_no_results(bids: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="Run the participant stage first"):
        cohort(bids, tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("participants.tsv", "participant_id age\nsub-01 1\nsub-01 2", "lists sub-01 twice"),
        ("participants.tsv", "subject age\nsub-01 1", "lacks the column 'participant_id'"),
        ("participants.tsv", "participant_id age\nsub-01", "row 2: 1 fields, but the header has 2"),
        ("participants.tsv", "participant_id age age\nsub-01 1 2", "two columns 'age'"),
        ("participants.tsv", "", "is empty"),
        ("sub-01/sub-01_sessions.tsv", "visit\nses-1", "lacks the column 'session_id'"),
    ],
)
def test_clinical_tables_that_cannot_be_used(
    bids: Path, out: Path, name: str, text: str, sentence: str
) -> None:
    write(bids / name, text)
    result = cohort(bids, out)
    assert len(result.table) == 5
    assert "age" not in result.table
    assert [sentence in problem and name in problem for problem in result.problems] == [True]


def test_json_that_is_none(bids: Path, out: Path) -> None:
    write(bids / "participants.tsv", "participant_id age\nsub-01 1")
    (bids / "participants.json").write_text("{")
    result = cohort(bids, out)
    assert row_of(result, "sub-01", "ses-1")["age"] == 1
    assert "participants.json is not readable JSON" in result.problems[0]


def test_a_long_phenotype_table_is_not_used_but_named(bids: Path, out: Path) -> None:
    write(bids / "phenotype" / "items.tsv", "participant_id item\nsub-01 1\nsub-01 2")
    result = cohort(bids, out)
    assert "item" not in result.table
    assert len(result.problems) == 1
    assert "items.tsv lists sub-01 twice" in result.problems[0]


def test_datasets_without_sessions(bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "flat"
    for number in (1, 2):
        subject = f"sub-0{number}"
        row = volume_row(f"{subject}_T1w", "first", "T1w", 12.0, 1500)
        path = out / subject / "anat" / f"{subject}_desc-thalamus_volumes.tsv"
        source = write_volumes(out, subject, "n/a", [row])
        path.parent.mkdir()
        source.rename(path)
    write(bids / "participants.tsv", "participant_id age\nsub-01 40\nsub-02 50")
    table = cohort(bids, out).table
    assert table["session_id"].isna().all()
    assert list(table["age"]) == [40, 50]
    assert list(table["visit"]) == [0, 0]


def test_names_of_derived_columns_are_reserved(study: Study) -> None:
    calibrated = replace(study, calibrate=True).table
    derived = {*study.changes, *study.followed, *study.sessions, *calibrated}
    clinical = {*study.cohort.columns, *study.segmentations}
    assert derived - clinical <= {*VOLUME_COLUMNS, *DERIVED}


def test_clinical_columns_named_like_derived_ones(folders: Folders, plan: AnalysisPlan) -> None:
    people = folders.bids / "participants.tsv"
    before = people.read_text()
    table = pd.read_csv(people, sep="\t")
    names = [*DERIVED, "edss_change", "qc", "icv_ml"]
    table = table.assign(**dict.fromkeys(names, 7.0))
    table.to_csv(people, sep="\t", index=False)
    options = options_of(folders.bids, folders.out, "group")
    try:
        cohort = read_cohort(options.folders, options.selection, plan.columns)
    finally:
        people.write_text(before)
    assert {f"participants_{name}" for name in names} <= set(cohort.columns)
    assert not set(names) & set(cohort.columns)
    noted = " ".join(note.text for note in cohort.notes)
    assert all(f"the column '{name}' is used as 'participants_{name}'" in noted for name in names)
    without = read_cohort(options.folders, options.selection, plan.columns)
    plain = Study(cohort=without, plan=plan, output_dir=folders.out)
    study = replace(plain, cohort=cohort)
    for name in ("groups", "pbvc"):
        results = [ANALYSES[name].attempt(each) for each in (plain, study)]
        assert results[1].reason == results[0].reason == ""
        for key, expected in results[0].tables.items():
            columns = [each for each in expected.data if each in results[1].tables[key].data]
            assert columns == list(expected.data)
            pd.testing.assert_frame_equal(results[1].tables[key].data[columns], expected.data)


def test_scanners_come_from_volumes_unless_a_clinical_table_names_them(
    bids: Path, out: Path
) -> None:
    """Longitudinal rows of a scan have no scanner of their own."""
    scan = "sub-01_ses-1_T1w"
    row = volume_row(scan, "first", "T1w", 13.0, 1500)
    seen = {"scanner_device": "GE MR750 1a", "scanner_site": "A", "scanner_field_strength": 3}
    later = volume_row(scan, "firstLongitudinal", "T1w", 13.0, 1500)
    write_volumes(out, "sub-01", "ses-1", [row | seen, later])
    found = cohort(bids, out)
    first = found.table[found.table["scan"] == scan]
    assert first["scanner"].tolist() == ["GE MR750 1a"] * 2
    assert first["site"].tolist() == ["A"] * 2
    assert first["scanner_field_strength"].tolist() == [3.0] * 2
    assert found.columns["scanner"].name == "scanner_device"
    assert found.table.loc[found.table["scan"] != scan, "scanner"].isna().all()
    write(bids / "participants.tsv", "participant_id scanner\nsub-01 X\nsub-02 Y")
    named = cohort(bids, out)
    assert set(named.table["scanner"]) == {"X", "Y"}
    assert not named.notes
