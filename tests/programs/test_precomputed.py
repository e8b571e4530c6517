"""Thalami in any BIDS derivatives dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.images.geometry import Grid
from bids_app.programs.finished import find_finished, read_finished
from tests.conftest import save_image
from tests.programs.results import given, names, session


def test_any_bids_derivative_by_its_entities(bids: Path, tmp_path: Path) -> None:
    stem = "sub-01/ses-1/anat/sub-01_ses-1"
    files = (
        f"{stem}_dseg.nii.gz",  # tissues
        f"{stem}_space-MNI152_desc-aseg_dseg.nii.gz",
        f"{stem}_desc-aseg_dseg.nii.gz",
        f"{stem}_desc-aparcaseg_dseg.nii.gz",
        f"{stem}_label-GM_probseg.nii.gz",
    )
    filters = tmp_path / "filters.json"
    filters.write_text('{"fmriprep": {"desc": "aseg"}}')
    visit = session("sub-01_ses-1_T1w")
    options = given(bids, "fmriprep", *files)
    assert "--bids-filter-file" in find_finished(visit, visit.anchors[0], options)[1]["fmriprep"]
    options = given(bids, "fmriprep", extra=("--bids-filter-file", str(filters)))
    assert names(options, visit) == {("fmriprep", "T1w"): f"{stem}_desc-aseg_dseg.nii.gz"}


@pytest.mark.parametrize(
    "pair", ["label-LThal label-RThal", "hemi-L_label-thalamus hemi-R_label-thalamus"]
)
def test_masks_of_each_side(bids: Path, pair: str) -> None:
    files = [f"sub-01/ses-1/anat/sub-01_ses-1_{side}_mask.nii.gz" for side in pair.split()]
    visit = session("sub-01_ses-1_T1w")
    options = given(
        bids, "my-masks", *files, "sub-01/ses-1/anat/sub-01_ses-1_label-LCau_mask.nii.gz"
    )
    assert names(options, visit) == {("mymasks", "T1w"): " ".join(files)}
    data = np.zeros((8, 8, 8), dtype=np.uint8)
    for side, file in enumerate(files):
        data[:] = 0
        data[2 + 3 * side] = 255
        save_image(bids.parent / "finished results" / file, data)
    result = find_finished(visit, visit.anchors[0], options)[0][0]
    dseg = read_finished(result, Grid((8, 8, 8), np.eye(4)), None)[0].dseg
    assert [int(dseg[2, 0, 0]), int(dseg[5, 0, 0]), int(dseg[4, 0, 0])] == [1, 2, 0]
