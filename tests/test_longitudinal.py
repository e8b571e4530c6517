"""``--longitudinal`` from end to end: a simulated subject with atrophy, one with a single visit."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from bids_app.dataset.cohort import read_volumes
from bids_app.dataset.index import Scan, Session
from bids_app.longitudinal import courses_of
from examples.make_demo_cohort import main as make_demo_cohort


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("sub-*/**/*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sub-01 with two sessions, sub-02 with one."""
    folder = tmp_path_factory.mktemp("cohort") / "bids"
    make_demo_cohort([str(folder), "--subjects", "2", "--voxel-size", "1.5"])
    shutil.rmtree(folder / "sub-02" / "ses-02")
    return folder


@pytest.fixture(scope="module")
def results(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The output, and the checksums of the cross-sectional results before."""
    output = tmp_path_factory.mktemp("results") / "out"
    assert main([str(cohort), str(output), "participant"]) == 0
    before = _checksums(output)
    assert main([str(cohort), str(output), "participant", "--longitudinal"]) == 0
    return output, before


def test_sessions_keep_their_results(results: tuple[Path, dict[str, str]]) -> None:
    output, before = results
    after = _checksums(output)
    assert {name: after[name] for name in before} == before
    new = [name for name in after if name not in before]
    assert new
    assert all("_space-withinSubject_" in name for name in new)
    assert not any(name.startswith("sub-02") for name in new)


def test_all_sessions_lie_on_one_grid(results: tuple[Path, dict[str, str]]) -> None:
    output, _ = results
    images = [
        nib.load(path)
        for path in sorted(
            output.glob("sub-01/*/anat/*_space-withinSubject_desc-preproc_T1w.nii.gz")
        )
    ]
    assert len(images) == 2
    assert images[0].shape == images[1].shape
    assert np.array_equal(images[0].affine, images[1].affine)
    first, second = (np.asarray(image.dataobj).ravel() for image in images)
    assert np.corrcoef(first, second)[0, 1] > 0.97
    sidecars = sorted(output.glob("sub-01/*/anat/*_space-withinSubject_desc-preproc_T1w.json"))
    for path in sidecars:
        matrix = np.array(json.loads(path.read_text())["ToOriginalSpace"]["Matrix"])
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


def test_the_group_stage_sees_one_more_method(
    cohort: Path, results: tuple[Path, dict[str, str]]
) -> None:
    output, _ = results
    volumes, problems = read_volumes(output)
    assert problems == []
    counts = volumes.groupby(["participant_id", "method"]).size().to_dict()
    assert counts == {
        ("sub-01", "thalnet"): 2,
        ("sub-01", "thalnetLongitudinal"): 2,
        ("sub-02", "thalnet"): 1,
    }
    sizes = volumes.pivot(index="scan", columns="method", values="total_soft_ml").dropna()
    assert (sizes["thalnetLongitudinal"] / sizes["thalnet"]).between(0.95, 1.05).all()
    truth = cohort / "derivatives" / "truth"
    assert main([str(cohort), str(output), "group", "-d", f"manual={truth}"]) == 0
    overlap = pd.read_csv(output / "group" / "overlap.tsv", sep="\t")
    assert set(overlap["method"]) == {"thalnet T1w"}


def test_a_second_run_does_nothing(
    cohort: Path, results: tuple[Path, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    output, _ = results
    before = _checksums(output)
    assert main([str(cohort), str(output), "participant", "--longitudinal"]) == 0
    told = capsys.readouterr().err
    assert "sub-01: nothing to do" in told
    assert "sub-02: skipped: 1 of its sessions could be measured" in told
    assert _checksums(output) == before
    assert main([str(cohort), str(output), "participant", "--longitudinal", "--dry-run"]) == 0
    assert "longitudinal: sub-01\n" in capsys.readouterr().out


def test_the_output_is_valid_bids(results: tuple[Path, dict[str, str]]) -> None:
    output, _ = results
    result = subprocess.run(
        [Path(sys.executable).with_name("bids-validator-deno"), "--json", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(result.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []


def test_failed_sessions_are_left_out_and_runs_take_part() -> None:
    def session(subject: str, label: str, runs: int = 1) -> Session:
        scans = tuple(
            Scan(Path(f"{run}.nii"), "T1w", (("sub", subject), ("ses", label), ("run", str(run))))
            for run in range(runs)
        )
        return Session(subject, label, scans)

    sessions = [session("01", "a", 2), session("01", "b"), session("01", "c"), session("02", "a")]
    courses = courses_of(sessions, {"sub-01_ses-a", "sub-01_ses-c", "sub-02_ses-a"})
    assert [course.name for course in courses] == ["sub-01", "sub-02"]
    assert [scan.name for scan in courses[0].anchors] == [
        "sub-01_ses-a_run-0",
        "sub-01_ses-a_run-1",
        "sub-01_ses-c_run-0",
    ]
    assert not courses[0].problem
    assert "needs two" in courses[1].problem
