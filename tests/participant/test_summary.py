"""What a run says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.dataset.index import Session
from bids_app.derivatives import names
from bids_app.participant.summary import MOST_ROWS, summary
from bids_app.run.outcome import Outcome
from tests.conftest import options_of


def _measured(folder: Path, session: Session, *rows: str, scan: str = "T1w") -> None:
    """Write a table of volumes with the columns method, contrast, left, right, total and QC."""
    header = "scan method contrast left_ml right_ml total_ml qc qc_reason"
    lines = [header, *(f"{session.name}_{scan} {row}" for row in rows)]
    path = folder / names.volumes_table(session)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(line.split(" ", 7)) + "\n" for line in lines))
    (folder / f"{session.name}.html").touch()


def test_a_run_ends_with_its_volumes_its_pages_and_the_next_step(tmp_path: Path) -> None:
    good, doubtful, broken = (Session(subject="01", session=visit) for visit in ("a", "b", "c"))
    _measured(tmp_path, good, "thalnet T1w 6.124 6.2 12.324 ok n/a", "first T1w 5 n/a n/a ok n/a")
    _measured(tmp_path, doubtful, "thalnet FLAIR 3 9.1 12.1 check left and right differ")
    (tmp_path / "qc.html").touch()
    outcomes = [
        Outcome(name=good.name, status="done"),
        Outcome(name=doubtful.name, status="unchanged"),
        Outcome(name=broken.name, status="failed", reason="truncated"),
    ]
    lines = summary(
        [good, doubtful, broken], outcomes, options_of(tmp_path / "my bids", tmp_path)
    ).splitlines()
    assert lines == [
        "",
        "Session       Segmentation      Left (mL)  Right (mL)  Both (mL)  Verdict",
        "sub-01_ses-a  thalnet on T1w         6.12        6.20      12.32  ok",
        "              first on T1w           5.00         n/a        n/a  ok",
        "sub-01_ses-b  thalnet on FLAIR       3.00        9.10      12.10  "
        "check: left and right differ",
        "sub-01_ses-c                                                      failed",
        "",
        "Review before use (1 of the sessions):",
        f"  {tmp_path}/sub-01_ses-b.html",
        "Next: resolve what failed and run the same command again; only that is repeated.",
        f"Next: rate all scans on {tmp_path}/qc.html",
        f"Next: thalbids '{tmp_path}/my bids' {tmp_path} group",
    ]


def test_a_long_table_begins_with_what_calls_for_action(tmp_path: Path) -> None:
    sessions = [Session(subject=f"{number:02}") for number in range(MOST_ROWS + 5)]
    for session in sessions:
        verdict = "check edge" if session is sessions[-1] else "ok n/a"
        _measured(tmp_path, session, f"thalnet T1w 6 6 12 {verdict}")
    outcomes = [Outcome(name=session.name, status="done") for session in sessions]
    lines = summary(sessions, outcomes, options_of(tmp_path, tmp_path)).splitlines()
    rows = lines[2 : lines.index("", 1)]
    assert " ".join(rows[0].split()) == "sub-44 thalnet on T1w 6.00 6.00 12.00 check: edge"
    assert rows[1].startswith("sub-00 ")
    assert len(rows) == MOST_ROWS + 1
    assert rows[-1] == "5 more rows are in the files *_desc-thalamus_volumes.tsv."


def test_repeat_scans_have_their_own_rows(tmp_path: Path) -> None:
    session = Session(subject="01")
    _measured(tmp_path, session, "a T1w 6 6 12 ok n/a")
    path = tmp_path / names.volumes_table(session)
    row = path.read_text().splitlines()[1].replace("sub-01_T1w", "sub-01_run-2_T1w")
    path.write_text(f"{path.read_text()}{row}\n")
    shown = summary(
        [session], [Outcome(name="sub-01", status="done")], options_of(tmp_path, tmp_path)
    )
    assert [line.split()[0] for line in shown.splitlines()[2:4]] == [
        "sub-01_T1w",
        "sub-01_run-2_T1w",
    ]


@pytest.mark.parametrize("text", ["", "method\n", "\0"])
def test_a_damaged_table_has_no_rows(tmp_path: Path, text: str) -> None:
    session = Session(subject="01")
    path = tmp_path / names.volumes_table(session)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    outcomes = [Outcome(name="sub-01", status="done")]
    shown = summary([session], outcomes, options_of(tmp_path / "in", tmp_path / "out"))
    assert shown.splitlines() == [f"Next: thalbids {tmp_path}/in {tmp_path}/out group"]


def test_a_task_of_an_array_names_no_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    session = Session(subject="01")
    _measured(tmp_path, session, "thalnet T1w 6 6 12 ok n/a")
    outcomes = [Outcome(name="sub-01", status="done")]
    assert "Next" not in summary([session], outcomes, options_of(tmp_path, tmp_path))
