"""Containment of masks in one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bids_app.group.analyses import (
    containment,
)
from bids_app.group.study import Study
from tests.conftest import save_image
from tests.group.simulation import AFFINE, boxes


def test_containment_is_averaged_over_participants(study: Study) -> None:
    with_masks = study.volumes["participant_id"] <= "sub-008"
    first_eight = replace(study, cohort=replace(study.cohort, table=study.cohort.table[with_masks]))
    table = containment.analyse(first_eight).tables["containment"].data
    share = table.set_index(["contained", "container"])["containment"]
    widths = np.array([6 + number % 3 for number in range(8)])
    assert share["thalnet T1w", "first T1w"] == 1
    assert share["first T1w", "thalnet T1w"] == pytest.approx((widths / (widths + 2)).mean())


def test_a_resampled_mask_is_named_among_the_settings(study: Study, tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 2.0
    table = study.cohort.table[study.cohort.table["participant_id"] == "sub-001"]
    resampled = replace(study, cohort=replace(study.cohort, table=table), output_dir=tmp_path)

    def note(thalnet: np.ndarray) -> object:
        for method, affine in (("first", AFFINE), ("thalnet", thalnet)):
            name = f"sub-001_ses-01_space-T1w_seg-thalamus_desc-{method}T1w_dseg.nii.gz"
            save_image(tmp_path / "sub-001" / "ses-01" / "anat" / name, boxes(6), affine)
        return containment.analyse(replace(resampled)).tables["containment"].settings["Resampled"]

    assert str(note(AFFINE)).startswith("no mask")
    assert note(shifted) == ["sub-001_ses-01_T1w thalnet T1w"]
