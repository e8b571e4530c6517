"""Overlap with the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bids_app.group.analyses import (
    overlap,
)
from bids_app.group.study import Study
from bids_app.statistics.comparison import signed_rank
from tests.conftest import describe, save_image
from tests.group.simulation import AFFINE, boxes


def test_overlap_is_summarised_and_tested(study: Study) -> None:
    result = overlap.analyse(study)
    summary = result.tables["overlap_summary"].data
    assert len(summary) == 2 * 3 * 6
    row = summary.query("method == 'thalnet T1w' and side == 'left' and measure == 'dice'").iloc[0]
    assert row["median"] == 1
    tests = result.tables["overlap_tests"].data.set_index("measure")
    wide = study.compared_masks.overlap.query("side == 'bilateral'")
    wide = wide.pivot(index="scan", columns="segmentation", values="dice")
    assert tests.loc["dice", "p"] == signed_rank(wide["first T1w"], wide["thalnet T1w"]).p


def test_a_resampled_reference_is_named_in_its_row(study: Study, tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 2.0
    describe(tmp_path, DatasetType="derivative")
    path = tmp_path / "sub-001" / "ses-01" / "anat" / "sub-001_ses-01_dseg.nii.gz"
    save_image(path, boxes(6), shifted)
    compared = replace(study, reference_dir=tmp_path).compared_masks
    assert compared.problems == []
    assert set(compared.overlap["note"]) == {"reference resampled (nearest neighbour)"}
    assert set(study.compared_masks.overlap["note"]) == {""}
