"""Finding and reading reference labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.errors import BadDataError
from bids_app.group.reference import find_reference, read_reference
from tests.conftest import save_image


def _labels(left: int, right: int) -> np.ndarray:
    data = np.zeros((12, 12, 12), dtype=np.int16)
    data[:4], data[8:] = right, left  # the first axis of the file runs to the left
    return data


LAS = np.diag([-1.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("left", "right", "table"),
    [
        (1, 2, ""),
        (10, 49, ""),
        (16, 17, "index\tname\n16\tThalamus Left\n17\tThalamus Right\n"),
        (5, 6, "index\tname\n5\tL_Thal\n6\tR_Thal\n"),
        # A table may turn the usual numbers round: the names count.
        (2, 1, "index\tname\n2\tLeft thalamus\n1\tRight thalamus\n"),
    ],
)
def test_label_tables(tmp_path: Path, left: int, right: int, table: str) -> None:
    path = save_image(tmp_path / "sub-01/anat/sub-01_dseg.nii.gz", _labels(left, right), LAS)
    if table:
        (tmp_path / "dseg.tsv").write_text(table)
    volume = read_reference(path, tmp_path)
    assert volume.data.dtype == np.uint8
    # In RAS the first axis runs to the right: the left thalamus comes first.
    assert (volume.data[:4] == 1).all()
    assert (volume.data[8:] == 2).all()


@pytest.mark.parametrize(
    ("left", "right", "side"), [(1, 0, "left"), (0, 2, "right"), (10, 0, "left")]
)
def test_a_reference_of_one_side_is_named(tmp_path: Path, left: int, right: int, side: str) -> None:
    path = save_image(tmp_path / "a_dseg.nii.gz", _labels(left, right), LAS)
    with pytest.raises(BadDataError, match=f"a_dseg.nii.gz holds the {side} thalamus only"):
        read_reference(path, tmp_path)


def test_a_label_that_is_named_left_is_not_that_of_both(tmp_path: Path) -> None:
    (tmp_path / "dseg.tsv").write_text("index\tname\n1\tLeft thalamus\n2\tRight thalamus\n")
    path = save_image(tmp_path / "a_dseg.nii.gz", _labels(1, 1), LAS)
    with pytest.raises(BadDataError, match="left thalamus only"):
        read_reference(path, tmp_path)


@pytest.mark.parametrize("joined", [False, True])
def test_one_label_for_both_sides_has_no_side(tmp_path: Path, joined: bool) -> None:
    data = _labels(1, 1)
    data[:, 6, 6] |= joined
    path = save_image(tmp_path / "a_dseg.nii.gz", data, np.diag([-3.0, 3, 3, 1]))
    assert set(np.unique(read_reference(path, tmp_path).data)) <= {0, 3}


def test_white_matter_of_freesurfer_is_no_thalamus(tmp_path: Path) -> None:
    """Label 2 of an aseg is left white matter."""
    data = _labels(10, 49)
    data[5:7] = 2
    volume = read_reference(save_image(tmp_path / "a_dseg.nii.gz", data, LAS), tmp_path)
    assert np.bincount(volume.data.ravel()).tolist() == [4 * 144, 4 * 144, 4 * 144]


def test_labels_without_a_thalamus(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a_dseg.nii.gz", _labels(3, 4))
    with pytest.raises(BadDataError, match=r"no thalamus: its labels are \[0, 3, 4\]"):
        read_reference(path, tmp_path)


def test_the_best_fitting_reference_is_taken(tmp_path: Path) -> None:
    for name in ("sub-01_dseg", "sub-01_run-2_dseg", "sub-01_seg-tissue_run-1_dseg"):
        save_image(tmp_path / f"sub-01/anat/{name}.nii.gz", _labels(1, 2))
    assert find_reference(tmp_path, "sub-01_run-1_T1w").name == "sub-01_dseg.nii.gz"
    assert find_reference(tmp_path, "sub-01_run-2_T1w").name == "sub-01_run-2_dseg.nii.gz"
    assert find_reference(tmp_path, "sub-02_T1w") is None
    assert find_reference(tmp_path, "sub-01_ses-1_T1w") is None


def test_two_equal_candidates_are_a_question_for_the_user(tmp_path: Path) -> None:
    for name in ("sub-01_desc-a_dseg", "sub-01_desc-b_dseg"):
        save_image(tmp_path / f"sub-01/anat/{name}.nii.gz", _labels(1, 2))
    with pytest.raises(BadDataError, match="Keep one of them"):
        find_reference(tmp_path, "sub-01_T1w")
