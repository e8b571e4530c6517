"""One command runs the declared benchmarks."""

from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import BENCHMARKS, GIVEN, Benchmark

ROOT = Path(__file__).resolve().parents[2]


def test_every_declared_benchmark_exists_once() -> None:
    names = [benchmark.label for benchmark in BENCHMARKS]
    assert len(names) == len(set(names))
    modules = [benchmark.module for benchmark in BENCHMARKS if not benchmark.published]
    assert [name for name in modules if find_spec(f"benchmarks.{name}") is None] == []


def test_every_script_of_the_page_on_accuracy_is_declared() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    scripts = set(re.findall(r"python (?:-m benchmarks\.|benchmarks/)(\w+)", page))
    assert len(scripts) > 12
    assert scripts - {benchmark.module for benchmark in BENCHMARKS} == set()


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "benchmark", [each for each in BENCHMARKS if each.module], ids=lambda each: each.label
)
def test_every_benchmark_accepts_its_arguments(
    benchmark: Benchmark, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = benchmark.quick if quick else benchmark.words
    known = {value for given in GIVEN for value in given.values}
    named = {word[1:-1] for word in words or () if word.startswith("{")}
    assert named <= known
    module = import_module(f"benchmarks.{benchmark.module}")

    class _ParsedError(Exception):
        pass

    parse_args = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser) -> None:
        parse_args(parser)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    given = [word.format(**dict.fromkeys(known, "x")) for word in words or benchmark.words]
    monkeypatch.setattr(sys, "argv", [benchmark.module, *given])
    with pytest.raises(_ParsedError):
        module.main()


def test_the_table_has_a_row_for_each_with_what_it_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Benchmark(module="index_scale", shows="time", quick=("--subjects", "3"), lines=2)
    failing = Benchmark(module="inference", shows="time", words=("x",), quick=("{scan}",))
    lacking = Benchmark(module="accuracy", name="both", shows="masks", quick=("{bids}", "{labels}"))
    long = Benchmark(module="atrophy", shows="losses", quick=None)
    others = Benchmark(name="others", shows="masks", published="published, not run: Dice 0.9")
    monkeypatch.setattr(command, "BENCHMARKS", (ran, failing, lacking, long, others))
    words = ["benchmarks", "--quick", "--scan", "no.nii.gz", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    command.main()
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "table.md").read_text()
    heading, machine, _, _, _, *rows = printed.splitlines()
    assert heading == "# All benchmarks"
    assert "processors" in machine
    assert re.search(
        r"^\| index_scale \| time \| `one of 3: 1 sessions in \d+\.\d\d s .*`<br>`all of 3: 3 "
        r"sessions .*` \| \d+\.\d \| \d{4}-\d\d-\d\d, \d+ GFLOP/s, load \d+\.\d, --quick \|$",
        rows[0],
    )
    assert "failed with exit code" in rows[1]
    assert rows[2].startswith("| both | masks | `not run: needs --manual, --subject` |  |")
    assert rows[3] == "| atrophy | losses | `not run with --quick` |  |  |"
    assert rows[4] == "| others | masks | `published, not run: Dice 0.9` |  |  |"
    assert "no.nii.gz" in (tmp_path / "inference.txt").read_text()


def test_rows_of_the_same_machine_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (
        Benchmark(name=name, shows="masks", published=f"result of {name}") for name in "ab"
    )
    monkeypatch.setattr(command, "BENCHMARKS", (first, second))
    for machine, name in (("this", "b"), ("this", "a"), ("another", "a")):
        monkeypatch.setattr(command, "describe_machine", lambda machine=machine: machine)
        monkeypatch.setattr(sys, "argv", ["benchmarks", name, "--output", str(tmp_path)])
        command.main()
    tables = capsys.readouterr().out.split("# All benchmarks\n")[1:]
    shown = [re.findall(r"^\| ([ab]) ", each, re.MULTILINE) for each in tables]
    assert shown == [["b"], ["a", "b"], ["a"]]
    assert tables[2].startswith("`python -m benchmarks` on another.")


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "speed"])
    with pytest.raises(SystemExit):
        command.main()
    assert (
        "there is no speed; there are accuracy, meshnet, samseg, tigerbx" in capsys.readouterr().err
    )
