"""Tables as people keep them give the models of the tidy tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bids_app.dataset.inputs import TABLE_PARTS, Offer, OfferKind, write_inputs
from bids_app.errors import BadDataError
from bids_app.group.analyses.clinical import fit_set
from bids_app.group.analysis_file import AnalysisPlan
from bids_app.group.cohort import Cohort, read_cohort
from bids_app.group.models import prepare
from bids_app.group.study import Study
from bids_app.run.tables import write_tables
from tests.conftest import options_of
from tests.group.simulation import Folders, simulate

PARTICIPANTS = "participants.tsv"
_LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def tidy(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return simulate(tmp_path_factory.mktemp("tidy"), count=24, masks=0)


@pytest.fixture
def bids(tidy: Folders, tmp_path: Path) -> Path:
    """A dataset whose tables a test may spoil."""
    return Path(shutil.copytree(tidy.bids, tmp_path / "bids"))


@pytest.fixture
def read(tidy: Folders, plan: AnalysisPlan) -> Callable[[Path], Cohort]:
    def cohort(bids: Path) -> Cohort:
        options = options_of(bids, tidy.out, "group")
        return read_cohort(options.folders, options.selection, plan.columns, plan.sessions.time)

    return cohort


@pytest.fixture
def fitted(plan: AnalysisPlan, tidy: Folders) -> Callable[[Cohort], pd.DataFrame]:
    """Fit the cross-sectional and longitudinal models."""

    def fit(cohort: Cohort) -> pd.DataFrame:
        study = Study(cohort=cohort, plan=plan, output_dir=tidy.out)
        sets = [
            models for models in plan.model if models.name in ("cross-sectional", "longitudinal")
        ]
        tables = [fit_set(prepare(study, models), models, 0.95).table for models in sets]
        return pd.concat(tables)[["outcome", "segmentation", "n", "beta", "p", "reason"]]

    return fit


def table_of(bids: Path) -> pd.DataFrame:
    return pd.read_csv(bids / PARTICIPANTS, sep="\t", dtype="str", keep_default_na=False)


def spoil(bids: Path, change: Change, separator: str = "\t", encoding: str = "utf-8") -> None:
    text = change(table_of(bids)).to_csv(sep=separator, index=False)
    (bids / PARTICIPANTS).write_bytes(text.encode(encoding))


def test_a_tidy_dataset_leaves_no_note(tidy: Folders, read: Callable[[Path], Cohort]) -> None:
    cohort = read(tidy.bids)
    assert cohort.notes == ()
    assert cohort.problems == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.assign(participant_id=t["participant_id"].str[4:].str.lstrip("0")),
            "by spelling",
        ),
        (lambda t: t.assign(participant_id=t["participant_id"].str[4:]), "by spelling"),
        (lambda t: t.assign(participant_id=t["participant_id"].str.upper() + " "), "by spelling"),
        (
            lambda t: t.assign(participant_id=t["participant_id"].str[4:].str.lstrip("0") + ".0"),
            "'1.0'",
        ),
        (lambda t: t.assign(age=t["age"].str.replace(".", ",")), "is read as"),
        (lambda t: t.assign(age=t["age"] + "*"), "is read as"),
        (lambda t: t.assign(age=t["age"] + " years"), "24 entries with a unit are read in years"),
        (lambda t: t.assign(age=t["age"] + "y"), "with a unit are read in years"),
        (lambda t: t.assign(age='="' + t["age"] + '"'), "is read as"),
        (lambda t: t.assign(age=t["age"].str.replace("4", "\N{FULLWIDTH DIGIT FOUR}")), "is read"),
        (lambda t: t.assign(age=t["age"].str.replace(".", "\N{THIN SPACE}.")), "is read as"),
        (
            lambda t: t.assign(
                sex=t["sex"].mask(t.index == 3, t["sex"].map({"M": "Male", "F": "female"}))
            ),
            "sex",
        ),
        (lambda t: pd.concat([t, t.head(2)]), "rows are identical"),
        (lambda t: t.assign(total_ml="1", participants_total_ml="2"), "'participants_total_ml_2'"),
    ],
)
def test_what_leaves_no_doubt_changes_no_model(
    bids: Path,
    tidy: Folders,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
    change: Change,
    words: str,
) -> None:
    spoil(bids, change)
    cohort = read(bids)
    assert cohort.problems == ()
    assert words in " ".join(note.text for note in cohort.notes)
    pd.testing.assert_frame_equal(fitted(cohort), fitted(read(tidy.bids)))


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [(";", "utf-8-sig"), (",", "latin-1"), ("\t", "utf-16"), (" ", "utf-8")],
)
def test_separators_and_encodings_change_no_model(
    bids: Path,
    tidy: Folders,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
    separator: str,
    encoding: str,
) -> None:
    spoil(bids, lambda t: t.assign(site="Zürich"), separator, encoding)
    cohort = read(bids)
    assert cohort.notes
    assert cohort.problems == ()
    pd.testing.assert_frame_equal(fitted(cohort), fitted(read(tidy.bids)))


@pytest.mark.parametrize("entry", ["forty", "-", "#N/A", "NA", "", "?", "n/a", "45 or so"])
def test_one_odd_entry_is_one_missing_entry(
    bids: Path,
    tidy: Folders,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
    entry: str,
) -> None:
    spoil(bids, lambda t: t.assign(age=t["age"].mask(t.index == 4, entry)))
    cohort = read(bids)
    said = [*cohort.problems, *(note.text for note in cohort.notes)]
    assert len(said) == (entry != "n/a")
    assert all("age" in text for text in said)
    before, after = fitted(read(tidy.bids)), fitted(cohort)
    first = before["outcome"] == "edss"
    assert (after["n"] == before["n"] - 1)[first].all()
    assert (after["reason"] == before["reason"]).all()


def test_ages_of_dicom(
    bids: Path, read: Callable[[Path], Cohort], fitted: Callable[[Cohort], pd.DataFrame]
) -> None:
    spoil(bids, lambda t: t.assign(age=t["age"].str.split(".").str[0]))
    plain = fitted(read(bids))
    spoil(bids, lambda t: t.assign(age="0" + t["age"] + "Y"))
    cohort = read(bids)
    assert cohort.problems == ()
    pd.testing.assert_frame_equal(fitted(cohort), plain)
    spoil(bids, lambda t: t.assign(age=t["age"].mask(t.index == 0, "006M")))
    first = read(bids).table.query("participant_id == 'sub-001'")
    assert set(first["age"]) == {0.5}


@pytest.mark.parametrize(("name", "factor"), [("Age (years)", 1), ("age [months]", 12)])
def test_units_in_the_names_of_columns(
    bids: Path,
    tidy: Folders,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
    name: str,
    factor: int,
) -> None:
    def rename(table: pd.DataFrame) -> pd.DataFrame:
        ages = table["age"].astype("float64") * factor
        return table.assign(age=ages.round(6).astype("str")).rename(columns={"age": name})

    spoil(bids, rename)
    cohort = read(bids)
    assert cohort.problems == ()
    expected = fitted(read(tidy.bids))
    pd.testing.assert_frame_equal(fitted(cohort), expected, rtol=1e-4)


def test_an_age_that_is_text_is_a_problem(bids: Path, read: Callable[[Path], Cohort]) -> None:
    spoil(bids, lambda t: t.assign(age=t["age"].str[:1] + "0-" + t["age"].str[:1] + "9"))
    (problem,) = read(bids).problems
    assert "column 'age' holds text, such as '" in problem


@pytest.mark.parametrize(
    "name", ["participants.csv", "Participants.tsv", "participants.xlsx", "phenotype/edss.csv"]
)
@pytest.mark.parametrize("alone", [True, False])
def test_tables_in_other_formats_are_named(
    bids: Path, read: Callable[[Path], Cohort], name: str, alone: bool
) -> None:
    other = bids / name
    other.parent.mkdir(exist_ok=True)
    shutil.copy(bids / PARTICIPANTS, other)
    expected = bids / f"{name.partition('.')[0].replace('P', 'p')}.tsv"
    if alone:
        expected.unlink(missing_ok=True)
    elif not expected.exists():
        shutil.copy(bids / PARTICIPANTS, expected)
    cohort = read(bids)
    assert [str(other) in problem for problem in cohort.problems] == [True] * alone
    (offer,) = (each for each in cohort.offers if each.path == name)
    assert offer.reason == f"not named {expected.name}"


@pytest.mark.parametrize("pointer", ["/annex/objects/MD5E-s1--0.tsv\n", _LFS])
@pytest.mark.parametrize(
    "name", [PARTICIPANTS, "participants.json", "sub-003/sub-003_sessions.tsv"]
)
def test_tables_that_were_not_fetched(
    bids: Path, read: Callable[[Path], Cohort], pointer: str, name: str
) -> None:
    (bids / name).write_text(pointer)
    (problem,) = read(bids).problems
    assert name in problem
    assert "datalad get, git lfs pull" in problem


def test_rows_that_contradict_each_other_are_missing(
    bids: Path,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
    tidy: Folders,
) -> None:
    spoil(bids, lambda t: pd.concat([t, t.head(1).assign(age="99")]))
    cohort = read(bids)
    assert ["lists sub-001 twice" in problem for problem in cohort.problems] == [True]
    rows = cohort.table["participant_id"] == "sub-001"
    assert cohort.table.loc[rows, "age"].isna().all()
    assert cohort.table.loc[~rows, "age"].notna().all()
    edss = fitted(cohort).query("outcome == 'edss'")["n"].tolist()
    assert edss == (fitted(read(tidy.bids)).query("outcome == 'edss'")["n"] - 1).tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(participant_id=[f"sub-X{i}" for i in range(len(t))]),
        lambda t: t.assign(participant_id=t["participant_id"] + "99"),
        lambda t: t.assign(participant_id="patient"),
    ],
)
def test_identifiers_that_match_nothing_are_an_error(
    bids: Path, read: Callable[[Path], Cohort], change: Change
) -> None:
    spoil(bids, change)
    with pytest.raises(
        BadDataError, match=r"participants.tsv: none of the .* is one of the dataset"
    ):
        read(bids)


@pytest.mark.parametrize("column", ["age", "sex", "edss"])
def test_a_column_without_values_is_no_error(
    bids: Path,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
    column: str,
) -> None:
    spoil(bids, lambda t: t.assign(**{column: "n/a"}))
    cohort = read(bids)
    assert cohort.notes == ()
    assert len(fitted(cohort)) > 0


def test_codes_declared_in_levels_are_missing(bids: Path, read: Callable[[Path], Cohort]) -> None:
    spoil(bids, lambda t: t.assign(score="3", other=["999", *["4"] * (len(t) - 1)], third="-9"))
    spoil(bids, lambda t: t.assign(score=t["score"].mask(t.index == 0, "-9")))
    declared = {
        "score": {"Levels": {"-9": {"Description": "missing"}}},
        "other": {"Description": "Score of a test (999 = not done)"},
        "third": {"Annotations": {"MissingValues": ["-9"]}},
    }
    (bids / "participants.json").write_text(json.dumps(declared))
    cohort = read(bids)
    assert cohort.notes == ()
    first = cohort.table.query("participant_id == 'sub-001'")
    assert first[["score", "other", "third"]].isna().all(axis=None)
    assert set(cohort.table["other"].dropna()) == {4.0}


SCANS = "filename\tacq_time\nanat/sub-001_ses-0{visit}_T1w.nii.gz\t{time}\n"


@pytest.mark.parametrize(
    ("times", "years", "kind"),
    [
        (("2020-03-01T10:00:00", "2021-03-01T10:00:00"), 365 / 365.25, ""),
        (("01.03.2020", "01.03.2021"), 365 / 365.25, "note"),
        (("25/03/2020", "01/04/2021"), 372 / 365.25, "note"),
        (("01/03/2020", "02/03/2021"), None, "problem"),
        (("43891", "44256"), None, "problem"),
    ],
)
def test_dates(
    bids: Path,
    read: Callable[[Path], Cohort],
    times: tuple[str, str],
    years: float | None,
    kind: str,
) -> None:
    table = bids / "sub-001" / "sub-001_sessions.tsv"
    table.write_text("session_id\tedss\nses-01\t1\nses-02\t2\n")
    for visit, time in enumerate(times, start=1):
        path = bids / "sub-001" / f"ses-0{visit}" / f"sub-001_ses-0{visit}_scans.tsv"
        path.parent.mkdir()
        path.write_text(SCANS.format(visit=visit, time=time))
    cohort = read(bids)
    interval = cohort.table.query("participant_id == 'sub-001' and visit == 1")["interval"]
    if years is None:
        assert interval.isna().all()
    else:
        assert interval.tolist() == pytest.approx([years] * len(interval), abs=1e-5)
    assert len(cohort.problems) == (kind == "problem")
    assert len(cohort.notes) == (kind == "note")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("sub-003_sessions.tsv", b"visit\tedss\n1\t2\n", "lacks the column 'session_id'"),
        ("sub-003_sessions.tsv", b"session_id\tedss\nses-01\n", "row 2: 1 fields"),
        ("sub-003_sessions.tsv", b"\x89PNG\0\0\1\2", "holds no text"),
        (
            "ses-01/sub-003_ses-01_scans.tsv",
            b"filename\tacq_time\tx\nanat/a.nii\t2020-01-01\n",
            "row 2",
        ),
        ("ses-01/sub-003_ses-01_scans.tsv", b"", "is empty"),
        ("ses-01/sub-003_ses-01_scans.tsv", None, "datalad get"),
        ("sub-003_sessions.tsv", None, "datalad get"),
    ],
)
def test_one_broken_table_costs_itself_only(
    bids: Path,
    tidy: Folders,
    read: Callable[[Path], Cohort],
    name: str,
    content: bytes | None,
    words: str,
) -> None:
    path = bids / "sub-003" / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith("scans.tsv"):
        (bids / "sub-003" / "sub-003_sessions.tsv").unlink()
    path.unlink(missing_ok=True)
    if content is None:
        path.symlink_to("../.git/annex/objects/aa/bb")
    else:
        path.write_bytes(content)
    cohort = read(bids)
    assert [words in problem and name in problem for problem in cohort.problems] == [True]
    expected = read(tidy.bids).table.query("participant_id != 'sub-003'")
    others = cohort.table.query("participant_id != 'sub-003'")
    pd.testing.assert_frame_equal(others, expected)


def test_a_link_that_leads_nowhere_is_named(bids: Path, read: Callable[[Path], Cohort]) -> None:
    (bids / PARTICIPANTS).unlink()
    (bids / PARTICIPANTS).symlink_to(".git/annex/objects/aa/cc/participants.tsv")
    cohort = read(bids)
    assert ["participants.tsv is a link" in problem for problem in cohort.problems] == [True]
    assert "edss" in cohort.table


def test_tables_rows_and_columns_are_accounted_for(
    bids: Path, read: Callable[[Path], Cohort], tmp_path: Path
) -> None:
    extra = {"participant_id": ["sub-099", "sub-001"], "age": ["40", "99"]}
    spoil(bids, lambda t: pd.concat([t, pd.DataFrame(extra)]).fillna("n/a"))
    cohort = read(bids)
    reasons = {offer.path: offer.reason for offer in cohort.offers}
    assert reasons["participants.tsv"] == ""
    assert reasons["participants.tsv: age"] == ""
    assert reasons["participants.tsv: sub-099"] == "participant not in the dataset"
    assert reasons["participants.tsv: sub-001"] == "rows contradict each other"
    scan = Offer("sub-001/anat/sub-001_T1w.nii.gz", OfferKind.SCAN)
    write_inputs(tmp_path, [scan, Offer("old.tsv", OfferKind.TABLE)])
    write_tables(tmp_path, (), cohort.offers, TABLE_PARTS)
    table = pd.read_csv(tmp_path / "logs" / "inputs.tsv", sep="\t").set_index("path")
    assert table.loc[scan.path, "status"] == "used"
    assert "old.tsv" not in table.index
    assert table.loc["participants.tsv: sub-099", "status"] == "not used"


def test_tables_of_scans_and_sessions_are_accounted_for(
    bids: Path, read: Callable[[Path], Cohort]
) -> None:
    tables = {
        "sub-001/ses-01/sub-001_ses-01_scans.tsv": "",
        "sub-001/ses-02/sub-001_ses-02_scans.tsv": "without acquisition time of an anatomical scan",
        "sub-001/ses-02/sub-001_ses-01_scans.tsv": "not named for the session of its folder",
        "sub-001/ses-99/sub-001_ses-99_scans.tsv": "nothing of its session was measured",
        "sub-002/ses-01/sub-002_ses-01_scans.tsv": "it cannot be read",
        "sub-003/ses-01/sub-003_ses-01_scans.tsv": "the time of its session is known or not needed",
    }
    for subject, times in (("001", "n/a"), ("002", "n/a"), ("003", "2020-01-01T10:00:00")):
        path = bids / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"
        path.write_text(f"session_id\tacq_time\nses-01\t{times}\nses-02\t{times}\n")
        tables[f"sub-{subject}/{path.name}"] = ""
    for name, reason in tables.items():
        if name.endswith("_scans.tsv"):
            time = "n/a" if reason.startswith("without") else "2020-01-01T10:00:00"
            (bids / name).parent.mkdir(exist_ok=True)
            (bids / name).write_text(SCANS.format(visit=1, time=time))
    (bids / "sub-002/ses-01/sub-002_ses-01_scans.tsv").write_bytes(b"")
    offers = [each for each in read(bids).offers if each.kind is OfferKind.TABLE]
    assert {each.path: each.reason for each in offers if each.path in tables} == tables
    assert {each.path for each in offers if each.path.endswith("_scans.tsv")} <= set(tables)


def test_a_session_that_is_none_holds_for_the_participant(
    bids: Path,
    tidy: Folders,
    read: Callable[[Path], Cohort],
    fitted: Callable[[Cohort], pd.DataFrame],
) -> None:
    spoil(bids, lambda t: t.assign(session_id="baseline"))
    cohort = read(bids)
    assert cohort.problems == ()
    assert ["none of its sessions" in note.text for note in cohort.notes] == [True]
    pd.testing.assert_frame_equal(fitted(cohort), fitted(read(tidy.bids)))
    twice = lambda t: pd.concat([t.assign(session_id=name) for name in ("m0", "m12")])  # noqa: E731
    spoil(bids, twice)
    with pytest.raises(BadDataError, match="none of its sessions"):
        read(bids)


def test_sessions_are_matched_by_spelling(
    bids: Path, read: Callable[[Path], Cohort], tidy: Folders
) -> None:
    for path in bids.glob("sub-*/*_sessions.tsv"):
        path.write_text(path.read_text().replace("ses-01", "1").replace("ses-02", "SES-2"))
    cohort = read(bids)
    pd.testing.assert_frame_equal(cohort.table, read(tidy.bids).table)
    assert all("matched by spelling" in note.text for note in cohort.notes)
    assert cohort.problems == ()
