"""Masks compared with one another and the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.group.masks import containment_matrices, labelled_scans
from bids_app.group.study import Study
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
    assert study.reference_dir is not None
    rows = study.cohort.table[study.cohort.table["participant_id"] == "sub-001"]
    first = rows[rows["session_id"] == "ses-01"]
    sides = np.zeros((40, 24, 24, 2), dtype=np.float32)
    sides[4:10, 5:15, 5:15, 0], sides[24:30, 5:15, 5:15, 1] = 0.9, 0.9
    sides[4:10, 15:17, 5:15, 0] = 0.3
    name = "sub-001_ses-01_space-T1w_seg-thalamus_desc-thalnetT1w_probseg.nii.gz"
    save_image(tmp_path / "sub-001" / "ses-01" / "anat" / name, sides, AFFINE)
    labelled = labelled_scans(rows, tmp_path, study.reference_dir)
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
