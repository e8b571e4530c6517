"""Sessions in processes of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bids_app.dataset.index import Scan, Session
from bids_app.errors import BadDataError, Cause, ExitCode, Problem
from bids_app.run.outcome import Outcome, Stage
from bids_app.run.records import read_record, write_record
from bids_app.run.resources import Allocation
from bids_app.run.workers import Task, run_sessions
from tests.conftest import options_of


def _work(task: Task) -> Outcome:
    """Do what a session's process does in these tests: its label says how it ends."""
    session = task.session
    task.progress(Stage.READ, "")
    if session.subject == "bad":
        raise BadDataError("scan.nii.gz is bad.")
    if session.subject == "bug":
        raise ZeroDivisionError("division by zero")
    if session.subject == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    assert task.options.levels == ("participant",)
    reason = f"threads {task.threads} {os.environ['OMP_NUM_THREADS']}"
    return Outcome(name=session.name, status="done", reason=reason)


def _run(tmp_path: Path, sessions: list[Session], workers: int = 2) -> dict[str, Outcome]:
    options = options_of(tmp_path, tmp_path)
    events = list(run_sessions(_work, sessions, options, Allocation(workers, 3)))
    assert {event.stage for event in events if event.outcome is None} <= {"start", "read"}
    return {event.name: event.outcome for event in events if event.outcome is not None}


def test_one_bad_session_takes_no_other_with_it(tmp_path: Path) -> None:
    labels = ("1", "bad", "bug", "killed", "2")
    outcomes = _run(tmp_path, [Session(subject=label) for label in labels])
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "sub-1": "done",
        "sub-bad": "failed",
        "sub-bug": "failed",
        "sub-killed": "failed",
        "sub-2": "done",
    }
    assert outcomes["sub-1"].reason == "threads 3 3"
    assert 5 < outcomes["sub-1"].peak_mib < 500
    assert outcomes["sub-bad"].reason == "scan.nii.gz is bad."
    assert outcomes["sub-bad"].exit_code == ExitCode.BAD_DATA
    assert "ZeroDivisionError" in outcomes["sub-bug"].reason
    assert "Traceback" not in outcomes["sub-bug"].reason
    assert all(o.exit_code != ExitCode.DONE for o in outcomes.values() if o.status == "failed")
    assert "Traceback" in (tmp_path / "logs" / "sub-bug.log").read_text()
    assert "memory" in outcomes["sub-killed"].reason


def test_a_series_is_recorded_as_such(tmp_path: Path) -> None:
    first, second = (
        Scan(tmp_path / f"{name}.nii", "T1w", (("sub", "1"), ("ses", name))) for name in ("1", "2")
    )
    sessions = [
        Session(subject="1", session="1", anchors=(first,)),
        Session(subject="1", anchors=(first, second)),
    ]
    outcomes = _run(tmp_path, sessions)
    assert {name: each.visits for name, each in outcomes.items()} == {
        "sub-1_ses-1": False,
        "sub-1": True,
    }
    write_record(tmp_path, outcomes["sub-1"])
    assert read_record(tmp_path, "sub-1") == outcomes["sub-1"]


def test_sessions_that_cannot_run_are_told_without_a_process(tmp_path: Path) -> None:
    outcomes = _run(
        tmp_path,
        [
            Session(subject="1", problem=Problem(Cause.NO_ANCHOR, "no T1w")),
            Session(subject="2", problem=Problem(Cause.NOT_IN_DATASET, "no folder")),
        ],
    )
    assert outcomes["sub-1"].status == "skipped"
    assert outcomes["sub-2"].status == "failed"
    assert outcomes["sub-2"].cause is Cause.NOT_IN_DATASET
