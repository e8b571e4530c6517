"""One command runs the declared benchmarks."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import BENCHMARKS, Benchmark


def test_every_declared_benchmark_exists_once() -> None:
    names = [benchmark.module for benchmark in BENCHMARKS]
    assert len(names) == len(set(names))
    assert [name for name in names if find_spec(f"benchmarks.{name}") is None] == []


def test_the_table_has_a_row_for_each_with_what_it_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Benchmark(module="index_scale", shows="time", quick=("--subjects", "3"), lines=2)
    failing = Benchmark(module="inference", shows="time", words=("x",), quick=("{scan}",))
    lacking = Benchmark(module="accuracy", shows="masks", quick=("{manual}", "{labels}"))
    long = Benchmark(module="atrophy", shows="losses", quick=None)
    monkeypatch.setattr(command, "BENCHMARKS", (ran, failing, lacking, long))
    words = ["benchmarks", "--quick", "--scan", "no.nii.gz", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    command.main()
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "table.md").read_text()
    machine, _, _, _, *rows = printed.splitlines()
    assert "GFLOP/s" in machine
    assert "`one of 3: " in rows[0]
    assert "<br>`all of 3: " in rows[0]
    assert "failed with exit code" in rows[1]
    assert rows[2].endswith("|  | `not run: needs --manual` |")
    assert rows[3].endswith("|  | `not run with --quick` |")
    assert "no.nii.gz" in (tmp_path / "inference.txt").read_text()


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "speed"])
    with pytest.raises(SystemExit):
        command.main()
    assert "there is no speed; there are accuracy" in capsys.readouterr().err
