"""Folders that are closed to the user: said in a sentence, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from examples.make_demo_cohort import make_cohort
from tests.conftest import describe, run_command, save_image

# Root may look everywhere.
_USER = 1000 if os.getuid() == 0 else None
_ROOT = Path(__file__).resolve().parents[1]


def _run(*words: str | Path, program: str = "bids_app") -> subprocess.CompletedProcess[str]:
    return run_command(sys.executable, "-m", program, *words, folder=_ROOT, user=_USER)


@pytest.fixture
def folder(public_folder: Callable[[], Path]) -> Path:
    """Where the user may write."""
    path = public_folder()
    if _USER is not None:
        os.chown(path, _USER, _USER)
    return path


@pytest.fixture
def bids(folder: Path) -> Path:
    """Two subjects; the second one's folder is closed."""
    path = folder / "bids"
    make_cohort(path, subjects=1, seed=1, voxel_size=2.0)
    shutil.copytree(path / "sub-01" / "ses-01", path / "sub-02" / "ses-01")
    for scan in (path / "sub-02").rglob("sub-01*"):
        scan.rename(scan.with_name(scan.name.replace("sub-01", "sub-02")))
    return path


def _close(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize("closed", ["sub-02", "sub-02/ses-01", "sub-02/ses-01/anat"])
def test_a_closed_subject_fails_alone(bids: Path, folder: Path, closed: str) -> None:
    _close(bids / closed)
    kept = ["--bids-database-dir", folder / "index"]
    # An index that is kept is made by the first run that asks for it, and read by the next.
    for more in ([], kept, kept):
        done = _run(bids, folder / "out", "participant", "--session-label", "01", *more)
        assert done.returncode == 1, done.stderr
        table = pd.read_csv(folder / "out/logs/sessions.tsv", sep="\t", index_col=0)
        assert table["status"].tolist() == ["done", "failed"]
        assert f"{bids / closed} is closed to this user." in table["reason"].iloc[1]
    (bids / closed).chmod(0o755)


def test_a_closed_folder_of_another_program_is_a_warning(bids: Path, folder: Path) -> None:
    recon = folder / "freesurfer" / "sub-01_ses-01"
    (recon / "mri").mkdir(parents=True)
    _close(recon)
    words = [bids, folder / "out", "participant", "--participant-label", "01"]
    done = _run(*words, "--session-label", "01", "-d", f"freesurfer={folder / 'freesurfer'}")
    recon.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "freesurfer is not used" in done.stderr + (folder / "out/logs/sessions.tsv").read_text()


@pytest.mark.parametrize("program", ["bids_app", "bids_app.launch.slurm"])
def test_a_closed_dataset_is_a_sentence(folder: Path, program: str) -> None:
    noise = np.random.default_rng(0).random((4, 4, 4), dtype=np.float32)
    save_image(describe(folder / "closed/bids") / "sub-01/anat/sub-01_T1w.nii.gz", noise)
    _close(folder / "closed")
    for path in ("closed", "closed/bids"):
        done = _run(folder / path, folder / "out", "participant", program=program)
        assert done.returncode == 66
        assert f"{folder / path} is closed to this user" in done.stderr
        assert "Traceback" not in done.stderr
    given = f"manual={folder / 'closed'}"
    done = _run(describe(folder / "bids"), folder / "out", "group", "-d", given, program=program)
    assert (done.returncode, "is closed to this user" in done.stderr) == (66, True)
    (folder / "closed").chmod(0o755)
