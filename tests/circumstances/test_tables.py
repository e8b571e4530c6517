"""Tables and labels as people keep them: the group stage gives what tidy ones give."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.inputs import OfferKind
from bids_app.dataset.notes import sentences
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.cohort import Cohort, read_cohort
from bids_app.group.study import Study
from tests.conftest import describe, options_of
from tests.group.simulation import AFFINE, Folders, boxes, simulate

LABELS = ("sub-001", "sub-002", "sub-003")


@pytest.fixture(scope="module")
def tidy(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return simulate(tmp_path_factory.mktemp("tidy"), count=12, masks=len(LABELS))


@pytest.fixture
def bids(tidy: Folders, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tidy.bids, tmp_path / "bids"))


def _cohort(bids: Path, output: Path) -> Cohort:
    plan = read_analysis_file()
    options = options_of(bids, output, "group")
    return read_cohort(options.folders, options.selection, plan.columns, plan.sessions.time)


def _participants(bids: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = bids / "participants.tsv"
    table = pd.read_csv(path, sep="\t", dtype="str", keep_default_na=False)
    change(table).to_csv(path, sep="\t", index=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.str[4:].str.lstrip("0"),
        lambda name: "sub-" + name.str[4:].str.lstrip("0"),
        lambda name: name.str[4:].str.zfill(6),
        lambda name: name.str[4:].str.lstrip("0") + ".0",
        lambda name: name.str.upper(),
        lambda name: "Subject " + name.str[4:],
    ],
)
def test_lost_zeros(bids: Path, tidy: Folders, change: Callable[[pd.Series], pd.Series]) -> None:
    _participants(bids, lambda t: t.assign(participant_id=change(t["participant_id"])))
    cohort, expected = (_cohort(each, tidy.out) for each in (bids, tidy.bids))
    assert cohort.participants == expected.participants == 12
    pd.testing.assert_frame_equal(cohort.table, expected.table)
    assert cohort.problems == ()
    assert ["12 participants matched by spelling" in note.text for note in cohort.notes] == [True]


def test_odd_numbers(bids: Path, tidy: Folders) -> None:
    odd = {0: "89+", 1: "NA", 2: "-", 3: "#N/A", 4: "forty", 5: "45,3", 6: "050Y", 7: "51.5*"}
    expected = {0: 89, 1: np.nan, 2: np.nan, 3: np.nan, 4: np.nan, 5: 45.3, 6: 50, 7: 51.5}
    _participants(
        bids, lambda t: t.assign(age=[odd.get(row, age) for row, age in enumerate(t["age"])])
    )
    cohort, plain = (_cohort(each, tidy.out) for each in (bids, tidy.bids))
    ages, before = (each.table.groupby("participant_id")["age"].first() for each in (cohort, plain))
    expected_ages = [expected.get(row, age) for row, age in enumerate(before)]
    np.testing.assert_allclose(ages.to_numpy(), expected_ages)
    (problem,) = cohort.problems
    assert "column 'age': 'forty' (sub-005) counts as missing" in problem


def test_ages_that_nobody_has(bids: Path, tidy: Folders) -> None:
    """Codes, a date as spreadsheets store it, and months without their unit."""
    odd = {0: "-5", 1: "45292", 2: "999", 3: "480", 4: "0", 5: "125"}
    _participants(
        bids, lambda t: t.assign(age=[odd.get(row, age) for row, age in enumerate(t["age"])])
    )
    cohort, plain = (_cohort(each, tidy.out) for each in (bids, tidy.bids))
    ages, before = (each.table.groupby("participant_id")["age"].first() for each in (cohort, plain))
    expected = {**dict.fromkeys(range(4), np.nan), 4: 0, 5: 125}
    np.testing.assert_allclose(ages, [expected.get(row, age) for row, age in enumerate(before)])
    (problem,) = cohort.problems
    assert "column 'age': -5, 45292, 480 and 999 (sub-001, sub-002, sub-003 and sub-004)" in problem
    assert "expected 0 to 125 years" in problem


def _semicolons(bids: Path) -> None:
    for path in bids.rglob("*_sessions.tsv"):
        path.write_text(path.read_text().replace("\t", ";"))


def _rewritten(change: Callable[[str], bytes]) -> Callable[[Path], object]:
    """Change the text of participants.tsv."""

    def rewrite(bids: Path) -> None:
        path = bids / "participants.tsv"
        path.write_bytes(change(path.read_text()))

    return rewrite


def _with_column(text: str, entries: Callable[[str], str]) -> str:
    return "".join(f"{line}\t{entries(line)}\n" for line in text.splitlines())


ALTERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "UTF-16": (_rewritten(lambda text: text.encode("utf-16")), "read as UTF-16"),
    "UTF-16 without mark": (_rewritten(lambda text: text.encode("utf-16-le")), "read as UTF-16"),
    "semicolons": (_semicolons, "separated by semicolons"),
    "a comment above": (_rewritten(lambda text: f"# exported 2024, v2\n{text}".encode()), "header"),
    "a title and comments above": (
        _rewritten(lambda text: f"Demographics of our study\n\n#a\tb\n#c\n{text}".encode()),
        "3 lines above the header skipped",
    ),
    "a header commented out": (_rewritten(lambda text: f"# {text}".encode()), ""),
    "a column twice": (
        _rewritten(lambda text: _with_column(text, lambda line: line.split("\t")[1]).encode()),
        "two identical columns 'age'",
    ),
    "quotes and CRLF": (
        _rewritten(
            lambda text: "\r\n".join(
                "\t".join(f'"{entry}"' for entry in line.split("\t")) for line in text.splitlines()
            ).encode()
        ),
        "",
    ),
    "blank lines": (_rewritten(lambda text: f"{text}\n\n".encode()), ""),
    "a row of totals": (_rewritten(lambda text: f"{text}Total\t\t\t\t\n".encode()), "Total"),
}


def test_files_with_the_same_fault_share_a_sentence(bids: Path, tidy: Folders) -> None:
    _semicolons(bids)
    (text,) = sentences(_cohort(bids, tidy.out).notes)
    assert "sub-001_sessions.tsv and 11 further files: the fields are separated by" in text


@pytest.mark.parametrize("name", ALTERED)
def test_altered_tables(bids: Path, tidy: Folders, name: str) -> None:
    change, words = ALTERED[name]
    change(bids)
    cohort, plain = (_cohort(each, tidy.out) for each in (bids, tidy.bids))
    pd.testing.assert_frame_equal(cohort.table, plain.table)
    assert cohort.problems == ()
    said = " ".join(note.text for note in cohort.notes)
    assert words in said
    assert bool(said) == bool(words)
    rows = {offer.path for offer in cohort.offers if offer.kind is OfferKind.ROW}
    assert {"participants.tsv: 12 rows", "sub-*_sessions.tsv: 24 rows"} <= rows


@pytest.mark.parametrize(
    "content",
    [
        b"session_id\tedss\toperator\nses-01\t2.0\n",
        b"session_id\tedss\nses-01\t2.0\textra\t1\n",
        b"visit\tedss\n1\t2.0\n",
        b"",
        b"\x89PNG\0\0",
        b"/annex/objects/MD5E-s1--0.tsv\n",
        None,
    ],
)
@pytest.mark.parametrize("kind", ["sessions", "scans"])
def test_one_bad_table(bids: Path, tidy: Folders, content: bytes | None, kind: str) -> None:
    path = bids / "sub-003" / "sub-003_sessions.tsv"
    if kind == "scans":
        path.unlink()
        path = bids / "sub-003" / "ses-01" / "sub-003_ses-01_scans.tsv"
        path.parent.mkdir()
        content = content and content.replace(b"session_id", b"filename").replace(b"visit", b"x")
        content = content and content.replace(b"ses-01", b"anat/a.nii").replace(
            b"edss", b"acq_time"
        )
    path.unlink(missing_ok=True)
    if content is None:
        path.symlink_to(".git/annex/objects/aa/bb")
    else:
        path.write_bytes(content)
    cohort = _cohort(bids, tidy.out)
    assert [path.name in problem for problem in cohort.problems] == [True]
    others = "participant_id != 'sub-003'"
    expected = _cohort(tidy.bids, tidy.out).table.query(others)
    pd.testing.assert_frame_equal(cohort.table.query(others), expected)


def test_latin_1(bids: Path, tidy: Folders) -> None:
    path = bids / "sub-004" / "sub-004_sessions.tsv"
    lines = path.read_text().splitlines()
    noted = [lines[0] + "\tnote", *(f"{line}\tm\xfcde" for line in lines[1:])]
    path.write_bytes("\n".join(noted).encode("latin-1"))
    cohort = _cohort(bids, tidy.out)
    assert cohort.problems == ()
    assert set(cohort.table.query("participant_id == 'sub-004'")["note"]) == {"m\xfcde"}


@pytest.mark.parametrize(
    "name", ["anat/{}", "ses-0{}/anat/{}", "./anat/{}", "anat\\{}", "sub-001/ses-0{}/anat/{}"]
)
def test_paths_in_tables_of_scans(bids: Path, tidy: Folders, name: str) -> None:
    (bids / "sub-001" / "sub-001_sessions.tsv").write_text("session_id\nses-01\nses-02\n")
    for visit in (1, 2):
        path = bids / "sub-001" / f"ses-0{visit}" / f"sub-001_ses-0{visit}_scans.tsv"
        path.parent.mkdir()
        file = name.replace("ses-0{}", f"ses-0{visit}").format(f"sub-001_ses-0{visit}_T1w.nii.gz")
        path.write_text(f"filename\tacq_time\n{file}\t202{visit}-03-01T10:00:00\n")
    table = _cohort(bids, tidy.out).table.query("participant_id == 'sub-001' and visit == 1")
    assert table["interval"].tolist() == pytest.approx([365 / 365.25] * len(table), abs=1e-4)


def test_participants_that_were_not_fetched(
    bids: Path, tidy: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The group stage goes on without the table, and names it."""
    output = Path(shutil.copytree(tidy.out, tmp_path / "out"))
    (bids / "participants.tsv").unlink()
    (bids / "participants.tsv").symlink_to(".git/annex/objects/aa/cc/participants.tsv")
    analysis = tmp_path / "analysis.toml"
    analysis.write_text("resamples = 20\nanalyses = ['flow', 'volumes']\n")
    assert main([str(bids), str(output), "group", "--analysis-file", str(analysis)]) == 1
    shown = capsys.readouterr().err
    assert "participants.tsv is a link to a file that is not there. Fetch its content" in shown
    volumes = pd.read_csv(output / "group" / "volumes.tsv", sep="\t")
    assert volumes["participant_id"].nunique() == 12
    assert "edss" in volumes


def _slope_of_int16(labels: np.ndarray) -> nib.Nifti1Image:
    """Give the scaling that nibabel chooses: 1 becomes 1.0000153."""
    image = nib.Nifti1Image(labels.astype(np.float64), AFFINE)
    image.header.set_data_dtype(np.int16)
    return image


def _slope_of_two(labels: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(2 * labels.astype(np.float32), AFFINE)
    image.header.set_data_dtype(np.uint8)
    return nib.Nifti1Image(np.asanyarray(image.dataobj) / 2, AFFINE)


def _reoriented(labels: np.ndarray) -> nib.Nifti1Image:
    flip = np.array([[-1, 0, 0, labels.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return nib.Nifti1Image(labels[::-1].astype(np.uint8), AFFINE @ flip)


STORED: dict[str, Callable[[np.ndarray], nib.Nifti1Image]] = {
    "slope of int16": _slope_of_int16,
    "slope of two": _slope_of_two,
    "nearly integers": lambda x: nib.Nifti1Image((x * 0.9996).astype(np.float32), AFFINE),
    "double precision": lambda x: nib.Nifti1Image(x.astype(np.float64), AFFINE),
    "other orientation": _reoriented,
    "labels of FreeSurfer": lambda x: nib.Nifti1Image(
        np.choose(x, [0, 10.0001, 49.0003]).astype(np.float32), AFFINE
    ),
    "one volume in four dimensions": lambda x: nib.Nifti1Image(x[..., None], AFFINE),
}


def _in_micrometres(labels: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(labels, np.diag([1000, 1000, 1000, 1]) @ AFFINE)
    image.header.set_xyzt_units("micron")
    return image


STORED["micrometres"] = _in_micrometres


@pytest.mark.parametrize("name", STORED)
def test_labels_of_raters(tidy: Folders, tmp_path: Path, name: str) -> None:
    """Overlap with each side is that with labels stored plainly."""
    folder = describe(tmp_path / "labels", DatasetType="derivative")
    for number, subject in enumerate(LABELS):
        path = folder / subject / "ses-01" / "anat" / f"{subject}_ses-01_dseg.nii.gz"
        path.parent.mkdir(parents=True)
        STORED[name](boxes(6 + number)).to_filename(path)
    plan, cohort = read_analysis_file(), _cohort(tidy.bids, tidy.out)
    study = Study(cohort=cohort, plan=plan, output_dir=tidy.out, reference_dir=folder)
    plain = Study(cohort=cohort, plan=plan, output_dir=tidy.out, reference_dir=tidy.manual)
    rows, expected = (each.compared_masks.overlap for each in (study, plain))
    assert study.compared_masks.problems == []
    assert set(rows["side"]) >= {"left", "right"}
    pd.testing.assert_frame_equal(rows, expected)
    assert (rows.query("segmentation == 'thalnet T1w'")["dice"] == 1).all()
