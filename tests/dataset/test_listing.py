"""Contrasts of sessions by the names of images."""

from __future__ import annotations

from pathlib import Path

from bids_app.dataset.listing import contrasts_in


def test_contrasts_of_sessions(tmp_path: Path) -> None:
    for name in (
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_run-2_T1w.nii",
        "sub-01/ses-1/anat/sub-01_ses-1_echo-1_flip-1_mt-off_part-mag_MPM.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_echo-1_flip-1_mt-off_part-phase_VFA.nii.gz",
        "sub-01/ses-2/anat/sub-01_FLAIR.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.json",
        "sub-01/ses-2/anat/sub-01_ses-2_T2star.nii.gz",
        "sub-01/ses-2/func/sub-01_ses-2_T1w.nii.gz",
        "sub-02/anat/sub-02_R1map.nii.gz",
        "derivatives/sub-03/anat/sub-03_T1w.nii.gz",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert contrasts_in(tmp_path) == {
        ("sub-01", "ses-1", "T1w"),
        ("sub-01", "ses-1", "MPM"),
        ("sub-01", "ses-2", "FLAIR"),
        ("sub-02", None, "R1map"),
    }
