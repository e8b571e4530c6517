"""A sample of what ``benchmarks.fuzz`` tries in thousands; its ``--only`` repeats a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.fuzz import Case, Fuzzer
from benchmarks.mutations import damage, mutated

_SEED = 14
# In about a minute on two processors.
_INPUTS = range(40)
_FOLDERS = range(24)


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """A cohort with its undisturbed results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
        yield Fuzzer(tmp_path_factory.mktemp("fuzz"))


def _check(try_case: Callable[[str], Case], names: list[str]) -> None:
    cases = [try_case(name) for name in names]
    assert len({case.damaged for case in cases}) > len(names) // 8
    failed = [
        f"{case.name} ({case.damaged}): {fault.strip().splitlines()[-1]}"
        for case in cases
        for fault in case.faults
    ]
    assert not failed, "\n".join(failed)


def test_damaged_inputs_end_in_sentences_and_cost_no_other_subject(fuzzer: Fuzzer) -> None:
    _check(fuzzer.input_case, [f"input-{_SEED}-{n}" for n in _INPUTS])


def test_damaged_results_are_restored_and_cost_nothing_else(fuzzer: Fuzzer) -> None:
    _check(fuzzer.folder_case, [f"folder-{_SEED}-{n}" for n in _FOLDERS])


def test_memory_taken_before_a_case_is_not_its_own(
    fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kernels do not let a process forget its peak."""
    monkeypatch.setattr("bids_app.run.meter.forget_peak", lambda: None)
    assert np.ones(2**26).sum() == 2**26  # 512 MiB, free again
    assert fuzzer.input_case(f"input-{_SEED}-0").peak_mib < 300


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"RepetitionTime": 2.3, "Levels": {"F": "female"}}'),
        ("a.tsv", b"participant_id\tage\nsub-01\t30\nsub-02\t40\n"),
        ("a.toml", b'analyses = ["flow"]\n[sessions]\ntime = "auto"\n'),
        ("a.html", b"<html>a page</html>"),
    ],
)
def test_a_seed_gives_the_same_damage_again(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    seeds = range(30)
    first = [mutated(path, Random(seed)) for seed in seeds]
    assert first == [mutated(path, Random(seed)) for seed in seeds]
    assert len(set(first)) > 10


def test_damage_stays_in_the_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kinds = set()
    for seed in range(60):
        output = tmp_path / f"out{seed}"
        (output / "sub-01").mkdir(parents=True)
        for name in ("sub-01/a.tsv", "sub-01/b.tsv"):
            (output / name).write_text(f"name\n{name}\n")
        path, kind = damage(output, elsewhere, Random(seed))
        assert path.is_relative_to(output)
        kinds.add(kind)
    assert len(kinds) > 8
    assert list(elsewhere.iterdir()) == []
