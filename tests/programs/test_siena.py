"""Running SIENA, by its stand-in, and reading its reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bids_app.errors import BadDataError
from bids_app.images.volume import Volume
from bids_app.programs.siena import final_pbvc, read_siena, run_siena
from bids_app.tools.call import Limits, ToolError
from bids_app.tools.local import Local

REPORT = "PBVC -0.41\nPBVC 0.39\nfinalPBVC {} %\n"


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name / "report.siena"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_reports_are_found_by_participant_and_later_session(tmp_path: Path) -> None:
    write(tmp_path, "sub-01/ses-01_to_ses-02", REPORT.format("-0.400"))
    write(tmp_path, "sub-02/siena", REPORT.format("1e-1"))
    write(tmp_path, "sub-03/ses-02/sub-03_ses-02", REPORT.format("0.2"))
    fields = {"Verdict": "check", "Reason": "receive coil", "PBVC": 0.1}
    (tmp_path / "sub-02" / "siena" / "report.json").write_text(json.dumps(fields))
    table = read_siena(tmp_path).astype(object).where(lambda t: t.notna(), None)
    assert table.to_numpy().tolist() == [
        ["sub-01", "ses-01", "ses-02", -0.4, None, None],
        ["sub-02", None, None, 0.1, "check", "receive coil"],
        ["sub-03", None, "ses-02", 0.2, None, None],
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("sub-01", "PBVC 1"), ("sub-01", REPORT.format("x")), ("one", REPORT.format("1"))],
)
def test_a_report_without_a_result(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    with pytest.raises(BadDataError, match="reports no brain volume change"):
        read_siena(tmp_path)


def test_two_reports_of_one_session(tmp_path: Path) -> None:
    write(tmp_path, "sub-01/ses-02/a", REPORT.format("1"))
    write(tmp_path, "sub-01/ses-02/b", REPORT.format("1"))
    with pytest.raises(BadDataError, match="two SIENA reports of sub-01 ses-02"):
        read_siena(tmp_path)


def pair() -> tuple[Volume, Volume]:
    """A head of 1000 voxels, and with 10 fewer."""
    data = np.ones((10, 10, 10), dtype=np.int16)
    data[0, 0, 0] = 2
    smaller = data.copy()
    smaller[-1, -1] = 0
    return Volume(data, np.eye(4)), Volume(smaller, np.eye(4))


def test_a_run_in_a_scratch_folder(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    report, run = run_siena(*pair(), Local(), Limits(60), tmp_path / "log.txt")
    assert final_pbvc(report) == -1.0
    assert run.command[1:] == ("A.nii.gz", "B.nii.gz", "-o", "result")
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", r"siena failed with exit status 1[\s\S]*fault in stage 3"),
        ("hang", r"siena was stopped after 5 s[\s\S]*loading"),
        ("nothing", r"SIENA wrote no report\.siena[\s\S]*loading"),
        ("wrong-grid", r"SIENA wrote a report without final estimate"),
    ],
)
def test_a_run_without_result_says_why(
    mode: str, words: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    monkeypatch.setenv("STAND_IN", mode)
    with pytest.raises(ToolError, match=words):
        run_siena(*pair(), Local(), Limits(5 if mode == "hang" else 60), tmp_path / "log.txt")
