"""Records of sessions and the table made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.errors import ExitCode
from bids_app.run.outcome import Outcome
from bids_app.run.records import read_record, reason_to_run, write_record, write_session_table
from bids_app.run.stamps import Stamp


def test_a_record_decides_whether_a_session_is_run(tmp_path: Path) -> None:
    stamp = Stamp({"a.nii.gz": "1"}, {"methods": "thalnet"}, {"thalbids": "1"})
    assert reason_to_run(tmp_path, "sub-1", stamp) == "not run yet"
    (tmp_path / "a.txt").touch()
    done = Outcome(name="sub-1", status="done", seconds=2.0, stamp=stamp, outputs=("a.txt",))
    write_record(tmp_path, done)
    assert read_record(tmp_path, "sub-1") == done
    assert reason_to_run(tmp_path, "sub-1", stamp) == ""
    changed = Stamp({"a.nii.gz": "2"}, stamp.parameters, stamp.software)
    assert reason_to_run(tmp_path, "sub-1", changed) == "a.nii.gz changed"
    more = Stamp(stamp.inputs, {"methods": "thalnet", "new": "x"}, stamp.software)
    assert reason_to_run(tmp_path, "sub-1", more) == "new is new"
    (tmp_path / "a.txt").unlink()
    assert reason_to_run(tmp_path, "sub-1", stamp) == "a.txt is missing"
    write_record(tmp_path, Outcome(name="sub-1", status="failed", reason="why", stamp=stamp))
    assert reason_to_run(tmp_path, "sub-1", stamp) == "failed before"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "sub-1"}'])
def test_a_damaged_record_counts_as_not_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sub-1.json").write_text(content)
    assert read_record(tmp_path, "sub-1") is None
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == "not run yet"


def test_the_session_table_lists_every_record(tmp_path: Path) -> None:
    write_record(
        tmp_path,
        Outcome(
            name="sub-2",
            status="failed",
            reason="two\nlines\tand a tab",
            exit_code=ExitCode.BAD_DATA,
        ),
    )
    done = Outcome(
        name="sub-1", status="done", seconds=1.25, peak_mib=300.4, warnings=("no R1:\nwhy",)
    )
    write_record(tmp_path, done)
    write_session_table(tmp_path)
    assert (tmp_path / "logs" / "sessions.tsv").read_text().splitlines() == [
        "name\tstatus\texit_code\tseconds\tpeak_mib\treason\twarnings",
        "sub-1\tdone\t0\t1.2\t300\tn/a\tno R1: why",
        "sub-2\tfailed\t65\t0.0\t0\ttwo lines and a tab\tn/a",
    ]
