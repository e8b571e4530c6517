"""Thalamic nuclei of FreeSurfer and HIPS-THOMAS: their union, their groups, and what is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.errors import BadDataError
from bids_app.images.geometry import Grid
from bids_app.options import Options
from bids_app.programs.finished import find_finished, read_finished, why_none
from bids_app.programs.freesurfer import FREESURFER
from bids_app.programs.layouts import Finished
from bids_app.programs.method import SubjectsDirectory
from bids_app.programs.nuclei import read_groups
from bids_app.programs.thomas import THOMAS
from bids_app.segmentation.nuclei import Group
from tests.conftest import save_image
from tests.programs.results import given, session

GRID = Grid((20, 22, 24), np.eye(4))
VISIT = session("sub-01_ses-1_T1w")
# Where each nucleus of FreeSurfer lies on the left; the right one is ten voxels further.
NUCLEI = {8103: 1, 8108: 2, 8133: 3, 8126: 4, 8118: 5, 8112: 6, 8120: 7, 8125: 8}


def _freesurfer(bids: Path) -> tuple[Finished, np.ndarray]:
    """Columns of six voxels of 0.5 mm for each nucleus, in the coarse and the fine image."""
    file = "sub-01_ses-1/mri/ThalamicNuclei.v13.T1.mgz"
    options = given(bids, "freesurfer", file)
    labels = np.zeros((40, 44, 48), dtype=np.int32)
    for label, x in NUCLEI.items():
        labels[x, 5:8, 5:7] = label
        labels[x + 10, 5:8, 5:7] = label + 100
    image = nib.MGHImage(labels, np.diag([0.5, 0.5, 0.5, 1]))
    nib.save(image, bids.parent / "finished results" / file)
    (result,) = find_finished(VISIT, VISIT.anchors[0], options)[0]
    return result, labels


def test_the_nuclei_of_freesurfer_in_six_groups(bids: Path) -> None:
    result, _ = _freesurfer(bids)
    groups = read_groups(result, GRID)
    assert [each.group for each in groups] == [*Group, *Group]
    assert [each.side for each in groups] == [1] * 6 + [2] * 6
    voxels = [round(each.volume * 8) for each in groups[:6]]
    # Two ventral nuclei; the reticular one is in no group.
    assert voxels == [6, 6, 12, 6, 6, 6]
    assert voxels == [round(each.volume * 8) for each in groups[6:]]
    ventral = groups[2].mask
    world = (ventral.affine @ [*np.argwhere(ventral.data).mean(0), 1])[:3]
    np.testing.assert_allclose(world, [3.5 / 2, 6 / 2, 5.5 / 2])


def test_every_nucleus_of_freesurfer_but_the_reticular_is_in_a_group() -> None:
    assert isinstance(FREESURFER.layout, SubjectsDirectory)
    (nuclei,) = [each for each in FREESURFER.layout.segmentations if each.groups]
    assert len(nuclei.groups) == 2 * 28
    assert {*nuclei.groups} <= {*nuclei.labels}
    assert not {8125, 8225} & {*nuclei.groups}


def _thomas(bids: Path, *missing: str) -> Options:
    """Each nucleus one voxel longer than the one before it."""
    names = [f"{side}/{name}.nii.gz" for side in ("left", "right") for name in THOMAS.layout.groups]
    others = ["left/1-THALAMUS.nii.gz", "left/4567-VL.nii.gz", "left/13-Hb.nii.gz"]
    options = given(bids, "thomas", *(f"sub-01_ses-1/{name}" for name in others))
    folder = bids.parent / "finished results" / "sub-01_ses-1"
    for number, name in enumerate(names):
        mask = np.zeros(GRID.shape, dtype=np.uint8)
        mask[number % 10, 5 : 6 + number % 10, 12 * (number // 10) + 3] = 1
        if name not in missing:
            save_image(folder / name, mask, GRID.affine)
    return options


def test_masks_of_hips_thomas_are_united(bids: Path) -> None:
    options = _thomas(bids)
    (result,), problems = find_finished(VISIT, VISIT.anchors[0], options)
    assert problems == {}
    assert (result.method, result.contrast) == ("thomas", "T1w")
    thalami, problem = read_finished(result, GRID, None)
    assert problem is None
    assert [np.count_nonzero(thalami.dseg == side) for side in (1, 2)] == [55, 55]
    groups = read_groups(result, GRID)
    volumes = {each.group.value: each.volume for each in groups if each.side == 2}
    # AV; VA, VLa, VLP, VPL; CM; MD-Pf; Pul, LGN, MGN.
    assert volumes == {
        "anterior": 1,
        "ventral": 2 + 3 + 4 + 5,
        "intralaminar": 9,
        "medial": 10,
        "posterior": 6 + 7 + 8,
    }
    assert sum(each.volume for each in groups) == 110


def test_an_incomplete_folder_and_none_at_all(bids: Path) -> None:
    options = _thomas(bids, "right/8-Pul.nii.gz", "right/9-LGN.nii.gz")
    results, problems = find_finished(VISIT, VISIT.anchors[0], options)
    assert results == []
    assert "8-Pul.nii.gz is missing, and with it 1 more of 20 masks" in problems["thomas"]
    other = session("sub-02_ses-1_T1w")
    assert why_none(other, other.anchors[0], "thomas", options) == (
        "expected sub-02_ses-1/left/2-AV.nii.gz; found sub-01_ses-1"
    )


def test_nuclei_of_another_head_and_masks_on_different_grids(bids: Path) -> None:
    options = _thomas(bids)
    (result,) = find_finished(VISIT, VISIT.anchors[0], options)[0]
    shifted = np.eye(4)
    shifted[0, 3] = 300
    with pytest.raises(BadDataError, match="none inside the scan: it is of another head"):
        read_finished(result, Grid(GRID.shape, shifted), None)
    path = result.paths[2]
    save_image(path, np.ones((9, 9, 9), dtype=np.uint8), np.diag([2.0, 2, 2, 1]))
    with pytest.raises(BadDataError, match="not on the grid of the masks next to it"):
        read_groups(result, GRID)
