from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from examples import make_demo_cohort
from examples.anatomy import Anatomy
from examples.make_demo_cohort import make_cohort


@pytest.fixture(scope="module")
def cohort(centre: Anatomy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects with little more than their thalami."""
    folder = tmp_path_factory.mktemp("cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_demo_cohort, "load_anatomy", lambda: centre)
        for name in ("first", "again"):
            make_cohort(folder / name, subjects=2, seed=5)
    return folder / "first"


@pytest.fixture(scope="module")
def multicontrast_cohort(centre: Anatomy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of these subjects with FLAIR and multi-parameter mapping."""
    folder = tmp_path_factory.mktemp("multicontrast") / "bids"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_demo_cohort, "load_anatomy", lambda: centre)
        make_cohort(folder, subjects=1, seed=5, multicontrast=1)
    return folder


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("name", ["cohort", "multicontrast_cohort"])
@pytest.mark.parametrize("part", [".", "derivatives/truth"])
def test_validator_finds_no_error(name: str, part: str, request: pytest.FixtureRequest) -> None:
    cohort = request.getfixturevalue(name)
    folder_of_python = str(Path(sys.executable).parent)
    validator = shutil.which("bids-validator-deno", path=folder_of_python) or shutil.which(
        "bids-validator-deno"
    )
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [validator, "--format", "json", str(cohort / part)],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert done.returncode == 0, done.stderr


def test_same_seed_same_files(cohort: Path) -> None:
    names = sorted(path.relative_to(cohort) for path in cohort.rglob("*") if path.is_file())
    again = cohort.with_name("again")
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((cohort / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_truth_lies_on_the_grid_of_its_scan(cohort: Path) -> None:
    for scan in cohort.glob("sub-*/ses-*/anat/*_T1w.nii.gz"):
        session = scan.parent.relative_to(cohort)
        (truth,) = (cohort / "derivatives" / "truth" / session).glob("*_dseg.nii.gz")
        image, labels = (nib.Nifti1Image.from_filename(path) for path in (scan, truth))
        assert image.shape == labels.shape
        assert np.array_equal(image.affine, labels.affine)
        assert np.unique(labels.dataobj).tolist() == [0, 1, 2]


def test_mpm_does_not_change_the_t1w_scans(cohort: Path, multicontrast_cohort: Path) -> None:
    scans = sorted(multicontrast_cohort.glob("sub-*/ses-*/anat/*_T1w.nii.gz"))
    assert len(scans) == 2
    for scan in scans:
        assert scan.read_bytes() == (cohort / scan.relative_to(multicontrast_cohort)).read_bytes()
        assert len(list(scan.parent.glob("*_MPM.nii.gz"))) == 18
        assert len(list(scan.parent.parent.glob("fmap/*_TB1map.nii.gz"))) == 1


def test_patients_lose_more_than_controls(cohort: Path) -> None:
    diagnosis = [row["diagnosis"] for row in _table(cohort / "participants.tsv")]
    assert diagnosis == ["HC", "RRMS"]
    rows = _table(cohort / "derivatives" / "truth" / "volumes.tsv")
    control, patient = (float(rows[k + 1]["total"]) / float(rows[k]["total"]) - 1 for k in (0, 2))
    assert -0.006 < control < 0
    assert -0.025 < patient < -0.01


def test_full_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(SystemExit):
        make_demo_cohort.main([str(tmp_path)])
    assert "is not empty" in capsys.readouterr().err
    with pytest.raises(ValueError, match="number of subjects"):
        make_cohort(tmp_path / "new", subjects=0)


def test_runs_as_a_file() -> None:
    script = Path(make_demo_cohort.__file__)
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, check=True, cwd="/"
    )
    assert "DEST" in done.stdout
