"""States of sessions in job arrays."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.errors import ExitCode
from bids_app.launch import job_array
from bids_app.launch.slurm import main as slurm_main
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record

_LOGS = {
    0: "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
    1: "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.",
    2: "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 ***",
    3: "",
}


def test_states_name_who_stopped_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = job_array.Request(chunk=1, cpus=1, mib=100, minutes=10, throttle=9)
    labels = [(str(number), None) for number in range(8)]
    submission = job_array.write_submission(tmp_path, labels, request, "true", "")
    submission = job_array.Submission(submission.folder, submission.sessions, request, "7")
    for task, text in _LOGS.items():
        (submission.folder / f"task-{task}.log").write_text(text)
    write_record(
        tmp_path,
        Outcome(name="sub-3", status="failed", reason="bad file", exit_code=ExitCode.BAD_DATA),
    )
    write_record(
        tmp_path,
        Outcome(
            name="sub-0", status="failed", reason="an earlier reason", exit_code=ExitCode.BAD_DATA
        ),
    )
    write_record(tmp_path, Outcome(name="sub-6", status="done"))
    monkeypatch.setattr(job_array, "_slurm", lambda *_: "7_4 PENDING\n7_5 RUNNING\n8_7 RUNNING\n")
    found = job_array.states(tmp_path, [submission])
    told = {
        name: (state.state, state.reason.partition(" (")[0]) for (name, _), state in found.items()
    }
    assert told == {
        "0": ("failed", "stopped at its time limit"),
        "1": ("failed", "killed, out of memory"),
        "2": ("failed", "cancelled"),
        "3": ("failed", "bad file"),
        "4": ("pending", ""),
        "5": ("running", ""),
        "6": ("done", ""),
        "7": ("not run", ""),
    }


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        "",
        "null",
        "\xff",
        "[" * 100_000,
        '{"job": 1, "request": {}, "sessions": []}',
        '{"job": "1", "sessions": [], "request": {"chunk": 0, "cpus": 1, "mib": 1, "minutes": 1,'
        ' "throttle": 1, "extra": []}}',
        '{"job": "1", "sessions": [[1, 2]], "request": {"chunk": 1, "cpus": 1, "mib": 1,'
        ' "minutes": 1, "throttle": 1, "extra": []}}',
    ],
)
def test_a_damaged_submission_counts_as_absent_and_is_named(tmp_path: Path, content: str) -> None:
    request = job_array.Request(chunk=1, cpus=1, mib=1, minutes=1, throttle=1)
    sound = job_array.write_submission(tmp_path, [("01", None)], request, "true", "")
    damaged = job_array.write_submission(tmp_path, [("02", None)], request, "true", "")
    (damaged.folder / "submission.json").write_bytes(content.encode("latin-1"))
    (tmp_path / "logs" / "slurm" / "1abc").mkdir()
    submissions, unreadable = job_array.read_submissions(tmp_path)
    assert submissions == [sound]
    assert [path.name for path in unreadable] == ["1abc", "2"]
    third = job_array.write_submission(tmp_path, [("03", None)], request, "true", "")
    assert third.folder.name == "3"


def test_the_status_names_what_is_no_submission(
    bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "logs" / "slurm" / "1abc").mkdir(parents=True)
    assert slurm_main([str(bids), str(out), "--status"]) == 66
    assert "1abc holds no readable submission" in capsys.readouterr().err
    assert slurm_main([str(bids), str(out)]) == 0
    assert slurm_main([str(bids), str(out), "--status"]) == 0
    assert "3 not run" in capsys.readouterr().out
