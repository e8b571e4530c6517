"""Records of sessions and the table made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_app.dataset.checksums import Content
from bids_app.dataset.staging import staged
from bids_app.errors import ExitCode
from bids_app.run.outcome import Outcome
from bids_app.run.records import (
    read_record,
    read_records,
    reason_to_run,
    write_record,
    write_session_table,
)
from bids_app.run.stamps import Stamp


def test_a_record_decides_whether_a_session_is_run(tmp_path: Path) -> None:
    stamp = Stamp({"a.nii.gz": "1"}, {"methods": "thalnet"}, {"thalbids": "1"})
    assert reason_to_run(tmp_path, "sub-1", stamp) == "not run yet"
    (tmp_path / "a.txt").touch()
    outputs = {"a.txt": Content.of(b"")}
    done = Outcome(name="sub-1", status="done", seconds=2.0, stamp=stamp, outputs=outputs)
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_text("measured!"), ""),
        (lambda path: path.write_text("measured?"), "a.tsv is damaged or was changed"),
        (lambda path: path.write_text("meas"), "a.tsv is damaged or was changed"),
        (lambda path: path.write_text(""), "a.tsv is damaged or was changed"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "a.tsv is damaged or was changed"),
        (Path.unlink, "a.tsv is missing"),
        (lambda path: (path.unlink(), path.mkdir()), "a.tsv is missing"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "a.tsv is missing"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "a.tsv is missing"),
    ],
)
def test_outputs_count_if_they_are_as_they_were_written(
    tmp_path: Path, change: Callable[[Path], object], reason: str
) -> None:
    with staged(tmp_path, "sub-1") as staging:
        staging.text("a.tsv", "measured!")
        staging.text("b.tsv", "other")
    done = Outcome(name="sub-1", status="done", stamp=Stamp(), outputs=staging.outputs)
    write_record(tmp_path, done)
    change(tmp_path / "a.tsv")
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == reason


def test_outputs_of_earlier_versions_count_if_they_are_there(tmp_path: Path) -> None:
    write_record(tmp_path, Outcome(name="sub-1", status="done", stamp=Stamp()))
    path = tmp_path / "logs" / "sub-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "outputs": ["a.tsv"]}))
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == "a.tsv is missing"
    (tmp_path / "a.tsv").write_text("whatever")
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == ""


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"name": "sub-1"}', b"\xff\xfe\x00", b"[" * 100_000]
)
def test_a_damaged_record_counts_as_not_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sub-1.json").write_bytes(content)
    assert read_record(tmp_path, "sub-1") is None
    assert read_records(tmp_path) == []
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == "not run yet"
    write_record(tmp_path, Outcome(name="sub-1", status="done", stamp=Stamp()))
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 1},
        {"status": "finished"},
        {"status": ["done"]},
        {"reason": None},
        {"exit_code": "zero"},
        {"exit_code": [0]},
        {"seconds": "long"},
        {"seconds": 10**400},
        {"peak_mib": {}},
        {"stamp": "1"},
        {"stamp": {"inputs": ["a"]}},
        {"stamp": {"inputs": {"a": 1}}},
        {"stamp": {"origin": {}}},
        {"outputs": "a.tsv"},
        {"outputs": [1]},
        {"outputs": {"a.tsv": 1}},
        {"outputs": {"a.tsv": {"size": 1}}},
        {"warnings": "many"},
        {"warnings": [1]},
        {"stages": {"read": 1}},
        {"stages": [{"stage": "read", "seconds": "long", "peak_mib": 1}]},
    ],
)
def test_a_record_with_a_field_of_another_type_counts_as_not_run(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    stamp = Stamp({"a": "1"})
    for name in ("sub-1", "sub-2"):
        write_record(tmp_path, Outcome(name=name, status="done", stamp=stamp))
    path = tmp_path / "logs" / "sub-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    assert reason_to_run(tmp_path, "sub-1", stamp) == "not run yet"
    assert [record.name for record in read_records(tmp_path)] == ["sub-2"]
    write_session_table(tmp_path, read_records(tmp_path))
    assert "sub-2\tdone" in (tmp_path / "logs" / "sessions.tsv").read_text()


def test_a_pipe_is_no_record_and_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "sub-1.json")
    assert read_record(tmp_path, "sub-1") is None
    write_record(tmp_path, Outcome(name="sub-1", status="done", stamp=Stamp()))
    assert reason_to_run(tmp_path, "sub-1", Stamp()) == ""


def test_a_session_table_that_cannot_be_read_is_written_again(tmp_path: Path) -> None:
    write_record(tmp_path, Outcome(name="sub-1", status="done"))
    write_session_table(tmp_path, read_records(tmp_path))
    table = tmp_path / "logs" / "sessions.tsv"
    before = table.read_bytes()
    table.write_bytes(b"\xff\xfe\x00")
    write_session_table(tmp_path, read_records(tmp_path))
    assert table.read_bytes() == before


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
    write_session_table(tmp_path, read_records(tmp_path))
    assert (tmp_path / "logs" / "sessions.tsv").read_text().splitlines() == [
        "name\tstatus\texit_code\tseconds\tpeak_mib\treason\twarnings",
        "sub-1\tdone\t0\t1.2\t300\tn/a\tno R1: why",
        "sub-2\tfailed\t65\t0.0\t0\ttwo lines and a tab\tn/a",
    ]
