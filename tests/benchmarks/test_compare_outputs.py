"""Two output folders are equal, or each difference is named."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare_outputs import compare_folders, main
from tests.conftest import save_image

_MASK = "sub-01/anat/sub-01_seg-thalamus_dseg.nii.gz"
_MAP = "sub-01/anat/sub-01_R1map.nii"
_TABLE = "group/volumes.tsv"
_TRANSFORM = "sub-01/anat/sub-01_from-FLAIR_to-T1w_mode-image_xfm.txt"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Give two equal output folders."""
    before, after = tmp_path / "before", tmp_path / "after"
    mask = np.zeros((4, 5, 6), dtype=np.uint8)
    mask[1:3] = 1
    save_image(before / _MASK, mask)
    save_image(before / _MAP, np.where(mask, np.float32(0.5), np.float32(np.nan)))
    (before / "group").mkdir()
    (before / _TABLE).write_text("name\tvolume_ml\nthalnet\t12.50\natlas\tn/a\n")
    (before / _TRANSFORM).write_text("Parameters: 1 0 0\n")
    shutil.copytree(before, after)
    return before, after


def _change_table(old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / _TABLE
        path.write_text(path.read_text().replace(old, new))

    return change


def _change_mask(folder: Path) -> None:
    mask = np.zeros((4, 5, 6), dtype=np.uint8)
    mask[1:3] = 1
    mask[0, 0, 0] = 2
    save_image(folder / _MASK, mask)


def test_equal_folders_have_no_differences(folders: tuple[Path, Path]) -> None:
    before, after = folders
    (after / "logs").mkdir()
    (after / "logs/sessions.tsv").write_text("seconds\n1\n")
    (after / "group.html").write_text("another page")
    _change_table("12.50", "12.5")(after)
    assert list(compare_folders(before, after)) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (_change_mask, f"{_MASK}: 1 voxels differ, by up to 2"),
        (
            lambda folder: save_image(folder / _MAP, np.zeros((4, 5, 6), np.float32)),
            f"{_MAP}: 120 voxels differ, by up to nan",
        ),
        (
            lambda folder: save_image(folder / _MAP, np.zeros((4, 5, 7), np.float32)),
            f"{_MAP}: shape (4, 5, 6) became (4, 5, 7)",
        ),
        (
            _change_table("12.50", "12.51"),
            f"{_TABLE}: column volume_ml, row 1: '12.50' became '12.51'",
        ),
        (
            _change_table("n/a", "3"),
            f"{_TABLE}: column volume_ml, row 2: 'n/a' became '3'",
        ),
        (_change_table("name\t", "method\t"), f"{_TABLE}: column name is missing"),
        (_change_table("atlas\tn/a\n", ""), f"{_TABLE}: 2 rows became 1"),
        (
            lambda folder: (folder / _TRANSFORM).write_text("Parameters: 1 0 1\n"),
            f"{_TRANSFORM}: transform differs",
        ),
    ],
)
def test_each_difference_is_named(
    folders: tuple[Path, Path], change: Callable[[Path], object], difference: str
) -> None:
    before, after = folders
    change(after)
    assert difference in list(compare_folders(before, after))


def test_an_affine_is_compared(folders: tuple[Path, Path]) -> None:
    before, after = folders
    mask = np.zeros((4, 5, 6), dtype=np.uint8)
    mask[1:3] = 1
    save_image(after / _MASK, mask, np.diag([1, 1, 1.5, 1]))
    assert list(compare_folders(before, after)) == [f"{_MASK}: affine differs by up to 0.5"]


def test_wording_can_be_ignored(folders: tuple[Path, Path]) -> None:
    before, after = folders
    _change_table("atlas", "anatomy")(after)
    assert len(list(compare_folders(before, after))) == 1
    assert list(compare_folders(before, after, numbers_only=True)) == []


def test_a_missing_file_is_a_difference_and_the_status_is_1(
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, after = folders
    monkeypatch.setattr(sys, "argv", ["compare_outputs", str(before), str(after)])
    assert main() == 0
    (after / _MASK).unlink()
    assert main() == 1
    assert f"{_MASK}: only in {before}" in capsys.readouterr().out
