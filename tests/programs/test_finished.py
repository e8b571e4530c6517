"""Finished results in the layouts of the programs that made them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.arguments.conversion import parse
from bids_app.dataset.index import Scan, Session
from bids_app.errors import BadDataError, MissingInputError
from bids_app.images.geometry import Grid
from bids_app.options import Options
from bids_app.programs.finished import find_finished, match_table, read_finished
from tests.conftest import describe, save_image


def scan(name: str) -> Scan:
    stem, _, contrast = name.rpartition("_")
    entities = tuple((key, value) for key, value in (part.split("-") for part in stem.split("_")))
    return Scan(Path(f"{name}.nii.gz"), contrast, entities)


def session(*names: str, others: tuple[str, ...] = ()) -> Session:
    scans = tuple(scan(name) for name in names)
    entities = dict(scans[0].entities)
    return Session(
        entities["sub"], entities.get("ses"), scans, others=tuple(scan(name) for name in others)
    )


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """Subject 01 with two sessions, subject 02 with one."""
    for folder in ("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1"):
        (tmp_path / "bids" / folder).mkdir(parents=True)
    return describe(tmp_path / "bids")


def given(bids: Path, name: str, *files: str, extra: tuple[str, ...] = ()) -> Options:
    """A derivative of empty files, given under a name."""
    root = bids.parent / "finished results"
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    words = [str(bids), str(bids.parent / "out"), "participant", "-d", f"{name}={root}"]
    return parse([*words, *extra])


def names(options: Options, visit: Session, anchor: int = 0) -> dict[tuple[str, str], str]:
    results, problems = find_finished(visit, visit.anchors[anchor], options)
    assert problems == {}
    return {
        (item.method, item.contrast): " ".join(
            path.relative_to(item.root).as_posix() for path in item.paths
        )
        for item in results
    }


ASEG = "mri/aseg.mgz"


def test_freesurfer_subjects_belong_to_their_sessions(bids: Path) -> None:
    options = given(
        bids,
        "freesurfer",
        f"sub-01_ses-1/{ASEG}",
        "sub-01_ses-1/stats/aseg.stats",
        f"sub-01_ses-2/{ASEG}",
        f"sub-01_ses-2.long.sub-01/{ASEG}",
        f"sub-01/{ASEG}",
        "sub-01/base-tps",
        f"sub-02/{ASEG}",
        f"sub-010_ses-1/{ASEG}",
        f"fsaverage/{ASEG}",
    )
    first, second = session("sub-01_ses-1_T1w"), session("sub-01_ses-2_T1w")
    assert names(options, first) == {("freesurfer", "T1w"): f"sub-01_ses-1/{ASEG}"}
    assert names(options, second) == {
        ("freesurfer", "T1w"): f"sub-01_ses-2/{ASEG}",
        ("freesurferLong", "T1w"): f"sub-01_ses-2.long.sub-01/{ASEG}",
    }
    # A subject with one session needs no session in the name.
    assert names(options, session("sub-02_ses-1_T1w")) == {("freesurfer", "T1w"): f"sub-02/{ASEG}"}
    result = find_finished(first, first.anchors[0], options)[0][0]
    assert result.statistics is not None
    assert result.statistics.name == "aseg.stats"


def test_a_subjects_template_is_no_session(bids: Path) -> None:
    options = given(bids, "freesurfer", f"sub-01/{ASEG}")
    assert names(options, session("sub-01_ses-1_T1w")) == {}


def test_nested_subjects_folders(bids: Path) -> None:
    options = given(bids, "freesurfer", f"ses-1/sub-01/{ASEG}", f"sub-01/ses-2/{ASEG}")
    for label in ("1", "2"):
        assert len(names(options, session(f"sub-01_ses-{label}_T1w"))) == 1


def test_repeated_scans(bids: Path) -> None:
    """What names no run belongs to the first."""
    visit = session("sub-01_ses-1_run-1_T1w", "sub-01_ses-1_run-2_T1w")
    options = given(bids, "freesurfer", f"sub-01_ses-1/{ASEG}")
    assert len(names(options, visit, 0)) == 1
    assert names(options, visit, 1) == {}
    options = given(bids, "freesurfer", f"sub-01_ses-1_run-2/{ASEG}")
    assert names(options, visit, 0) == {("freesurfer", "T1w"): f"sub-01_ses-1/{ASEG}"}
    assert names(options, visit, 1) == {("freesurfer", "T1w"): f"sub-01_ses-1_run-2/{ASEG}"}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("fastsurfer", "sub-01_ses-1/mri/aparc.DKTatlas+aseg.deep.mgz"),
        ("first", "sub-01_ses-1_T1w_all_none_firstseg.nii.gz"),
        ("first", "sub-01/ses-1/thal_all_fast_firstseg.nii.gz"),
        ("first", "sub-01_ses-1.anat/first_results/T1_first_all_fast_firstseg.nii.gz"),
        ("synthseg", "sub-01_ses-1_T1w_synthseg.nii.gz"),
        ("dbsegment", "sub-01_ses-1_T1w.nii.gz"),
        ("mindglide", "sub-01_ses-1_T1w_seg.nii.gz"),
        ("mindglide1", "sub-01_ses-1_T1w-seg.nii.gz"),
    ],
)
def test_one_scan_of_each_program(bids: Path, name: str, file: str) -> None:
    options = given(bids, name, file, file.replace("sub-01", "sub-02"), "labels.csv")
    assert names(options, session("sub-01_ses-1_T1w")) == {(name, "T1w"): file}


def test_dbsegments_own_space_is_preferred_and_its_masks_are_not_labels(bids: Path) -> None:
    stem = "sub-01_ses-1_T1w"
    options = given(
        bids,
        "dbsegment",
        f"{stem}.nii.gz",
        f"{stem}_brainmask.nii.gz",
        f"preprocessed_v3/{stem}.nii.gz",
    )
    matched = names(options, session("sub-01_ses-1_T1w"))
    assert matched == {("dbsegment", "T1w"): f"preprocessed_v3/{stem}.nii.gz"}


def test_first_writes_other_images_next_to_its_labels(bids: Path) -> None:
    options = given(
        bids,
        "first",
        "sub-01_ses-1_T1w_all_none_firstseg.nii.gz",
        "sub-01_ses-1_T1w_all_none_origsegs.nii.gz",
        "sub-01_ses-1_T1w-L_Thal_corr.nii.gz",
        "sub-01_ses-1_T1w_to_std_sub.nii.gz",
    )
    assert len(names(options, session("sub-01_ses-1_T1w"))) == 1


def test_mindglides_flat_folder_holds_every_contrast(bids: Path) -> None:
    stem = "sub-01_ses-1"
    options = given(
        bids,
        "mindglide",
        f"{stem}_T1w_seg.nii.gz",
        f"{stem}_run-2_FLAIR_seg.nii.gz",
        f"{stem}_space-T1w_desc-scaled_R1map_seg.nii.gz",
        f"{stem}_T1w.nii.gz",
    )
    visit = session(f"{stem}_T1w", others=(f"{stem}_run-2_FLAIR",))
    results = find_finished(visit, visit.anchors[0], options)[0]
    assert {item.contrast: item.in_anchor_space for item in results} == {
        "T1w": False,
        "FLAIR": False,
        "R1map": True,
    }


def test_two_that_fit_equally_well_are_named(bids: Path) -> None:
    options = given(
        bids, "first", "sub-01_ses-1_a_firstseg.nii.gz", "sub-01_ses-1_b_firstseg.nii.gz"
    )
    visit = session("sub-01_ses-1_T1w")
    results, problems = find_finished(visit, visit.anchors[0], options)
    assert results == []
    assert "a_firstseg.nii.gz, sub-01_ses-1_b_firstseg.nii.gz" in problems["first"]


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
    dseg = read_finished(result, Grid((8, 8, 8), np.eye(4)), None)
    assert [int(dseg[2, 0, 0]), int(dseg[5, 0, 0]), int(dseg[4, 0, 0])] == [1, 2, 0]


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
