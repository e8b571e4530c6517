"""Lines on the terminal while sessions run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bids_app.run.outcome import Outcome, Stage
from bids_app.run.progress import Progress
from bids_app.run.workers import Event


def test_progress_is_plain_where_it_is_not_a_terminal(tmp_path: Path) -> None:

    stream = io.StringIO()
    progress = Progress(2, 0, stream)
    progress.show(Event("sub-1", Stage.START))
    progress.show(Event("sub-1", outcome=Outcome(name="sub-1", status="done", seconds=61)))
    progress.show(Event("sub-2", outcome=Outcome(name="sub-2", status="skipped", reason="no T1w")))
    progress.conclude(
        [Outcome(name="sub-1", status="done"), Outcome(name="sub-2", status="skipped")], tmp_path
    )
    assert stream.getvalue().splitlines() == [
        "[1/2] sub-1: done in 61 s",
        "[2/2] sub-2: skipped: no T1w",
        f"2 sessions: 1 done, 1 skipped. See {tmp_path}/logs/sessions.tsv and the pages "
        "sub-*.html.",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_has_a_live_line_on_a_terminal() -> None:

    stream = _Terminal()
    Progress(2, 0, stream).show(Event("sub-1", Stage.SEGMENT))
    assert stream.getvalue() == "\r\x1b[K0 of 2 ended: sub-1 (segment)"


def test_the_live_line_counts_failures_and_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    stream = _Terminal()
    progress = Progress(4, 0, stream)
    progress.show(Event("sub-1", outcome=Outcome(name="sub-1", status="failed", reason="noise")))
    progress.show(Event("sub-2", outcome=Outcome(name="sub-2", status="unchanged")))
    progress.show(Event("sub-3", Stage.SEGMENT, "with thalnet on T1w"))
    line = stream.getvalue().rpartition("\x1b[K")[2]
    assert line == "2 of 4 ended, 1 failed, about 0 s left: sub-3 (seg"[:49]


def test_results_that_are_up_to_date_promise_no_speed() -> None:
    stream = _Terminal()
    progress = Progress(3, 0, stream)
    progress.show(Event("sub-1", outcome=Outcome(name="sub-1", status="unchanged")))
    progress.show(Event("sub-2", Stage.SEGMENT))
    assert stream.getvalue().endswith("\x1b[K1 of 3 ended: sub-2 (segment)")
