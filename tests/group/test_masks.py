"""Masks compared with one another and the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.images import read_labels
from bids_app.group import masks, reference
from bids_app.group.analyses import containment
from bids_app.group.masks import containment_matrices, labelled_scans, overlap_with_reference
from bids_app.group.reference import References
from bids_app.group.study import Study
from bids_app.images.volume import Volume
from tests.conftest import save_image
from tests.group.simulation import AFFINE, boxes


def test_masks_on_another_grid_are_resampled_and_named(tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 2.0
    rows = []
    for method, affine in (("first", AFFINE), ("thalnet", shifted)):
        name = f"sub-1_space-T1w_seg-thalamus_desc-{method}T1w_dseg.nii.gz"
        save_image(tmp_path / "sub-1" / "anat" / name, boxes(6), affine)
        rows.append({"participant_id": "sub-1", "session_id": None, "scan": "sub-1_T1w"})
        rows[-1] |= {"method": method, "contrast": "T1w", "segmentation": f"{method} T1w"}
    resampled: list[str] = []
    (matrix,) = containment_matrices(pd.DataFrame(rows), tmp_path, [], resampled)
    assert resampled == ["sub-1_T1w thalnet T1w"]
    # One voxel of two millimetres to the side: five of six layers are shared.
    assert matrix.loc["first T1w", "thalnet T1w"] == pytest.approx(5 / 6)


def test_labels_and_probabilities_are_read(study: Study, tmp_path: Path) -> None:
    """A probability of 0.3 around the reference, on the first scan of thalnet only."""
    rows = study.cohort.table[study.cohort.table["participant_id"] == "sub-001"]
    first = rows[rows["session_id"] == "ses-01"]
    sides = np.zeros((40, 24, 24, 2), dtype=np.float32)
    sides[4:10, 5:15, 5:15, 0], sides[24:30, 5:15, 5:15, 1] = 0.9, 0.9
    sides[4:10, 15:17, 5:15, 0] = 0.3
    name = "sub-001_ses-01_space-T1w_seg-thalamus_desc-thalnetT1w_probseg.nii.gz"
    save_image(tmp_path / "sub-001" / "ses-01" / "anat" / name, sides, AFFINE)
    labelled = labelled_scans(rows, tmp_path, study.references)
    assert labelled.problems == ()
    assert list(labelled.pairs.index) == list(first.index)
    np.testing.assert_allclose(labelled.pairs["reference_ml"], 2 * 600 * 8 / 1000)
    thalnet = first.index[first["method"] == "thalnet"][0]
    assert labelled.volumes.loc[thalnet, 0.5] == pytest.approx(9.6)
    assert labelled.volumes.loc[thalnet, 0.2] == pytest.approx(9.6 + 120 * 8 / 1000)
    assert (labelled.dice.loc[thalnet, 0.5], labelled.dice.loc[thalnet, 0.2]) == (
        pytest.approx(1),
        pytest.approx(2 * 1200 / (1200 + 1320)),
    )
    assert labelled.volumes.drop(index=thalnet).isna().all(axis=None)


def _compared(
    folder: Path, reference: np.ndarray, affine: np.ndarray
) -> tuple[pd.DataFrame, list[str]]:
    """Compare the boxes with a reference."""
    name = "sub-1_space-T1w_seg-thalamus_desc-thalnetT1w_dseg.nii.gz"
    save_image(folder / "sub-1" / "anat" / name, boxes(6), AFFINE)
    save_image(folder / "manual" / "sub-1" / "anat" / "sub-1_dseg.nii.gz", reference, affine)
    row = {"participant_id": "sub-1", "session_id": None, "scan": "sub-1_T1w"}
    row |= {"method": "thalnet", "contrast": "T1w", "segmentation": "thalnet T1w"}
    made = overlap_with_reference(pd.DataFrame([row]), folder, References(folder / "manual"))
    return made.overlap, made.problems


def test_a_reference_without_sides_is_compared_for_both(tmp_path: Path) -> None:
    binary = (boxes(6) > 0).astype(np.uint8)
    table, problems = _compared(tmp_path, binary, AFFINE)
    assert problems == []
    (row,) = table.to_dict("records")
    assert (row["side"], row["dice"], row["note"][:23]) == (
        ("bilateral", 1, "reference without sides")
    )
    assert row["reference_ml"] == row["method_ml"] == pytest.approx(9.6)


def test_the_volume_of_the_reference_is_that_of_its_own_voxels(tmp_path: Path) -> None:
    """Boxes of 7 x 13 x 13 voxels of 1.6 mm."""
    labels = np.zeros((50, 30, 30), dtype=np.uint8)
    labels[5:12, 6:19, 6:19], labels[30:37, 6:19, 6:19] = 1, 2
    table, problems = _compared(tmp_path, labels, np.diag([1.6, 1.6, 1.6, 1]))
    assert problems == []
    side = 7 * 13 * 13 * 1.6**3 / 1000
    np.testing.assert_allclose(table["reference_ml"], [side, side, 2 * side])
    assert set(table["note"]) == {"reference resampled (nearest neighbour)"}


def test_a_reference_beyond_the_scan_counts_completely(tmp_path: Path) -> None:
    """One of six layers of the left box lies before the first voxel, and one is shared."""
    shifted = AFFINE.copy()
    shifted[0, 3] = -10
    table, problems = _compared(tmp_path, boxes(6), shifted)
    assert problems == []
    np.testing.assert_allclose(table["reference_ml"], [4.8, 4.8, 9.6])
    assert set(table["note"]) == {
        "reference resampled (nearest neighbour); reference partly outside of the scan"
    }
    np.testing.assert_allclose(table["sensitivity"], 1 / 6)
    np.testing.assert_allclose(table["dice"], 1 / 6)


def test_a_reference_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    far = AFFINE.copy()
    far[1, 3] = 200
    table, problems = _compared(tmp_path, boxes(6), far)
    assert table.empty
    assert problems == [
        "sub-1_T1w: 100 % of the reference labels lie outside of the scan. Expected labels that "
        "were drawn on it; check their affine."
    ]


def test_masks_and_references_are_read_once(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containment, overlap and calibration share them, and give what each gives on its own."""
    read: list[Path] = []

    def counted(path: Path) -> Volume:
        read.append(path)
        return read_labels(path)

    for module in (masks, reference):
        monkeypatch.setattr(module, "read_labels", counted)
    eight = study.cohort.table[study.cohort.table["participant_id"] <= "sub-008"]
    shared = replace(study, cohort=replace(study.cohort, table=eight))
    made = containment.analyse(shared).tables["containment"].data
    assert not shared.compared_masks.overlap.empty
    assert len(shared.labelled.pairs) == 8 * 2
    assert len(read) == len(set(read)) == 8 * 3
    alone = containment.analyse(replace(shared, reference_dir=None)).tables["containment"].data
    pd.testing.assert_frame_equal(made, alone)
