"""Finished results in the layouts of the programs that wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.programs.finished import find_finished
from tests.programs.results import given, names, session

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


@pytest.mark.parametrize("folder", ["01_ses-1", "sub-01_ses-1", "ses-1/01", "01/ses-1"])
def test_freesurfer_subjects_with_and_without_prefix(bids: Path, folder: str) -> None:
    options = given(bids, "freesurfer", f"{folder}/{ASEG}", f"010_ses-1/{ASEG}")
    matched = names(options, session("sub-01_ses-1_T1w"))
    assert matched == {("freesurfer", "T1w"): f"{folder}/{ASEG}"}


def test_the_longitudinal_stream_without_prefix(bids: Path) -> None:
    options = given(bids, "freesurfer", f"01_ses-1.long.01/{ASEG}", f"01/{ASEG}", "01/base-tps")
    matched = names(options, session("sub-01_ses-1_T1w"))
    assert matched == {("freesurferLong", "T1w"): f"01_ses-1.long.01/{ASEG}"}


@pytest.mark.parametrize(
    ("method", "chosen", "other"),
    [
        ("freesurfer", "mri/aseg.mgz", "mri/aparc+aseg.mgz"),
        ("freesurfer", "mri/aparc+aseg.mgz", "mri/aparc.a2009s+aseg.mgz"),
        ("freesurfer", "mri/aparc.DKTatlas+aseg.mgz", "mri/wmparc.mgz"),
        (
            "freesurferNuclei",
            "mri/ThalamicNuclei.v12.T1.FSvoxelSpace.mgz",
            "mri/ThalamicNuclei.v12.T1.mgz",
        ),
        (
            "freesurferNuclei",
            "mri/ThalamicNuclei.v13.T1.FSvoxelSpace.mgz",
            "mri/ThalamicNuclei.v9.T1.FSvoxelSpace.mgz",
        ),
        ("freesurferNuclei", "mri/ThalamicNuclei.FSvoxelSpace.mgz", "mri/ThalamicNuclei.mgz"),
        ("freesurferNuclei", "mri/ThalamicNuclei.mgz", "mri/ThalamicNuclei.volumes.txt"),
        (
            "freesurferNuclei",
            "mri/ThalamicNuclei.long.FSvoxelSpace.mgz",
            "mri/ThalamicNuclei.long.mgz",
        ),
        ("freesurferSynthseg", "mri/synthseg.rca.mgz", "stats/synthseg.vol.csv"),
        ("freesurferSynthseg", "mri/synthseg/seg.mgz", "mri/synthseg/qc.csv"),
        ("freesurferSamseg", "mri/samseg/seg.mgz", "mri/samseg/samseg.stats"),
    ],
)
@pytest.mark.parametrize("stream", ["", ".long.sub-01"])
def test_what_a_subjects_folder_holds(
    bids: Path, method: str, chosen: str, other: str, stream: str
) -> None:
    folder = f"sub-01_ses-1{stream}"
    options = given(bids, "freesurfer", f"{folder}/{chosen}", f"{folder}/{other}")
    name = method + ("Long" if stream else "")
    matched = names(options, session("sub-01_ses-1_T1w"))
    assert matched == {(name, "T1w"): f"{folder}/{chosen}"}


# What run_samseg_long of SAMSEG 0.4a0 writes for two time points.
_OF_ALL = (
    *("mode01_bias_corrected.mgz", "mode01_bias_field.mgz", "mode01_scaling.txt", "samseg.csv"),
    *("posteriors/Left-Thalamus.mgz", "posteriors/Right-Thalamus.mgz", "samseg.fs.stats"),
    *("samseg.stats", "sbtiv.stats", "seg.mgz"),
)
_OF_BASE = (
    *("gaussians.rescaled.txt", "history.p", "mode01_average.mgz", "template.lta"),
    *("template_coregistered.mgz", "template_transforms.mat"),
)


def test_samsegs_time_points_are_the_sessions_in_their_order(bids: Path) -> None:
    files = [f"sub-01/{folder}/{file}" for folder in ("base", "tp001", "tp002") for file in _OF_ALL]
    files += [f"sub-01/base/{file}" for file in _OF_BASE]
    options = given(bids, "samseg", *files, "sub-01/latentAtlases/latentAtlas_iteration_01.mgz.gz")
    root = options.folders.derivatives["samseg"]
    for number in (1, 2):
        visit = session(f"sub-01_ses-{number}_T1w")
        (result,) = find_finished(visit, visit.anchors[0], options)[0]
        assert (result.method, result.contrast) == ("samsegLong", "T1w")
        assert [path.relative_to(root).as_posix() for path in result.files] == [
            f"sub-01/tp00{number}/{name}"
            for name in (
                *("seg.mgz", "samseg.fs.stats"),
                *("posteriors/Left-Thalamus.mgz", "posteriors/Right-Thalamus.mgz"),
            )
        ]


def test_samsegs_time_points_without_sessions_of_their_own(bids: Path) -> None:
    files = [f"sub-01/tp00{number}/seg.mgz" for number in (1, 2, 3)]
    options = given(bids, "samseg", *files, "sub-01_ses-1/seg.mgz")
    visit = session("sub-01_ses-1_T1w")
    results, problems = find_finished(visit, visit.anchors[0], options)
    assert results == []
    assert (
        "holds 3 time points (tp001 to tp003), but the BIDS dataset has 2 sessions"
        in (problems["samseg"])
    )
