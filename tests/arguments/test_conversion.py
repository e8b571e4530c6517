"""Arguments are converted into options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_app.arguments.conversion import parse
from bids_app.errors import ThalbidsError
from bids_app.options import Options
from tests.conftest import describe


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    return describe(tmp_path / "bids")


def _parse(bids: Path, *words: str) -> Options:
    return parse([str(bids), str(bids.parent / "out"), "participant", *words])


@pytest.mark.parametrize(
    "words",
    [
        ["--participant-label", "01", "02"],
        ["--participant_label", "01", "02"],
        ["--participant-label", "sub-01", "sub-02"],
        ["--participant-labels", "01", "sub-02", "01"],
    ],
)
def test_every_spelling_of_participant_labels(bids: Path, words: list[str]) -> None:
    assert _parse(bids, *words).selection.participant_labels == ("01", "02")


@pytest.mark.parametrize("name", ["--session-label", "--session-id", "--session_label"])
def test_every_spelling_of_session_labels(bids: Path, name: str) -> None:
    assert _parse(bids, name, "ses-a", "b").selection.session_labels == ("a", "b")


def test_folders_after_labels_are_not_swallowed(bids: Path) -> None:
    out = str(bids.parent / "out")
    for words in (
        ["--participant-label", "01", str(bids), out, "participant"],
        [str(bids), out, "--participant-label", "01", "participant"],
        ["-d", f"manual={bids}", str(bids), out, "participant", "--participant-label", "01"],
        [str(bids), out, "participant", "--participant-label", "01"],
    ):
        options = parse(words)
        assert (options.folders.bids_dir, str(options.folders.output_dir)) == (bids, out)
        assert options.selection.participant_labels == ("01",)
        assert options.levels == ("participant",)


def test_both_levels_in_one_call(bids: Path) -> None:
    options = parse([str(bids), str(bids.parent / "out"), "participant", "group"])
    assert options.levels == ("participant", "group")


@pytest.mark.parametrize(
    ("text", "gib"),
    [("8G", 8), ("8 GB", 8), ("8GiB", 8), ("1.5g", 1.5), ("2048M", 2), ("2048", 2), ("1T", 1024)],
)
def test_memory_sizes(bids: Path, text: str, gib: float) -> None:
    assert _parse(bids, "--mem", text).resources.memory_gib == pytest.approx(gib)


def test_filters_and_derivatives(bids: Path, tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"T1w": {"acquisition": "mprage"}}))
    options = _parse(bids, "--bids-filter-file", str(path), "-d", f"manual={tmp_path}", str(bids))
    assert options.selection.bids_filters == {"t1w": {"acquisition": "mprage"}}
    assert options.folders.derivatives == {"manual": tmp_path, "bids": bids}


def test_ratings_of_several_raters(bids: Path, tmp_path: Path) -> None:
    assert _parse(bids).analysis.qc_files == ()
    paths = (tmp_path / "a.tsv", tmp_path / "b.tsv")
    assert _parse(bids, "--qc-file", *map(str, paths)).analysis.qc_files == paths


def test_calibration(bids: Path, tmp_path: Path) -> None:
    assert not _parse(bids).analysis.calibrate
    assert _parse(bids, "--calibrate").analysis.calibrate
    options = _parse(bids, "--calibration", str(tmp_path / "calibration.tsv"))
    assert options.analysis.calibrate
    assert options.analysis.calibration_file == tmp_path / "calibration.tsv"


def test_a_filter_file_that_is_not_json(bids: Path, tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    path.write_text("{")
    with pytest.raises(ThalbidsError, match="not valid JSON") as caught:
        _parse(bids, "--bids-filter-file", str(path))
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    ("words", "longitudinal"),
    [
        ([], False),
        (["--longitudinal"], True),
        (["--subject-anatomical-reference", "unbiased"], True),
        (["--subject_anatomical_reference", "unbiased", "--longitudinal"], True),
        (["--subject-anatomical-reference=sessionwise"], False),
    ],
)
def test_both_spellings_of_longitudinal(bids: Path, words: list[str], longitudinal: bool) -> None:
    assert _parse(bids, *words).methods.longitudinal is longitudinal


def test_spellings_of_longitudinal_that_contradict_each_other_are_refused(bids: Path) -> None:
    with pytest.raises(ThalbidsError, match="contradicts") as error:
        _parse(bids, "--longitudinal", "--subject-anatomical-reference", "sessionwise")
    assert error.value.exit_code == 64
