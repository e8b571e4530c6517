"""Finished results: which are used, how they are read, and the table of all."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.geometry import Grid
from bids_app.programs.finished import find_finished, match_table, read_finished
from tests.conftest import save_image
from tests.programs.results import given, names, session

ASEG = "mri/aseg.mgz"


def test_what_is_no_segmentation_is_left_alone(bids: Path) -> None:
    for name in ("manual", "qmri", "siena"):
        options = given(bids, name, "sub-01/ses-1/anat/sub-01_ses-1_seg-thalamus_dseg.nii.gz")
        assert names(options, session("sub-01_ses-1_T1w")) == {}


def test_the_table_names_what_was_matched_and_what_was_not(bids: Path) -> None:
    options = given(
        bids, "freesurfer", f"sub-01_ses-1/{ASEG}", f"sub-01_ses-9/{ASEG}", f"sub-77/{ASEG}"
    )
    sessions = [session("sub-01_ses-1_T1w"), session("sub-02_ses-1_T1w")]
    assert match_table(sessions, options) == [
        ("freesurfer", "n/a", "n/a", "n/a", "sub-01_ses-9", "belongs to no session"),
        ("freesurfer", "n/a", "n/a", "n/a", "sub-77", "belongs to no session"),
        ("freesurfer", "sub-01_ses-1", "freesurfer", "T1w", f"sub-01_ses-1/{ASEG}", "n/a"),
        ("freesurfer", "sub-02_ses-1", "n/a", "n/a", "n/a", "no results"),
    ]


def _conformed(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Save as FreeSurfer does: MGH, axes left, inferior, anterior."""
    turned = np.transpose(data[::-1, :, ::-1], (0, 2, 1))
    flip = np.array(
        [
            [-1, 0, 0, data.shape[0] - 1],
            [0, 0, 1, 0],
            [0, -1, 0, data.shape[2] - 1],
            [0, 0, 0, 1],
        ],
        dtype=float,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.MGHImage(np.ascontiguousarray(turned), affine @ flip), path)


def test_labels_in_freesurfers_space_come_back_voxel_for_voxel(bids: Path) -> None:
    options = given(bids, "freesurfer", f"sub-01_ses-1/{ASEG}")
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = (-10, -20, -30)
    labels = np.zeros((20, 22, 24), dtype=np.int32)
    labels[5:8, 6:12, 4:9] = 10
    labels[12:15, 6:12, 4:9] = 49
    labels[9, 9, 9] = 2
    path = bids.parent / "finished results" / f"sub-01_ses-1/{ASEG}"
    _conformed(path, labels, affine)
    visit = session("sub-01_ses-1_T1w")
    result = find_finished(visit, visit.anchors[0], options)[0][0]
    # The scan: half the field of view, the same voxels.
    part = Grid((20, 10, 24), affine @ _shift(0, 4, 0))
    dseg = read_finished(result, part, None)
    expected = np.where(labels == 10, 1, np.where(labels == 49, 2, 0))[:, 4:14]
    assert np.array_equal(dseg, expected)


def _shift(*voxels: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = voxels
    return matrix


LTA = """type      = {kind} # LINEAR_RAS_TO_RAS
nxforms   = 1
mean      = 0.0000 0.0000 0.0000
sigma     = 1.0000
1 4 4
{matrix}
src volume info
valid = 1  # volume info valid
filename = orig.mgz
volume = 20 24 22
voxelsize = 1 1 1
xras   = -1 0 0
yras   = 0 0 -1
zras   = 0 1 0
cras   = 0 -9 -18
dst volume info
valid = 1
filename = base.mgz
volume = 20 24 22
voxelsize = 1 1 1
xras   = -1 0 0
yras   = 0 0 -1
zras   = 0 1 0
cras   = 0 -9 -18
subject sub-01
fscale 0.1
"""


@pytest.mark.parametrize("kind", [0, 1])
def test_longitudinal_labels_are_moved_from_the_templates_space(bids: Path, kind: int) -> None:
    """The scan lies 3 mm further right than the template, 2 mm further front."""
    options = given(bids, "freesurfer", f"sub-01_ses-1.long.sub-01/{ASEG}")
    affine = _shift(-10, -20, -30)
    labels = np.zeros((20, 22, 24), dtype=np.int32)
    labels[5:8, 6:12, 4:9] = 10
    root = bids.parent / "finished results"
    _conformed(root / f"sub-01_ses-1.long.sub-01/{ASEG}", labels, affine)
    visit = session("sub-01_ses-1_T1w")
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    grid = Grid((20, 22, 24), affine)
    with pytest.raises(MissingInputError, match=r"sub-01_ses-1_to_sub-01\.lta"):
        read_finished(result, grid, None)
    to_template = _shift(-3, -2, 0)
    # FreeSurfer's voxel axes run left, inferior, anterior.
    matrix = _shift(3, 0, -2) if kind == 0 else to_template
    lines = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in matrix)
    path = root / "sub-01/mri/transforms/sub-01_ses-1_to_sub-01.lta"
    path.parent.mkdir(parents=True)
    path.write_text(LTA.format(kind=kind, matrix=lines))
    dseg = read_finished(result, grid, None)
    assert np.array_equal(dseg[8:11, 8:14, 4:9], np.ones((3, 6, 5)))
    assert dseg.sum() == 90
    path.write_text("type = 14\n")
    with pytest.raises(BadDataError, match="holds no linear transform"):
        read_finished(result, grid, None)


def test_labels_in_the_space_of_another_contrast_follow_its_alignment(bids: Path) -> None:
    options = given(bids, "synthseg", "sub-01_ses-1_FLAIR_synthseg.nii.gz")
    visit = session("sub-01_ses-1_T1w", others=("sub-01_ses-1_FLAIR",))
    labels = np.zeros((20, 20, 20), dtype=np.int16)
    labels[5:9, 5:9, 5:9] = 10
    path = bids.parent / "finished results/sub-01_ses-1_FLAIR_synthseg.nii.gz"
    save_image(path, labels, _shift(1, 0, 0))
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    grid = Grid((20, 20, 20), np.eye(4))
    dseg = read_finished(result, grid, _shift(4, 0, 0))
    assert np.array_equal(np.argwhere(dseg)[[0, -1]], [[2, 5, 5], [5, 8, 8]])


def test_a_series_is_named(bids: Path) -> None:
    options = given(bids, "first", "sub-01_ses-1_all_none_firstseg.nii.gz")
    path = bids.parent / "finished results/sub-01_ses-1_all_none_firstseg.nii.gz"
    save_image(path, np.zeros((8, 8, 8, 2), dtype=np.int16))
    visit = session("sub-01_ses-1_T1w")
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    with pytest.raises(BadDataError, match="series of 2 volumes"):
        read_finished(result, Grid((8, 8, 8), np.eye(4)), None)
