"""Finished results: which are used, how they are read, and the table of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.arguments.conversion import parse
from bids_app.dataset.images import read_volume
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.geometry import Grid
from bids_app.images.volume import to_ras
from bids_app.programs.finished import find_finished, match_table, read_finished, why_none
from bids_app.programs.freesurfer import read_statistics
from bids_app.programs.layouts import Finished
from tests.conftest import save_image
from tests.programs.results import given, names, session

ASEG = "mri/aseg.mgz"
MASKS = "masks cannot be used)"


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
        (
            *("freesurfer", "n/a", "n/a", "n/a", "sub-01_ses-9"),
            "the BIDS dataset has no scan of ses-9 of sub-01, which has ses-1",
        ),
        (
            *("freesurfer", "n/a", "n/a", "n/a", "sub-77"),
            "the BIDS dataset has no scan of sub-77",
        ),
        ("freesurfer", "sub-01_ses-1", "freesurfer", "T1w", f"sub-01_ses-1/{ASEG}", "n/a"),
        (
            *("freesurfer", "sub-02_ses-1", "n/a", "n/a", "n/a"),
            f"expected sub-02_ses-1/{ASEG}; found sub-01_ses-1, sub-01_ses-9, sub-77",
        ),
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
    dseg = read_finished(result, part, None)[0].dseg
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
    dseg = read_finished(result, grid, None)[0].dseg
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
    dseg = read_finished(result, grid, _shift(4, 0, 0))[0].dseg
    assert np.array_equal(np.argwhere(dseg)[[0, -1]], [[2, 5, 5], [5, 8, 8]])


def test_a_series_is_named(bids: Path) -> None:
    options = given(bids, "first", "sub-01_ses-1_all_none_firstseg.nii.gz")
    path = bids.parent / "finished results/sub-01_ses-1_all_none_firstseg.nii.gz"
    save_image(path, np.zeros((8, 8, 8, 2), dtype=np.int16))
    visit = session("sub-01_ses-1_T1w")
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    with pytest.raises(BadDataError, match="series of 2 volumes"):
        read_finished(result, Grid((8, 8, 8), np.eye(4)), None)


@pytest.mark.parametrize(
    ("name", "files", "found"),
    [
        ("freesurfer", ["sub-01/mri/aseg.mgz"], "sub-01/mri/aseg.mgz"),
        ("freesurfer", ["sub-01_ses-1/mri/orig.mgz"], "sub-01_ses-1 (without mri/aseg.mgz)"),
        (
            "freesurfer",
            ["01_ses-1/stats/aseg.stats"],
            "01_ses-1/stats/aseg.stats (volumes without masks cannot be used)",
        ),
        *(
            (name, [f"sub-01_ses-1/{table}"], f"sub-01_ses-1/{table} (volumes without {MASKS}")
            for name, table in (
                ("freesurfer", "mri/ThalamicNuclei.v13.T1.volumes.txt"),
                ("freesurfer", "mri/ThalamicNuclei.long.volumes.txt"),
                ("freesurfer", "stats/thalamic-nuclei.lh.v12.T1.stats"),
                ("freesurfer", "stats/synthseg.vol.csv"),
                ("freesurfer", "mri/samseg/samseg.fs.stats"),
                ("samseg", "samseg.fs.stats"),
                ("samseg", "samseg.stats"),
            )
        ),
        (
            "freesurfer",
            ["01_ses-1/mri/ThalamicNuclei.long.mgz"],
            "01_ses-1/mri/ThalamicNuclei.long.mgz",
        ),
        ("freesurfer", ["sub-01/base-tps"], "sub-01 (the template of a longitudinal stream)"),
        ("freesurfer", [f"P{i}/mri/aseg.mgz" for i in range(5)], "P0, P1, P2 and 2 more"),
        ("synthseg", ["sub-01_ses-1_T1w.nii.gz"], "sub-01_ses-1_T1w.nii.gz"),
        ("fmriprep", ["sub-01/ses-1/anat/sub-01_ses-1_dseg.nii.gz"], "sub-01"),
    ],
)
def test_a_session_without_result_tells_what_was_found(
    bids: Path, name: str, files: list[str], found: str
) -> None:
    expected = {
        "freesurfer": "sub-01_ses-1/mri/aseg.mgz",
        "samseg": "sub-01_ses-1/seg.mgz",
        "synthseg": "sub-01_ses-1_T1w_synthseg.nii.gz",
        "fmriprep": "sub-01_ses-1_seg-thalamus_dseg.nii.gz, or a _dseg with a table that names "
        "thalami",
    }[name]
    options = given(bids, name, *files)
    visit = session("sub-01_ses-1_T1w")
    text = why_none(visit, visit.anchors[0], name, options)
    assert text == f"expected {expected}; found {found}"


def test_a_program_of_other_contrasts_is_called_so(bids: Path) -> None:
    options = given(bids, "freesurfer", f"sub-01_ses-1/{ASEG}")
    visit = session("sub-01_ses-1_FLAIR")
    text = why_none(visit, visit.anchors[0], "freesurfer", options)
    assert text == "FreeSurfer does not segment FLAIR"


def test_a_name_without_session_is_called_so(bids: Path) -> None:
    options = given(bids, "freesurfer", f"sub-01/{ASEG}")
    rows = match_table([session("sub-01_ses-1_T1w"), session("sub-01_ses-2_T1w")], options)
    assert rows[0].problem == "the name gives no session of sub-01, which has ses-1 ses-2"


STATISTICS = """# Measure {measure}, eTIV, Intracranial Volume, 1500000.5, mm^3
# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean
  5  10  {left}  88.5  {name}  80.0
 23  49  90  91.25  Right-Thalamus  80.0
"""


def _with_statistics(bids: Path, text: str) -> Finished:
    """A result of 90 voxels on each side, and its table."""
    options = given(bids, "freesurfer", f"01_ses-1/{ASEG}", "01_ses-1/stats/aseg.stats")
    folder = bids.parent / "finished results/01_ses-1"
    labels = np.zeros((20, 22, 24), dtype=np.int32)
    labels[5:8, 6:12, 4:9] = 10
    labels[12:15, 6:12, 4:9] = 49
    _conformed(folder / ASEG, labels, np.eye(4))
    (folder / "stats/aseg.stats").write_text(text)
    visit = session("sub-01_ses-1_T1w")
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    return result


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("Left-Thalamus-Proper", "IntraCranialVol"),
        ("Left-Thalamus-Proper", "EstimatedTotalIntraCranialVol"),
        ("Left-Thalamus", "EstimatedTotalIntraCranialVol"),
    ],
)
def test_volumes_by_every_version_of_freesurfer(bids: Path, name: str, measure: str) -> None:
    result = _with_statistics(bids, STATISTICS.format(left=90, name=name, measure=measure))
    thalami, problem = read_finished(result, Grid((20, 22, 24), np.eye(4)), None)
    assert problem is None
    assert thalami.soft_volumes.tolist() == [88.5, 91.25]
    assert thalami.icv == 1500000.5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (STATISTICS.format(left=70, name="Left-Thalamus", measure="x"), "lists 70 and 90 voxels"),
        ("# Measure BrainSeg, BrainSegVol, Brain, 1.0, mm^3\n", "no volume of a thalamus"),
        ("5 10 many 88.5 Left-Thalamus\n", "not a FreeSurfer table of volumes"),
    ],
)
def test_masks_are_used_without_a_table_that_is_not_theirs(
    bids: Path, text: str, sentence: str
) -> None:
    result = _with_statistics(bids, text)
    thalami, problem = read_finished(result, Grid((20, 22, 24), np.eye(4)), None)
    assert problem is not None
    assert sentence in problem
    assert problem.endswith("make it again from them.")
    assert np.isnan([*thalami.soft_volumes, thalami.icv]).all()
    assert [np.count_nonzero(thalami.dseg == side) for side in (1, 2)] == [90, 90]


def test_nuclei_are_united_and_those_of_another_head_refused(bids: Path) -> None:
    file = "sub-01_ses-1/mri/ThalamicNuclei.v13.T1.FSvoxelSpace.mgz"
    options = given(bids, "freesurfer", file)
    labels = np.zeros((20, 22, 24), dtype=np.int32)
    labels[5:8, 6:12, 4:9] = 8103
    labels[5:8, 6:12, 9:11] = 8133
    labels[12:15, 6:12, 4:9] = 8226
    labels[1, 1, 1] = 17
    _conformed(bids.parent / "finished results" / file, labels, np.eye(4))
    visit = session("sub-01_ses-1_T1w")
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    assert result.method == "freesurferNuclei"
    thalami, problem = read_finished(result, Grid((20, 22, 24), np.eye(4)), None)
    assert problem is None
    assert [np.count_nonzero(thalami.dseg == side) for side in (1, 2)] == [126, 90]
    with pytest.raises(BadDataError, match="has 216 voxels of the thalami, but none inside"):
        read_finished(result, Grid((20, 22, 24), _shift(100, 0, 0)), None)


@pytest.mark.parametrize(
    ("subject", "image", "voxels", "volumes", "icv"),
    [
        ("bert", "aseg.mgz", [8431, 8629], [8066.3, 8287.8], 1520021.264474),
        # This table is of another head: all structures differ, not the thalami alone.
        ("vqc", "aparc+aseg.mgz", [7653, 8472], None, None),
    ],
)
def test_real_results_of_freesurfer(
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    subject: str,
    image: str,
    voxels: list[int],
    volumes: list[float] | None,
    icv: float | None,
) -> None:
    """Versions 7.2 and 5.1, each on the grid of its own scan."""
    data = shared_data("freesurfer")
    words = [str(data / "bids"), str(tmp_path / "out"), "participant"]
    options = parse([*words, "-d", f"freesurfer={data / 'subjects'}"])
    visit = session(f"sub-{subject}_T1w")
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    assert result.paths[0].name == image
    scan = read_volume(data / f"bids/sub-{subject}/anat/sub-{subject}_T1w.nii.gz")
    thalami, problem = read_finished(result, to_ras(scan).grid, None)
    assert [np.count_nonzero(thalami.dseg == side) for side in (1, 2)] == voxels
    if volumes is None:
        assert problem is not None
        assert "lists 7257 and 7556 voxels" in problem
        assert np.isnan(thalami.soft_volumes).all()
    else:
        assert problem is None
        assert thalami.soft_volumes.tolist() == volumes
        assert thalami.icv == icv
    table = data / f"subjects/sub-{subject}/stats/aseg.stats"
    statistics = read_statistics(table)
    assert statistics.volumes.tolist() == (volumes or [7257.0, 7556.0])
    assert statistics.icv == (icv or 964342.335086)
