"""Ratings of several raters are merged; their agreement is Cohen's kappa; failed ones leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.tables import Remarks
from bids_app.errors import MissingInputError, NothingSelectedError
from bids_app.group.analyses import flow, qc
from bids_app.group.analysis_file import AnalysisPlan
from bids_app.group.cohort import Cohort, read_cohort
from bids_app.group.exclusion import Exclusion
from bids_app.group.ratings import agreement_of_raters, failed_scans, read_ratings
from bids_app.group.study import Study
from tests.conftest import options_of
from tests.group.simulation import Folders, simulate

HEADER = "participant_id\tsession_id\tscan\tmethod\trating\tnote\trater\tdate"


def write(path: Path, *rows: tuple[str, str, str]) -> Path:
    """Write scan, rating and rater as the board does."""
    lines = [
        f"n/a\tn/a\t{scan}\tthalnet T1w\t{rating}\tn/a\t{by}\t2026" for scan, rating, by in rows
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def test_ratings_of_several_files_are_merged(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tsv", ("s1", "pass", "AB"), ("s2", "fail", "AB"))
    second = write(tmp_path / "b.tsv", ("s1", "artifact", "n/a"), ("s2", "n/a", "n/a"))
    remarks = Remarks()
    ratings = read_ratings([first, second], ["s1", "s2"], remarks)
    assert ratings.to_numpy().tolist() == [
        ["s1", "AB", "pass"],
        ["s2", "AB", "fail"],
        ["s1", "b", "artifact"],
    ]
    assert failed_scans(ratings) == {"s2"}
    assert (remarks.problems, remarks.notes) == ([], [])


@pytest.mark.parametrize(
    ("text", "read", "problems", "notes"),
    [
        ("scan\trating\nsX\tfail\ns1\tpass", 1, ["sX has no volumes in this output"], []),
        ("scan\trating\ns1\tbad\ns2\tPASS", 1, ["'bad' of s1 is not a rating"], []),
        ("scan\trating\ns1\tpass\ns1\tpass", 1, [], ["s1 has several rows of the same rater"]),
        (
            "scan\trating\ns1\tfail\ns1\tpass",
            1,
            ["qc rates s1 both 'fail' and 'pass'; 'fail' is used"],
            ["s1 has several rows"],
        ),
        ("scan;rating;rater\ns1;fail;A", 1, [], ["the fields are separated by semicolons"]),
        ("\ufeffscan\trating\ns1\tfail", 1, [], []),
        ("scan\tverdict\ns1\tfail", 0, ["lacks the column 'rating' and is not used"], []),
    ],
)
def test_odd_files_have_a_sentence_each(
    tmp_path: Path, text: str, read: int, problems: list[str], notes: list[str]
) -> None:
    path, remarks = tmp_path / "qc.tsv", Remarks()
    path.write_text(text, encoding="utf-8")
    assert len(read_ratings([path], ["s1", "s2"], remarks)) == read
    for expected, given in ((problems, remarks.problems), (notes, remarks.notes)):
        assert len(expected) == len(given)
        assert all(part in note.text for part, note in zip(expected, given, strict=True))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none\.tsv does not exist"):
        read_ratings([tmp_path / "none.tsv"], [], Remarks())


def ratings_of(first: str, second: str) -> pd.DataFrame:
    names = {"p": "pass", "f": "fail", "a": "artifact"}
    rows = [
        (f"s{number}", rater, names[letter])
        for rater, letters in (("A", first), ("B", second))
        for number, letter in enumerate(letters)
        if letter in names
    ]
    return pd.DataFrame(rows, columns=["scan", "rater", "rating"])


def test_kappa_and_its_interval_are_those_of_a_worked_example() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: kappa 0.4; -- was not rated by both.
    table = agreement_of_raters(
        ratings_of("p" * 25 + "f" * 25 + "p-", "p" * 20 + "f" * 5 + "p" * 10 + "f" * 15 + "-f"),
        0.95,
    )
    row = table.iloc[0]
    assert (row["rater"], row["other_rater"], row["rated_scans"]) == ("A", "B", 50)
    assert row["same_rating"] == pytest.approx(0.7)
    assert row["kappa"] == pytest.approx(0.4)
    # Fleiss, Cohen & Everitt (1969), by hand, with the shares of each pair of ratings.
    shares = np.array([[0.4, 0.1], [0.2, 0.3]])
    columns, lines, chance = shares.sum(0), shares.sum(1), 0.5
    part = sum(
        shares[i, j] * ((i == j) * (1 - chance) - (columns[i] + lines[j]) * (1 - 0.7)) ** 2
        for i in range(2)
        for j in range(2)
    )
    variance = (part - (0.7 * chance - 2 * chance + 0.7) ** 2) / (50 * (1 - chance) ** 4)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 1.959964 * variance**0.5, rel=0.02)


def test_kappa_without_variation_or_scans_in_common_is_missing() -> None:
    table = agreement_of_raters(ratings_of("ppp-", "ppp-"), 0.95)
    assert table["same_rating"].tolist() == [1.0]
    assert table[["kappa", "ci_low", "ci_high"]].isna().all(axis=None)
    assert agreement_of_raters(ratings_of("pf--", "--pf"), 0.95)["rated_scans"].tolist() == [0]
    assert agreement_of_raters(ratings_of("pfa", "pfa"), 0.95)["kappa"].tolist() == [1.0]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return simulate(tmp_path_factory.mktemp("rated"), count=6, masks=0)


def cohort_of(folders: Folders, *files: Path) -> Cohort:
    options = options_of(folders.bids, folders.out, "group")
    return read_cohort(options.folders, options.selection, {}, qc_files=files)


def test_failed_scans_are_in_no_analysis_and_in_the_flow(
    simulated: Folders, plan: AnalysisPlan, tmp_path: Path
) -> None:
    everything = cohort_of(simulated)
    scans = list(dict.fromkeys(everything.table["scan"]))
    one = [scan for scan in scans if scan.startswith("sub-001_")]
    follow_up = next(scan for scan in scans if scan.startswith("sub-002_ses-02"))
    failed = [(scan, "fail", "A") for scan in [*one, follow_up]]
    first = write(tmp_path / "a.tsv", *failed, (scans[-1], "artifact", "A"))
    second = write(tmp_path / "b.tsv", *[(scan, "pass", "B") for scan in scans])
    cohort = cohort_of(simulated, first, second)
    kept = [scan for scan in scans if scan not in [*one, follow_up]]
    assert list(dict.fromkeys(cohort.table["scan"])) == kept
    assert cohort.excluded == {**everything.excluded, Exclusion.FAILED_REVIEW: 1}
    assert (cohort.participants, cohort.problems) == (everything.participants, ())

    study = Study(cohort=cohort, plan=plan, output_dir=simulated.out)
    table = flow.analyse(study).tables["flow"].data.set_index("reason")
    assert table.loc["failed visual quality control", "left_out"] == 1
    assert table.loc["a single session", "left_out"] == 1
    result = qc.analyse(study)
    assert result.tables["qc_agreement"].data["rated_scans"].tolist() == [len(failed) + 1]
    assert f"2 raters rated {len(scans)} scans; {len(failed)} failed" in result.findings


def test_without_ratings_nothing_is_excluded_or_said(
    simulated: Folders, plan: AnalysisPlan
) -> None:
    study = Study(cohort=cohort_of(simulated), plan=plan, output_dir=simulated.out)
    result = qc.analyse(study)
    assert (set(result.tables), result.methods) == ({"qc"}, "")


def test_if_all_scans_failed_there_is_nothing_to_analyse(
    simulated: Folders, tmp_path: Path
) -> None:
    scans = cohort_of(simulated).table["scan"].unique()
    path = write(tmp_path / "a.tsv", *[(scan, "fail", "A") for scan in scans])
    with pytest.raises(NothingSelectedError, match="nothing is left to analyse"):
        cohort_of(simulated, path)
