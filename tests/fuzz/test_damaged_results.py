"""Damage to finished results, of each kind, and how it is repaired or refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.fuzz import Fuzzer, results

_MASK = "sub-01/anat/sub-01_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz"
_TABLE = "sub-01/anat/sub-01_desc-thalamus_volumes.tsv"
_SIDECAR = "sub-01/anat/sub-01_desc-preproc_T1w.json"
_PAGE = "sub-01.html"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Fuzzer:
    """Three subjects with their undisturbed results."""
    return Fuzzer(tmp_path_factory.mktemp("damage"))


@pytest.fixture
def output(cohort: Fuzzer, tmp_path: Path) -> Iterator[Path]:
    """A copy of these results; nothing outside is changed."""
    folder = tmp_path / "out"
    shutil.copytree(cohort.undisturbed, folder)
    before = results(cohort.elsewhere)
    yield folder
    assert results(cohort.elsewhere) == before


def _flipped(path: Path) -> None:
    """Change one bit, not the size."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", [_MASK, _TABLE, _SIDECAR, _PAGE])
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        _flipped,
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        Path.unlink,
    ],
)
def test_a_session_with_a_damaged_result_is_measured_again(
    cohort: Fuzzer, output: Path, name: str, change: Callable[[Path], object]
) -> None:
    change(output / name)
    assert cohort.run(output, "participant") == []
    assert cohort.code == 0
    (line,) = [line for line in cohort.printed.splitlines() if "sub-01: done" in line]
    assert name in line
    assert cohort.printed.count("nothing to do") == 2
    assert results(output) == results(cohort.undisturbed)


def test_a_page_that_was_drawn_again_is_no_damage(cohort: Fuzzer, output: Path) -> None:
    (output / _PAGE).unlink()
    assert cohort.run(output, "participant", "--reports-only") == []
    assert results(output) == results(cohort.undisturbed)
    assert cohort.run(output, "participant") == []
    assert cohort.printed.count("nothing to do") == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (_TABLE, ""),
        (_TABLE, "\x00\xff"),
        (_TABLE, "scan\tleft_ml\nsub-01_T1w\n"),
        ("logs/sub-01.json", "[]"),
        ("logs/sub-01.json", '{"name": 1}'),
    ],
)
def test_a_result_that_cannot_be_drawn_is_named(
    cohort: Fuzzer, output: Path, name: str, content: str
) -> None:
    (output / name).write_text(content)
    assert cohort.run(output, "participant", "--reports-only") == []
    assert cohort.code == 1
    assert name in cohort.printed
    assert cohort.run(output, "participant", "--reports-only", "--participant-label", "01") == []
    assert cohort.code == 65
    for words in (("group",), ("--status",)):
        assert cohort.run(output, *words) == []
    assert cohort.run(output, "participant") == []
    assert cohort.code == 0
    assert cohort.printed.count("nothing to do") == 2


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_no_unfinished_work_is_kept_elsewhere(cohort: Fuzzer, output: Path, kind: str) -> None:
    partial = output / ".partial"
    if kind == "file":
        partial.touch()
    else:
        partial.symlink_to(cohort.elsewhere if kind == "link" else "nowhere")
    before = results(output)
    for words in (("participant",), ("participant", "--reports-only"), ("group",)):
        assert cohort.run(output, *words) == []
        assert cohort.code == 73
        assert f"{partial} is a link or a file" in cohort.printed
    assert results(output) == before
    assert os.path.lexists(partial)


def test_a_subject_that_is_a_link_out_of_the_output_costs_itself_only(
    cohort: Fuzzer, output: Path
) -> None:
    shutil.rmtree(output / "sub-01")
    (output / "sub-01").symlink_to(cohort.elsewhere)
    assert cohort.run(output, "participant") == []
    assert cohort.code == 1
    assert f"{output / 'sub-01'} is a link to" in cohort.printed
    assert cohort.printed.count("nothing to do") == 2
    assert cohort.run(output, "participant", "--participant-label", "01") == []
    assert cohort.code == 73


@pytest.mark.parametrize(
    "name",
    ["dataset_description.json", "CITATION.md", "README", ".bidsignore", "logs/sessions.tsv"],
)
def test_shared_files_that_cannot_be_read_are_written_again(
    cohort: Fuzzer, output: Path, name: str
) -> None:
    (output / name).write_bytes(b"\xff\xfe\x00\x80")
    assert cohort.run(output, "participant") == []
    assert cohort.code == 0
    (output / name).read_text(encoding="utf-8")
