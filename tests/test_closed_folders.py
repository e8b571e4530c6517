"""Folders without permission to read: named in the message, and all other sessions are measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from examples.make_demo_cohort import make_cohort
from tests.conftest import describe, run_command, save_image

_ROOT = Path(__file__).resolve().parents[1]
# Root reads every folder. Without these two capabilities it is a user like any other, and one that
# can execute this interpreter, even where that lies in a home folder without access for others.
_CAPABILITIES = "-dac_override,-dac_read_search"
_AS_USER = (
    ["setpriv", f"--inh-caps={_CAPABILITIES}", f"--bounding-set={_CAPABILITIES}"]
    if os.getuid() == 0
    else []
)


def _run(*words: str | Path, program: str = "bids_app") -> subprocess.CompletedProcess[str]:
    return run_command(*_AS_USER, sys.executable, "-m", program, *words, folder=_ROOT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder for the test, or skip where permissions cannot be tested."""
    if _AS_USER and shutil.which("setpriv") is None:
        pytest.skip("root reads every folder, and setpriv (util-linux) is not installed")
    (tmp_path / "unreadable").mkdir(mode=0)
    # Sessions run in processes of their own, which execute the interpreter as that user.
    probe = (
        "import os, subprocess, sys;"
        "subprocess.run([sys.executable, '-c', 'import bids_app.cli'], check=True);"
        "sys.exit(os.access(sys.argv[1], os.R_OK))"
    )
    words = [*_AS_USER, sys.executable, "-c", probe, tmp_path / "unreadable"]
    done = run_command(*words, folder=_ROOT)
    (tmp_path / "unreadable").rmdir()
    if done.returncode != 0:
        reason = (done.stderr.splitlines() or ["it still reads every folder"])[-1]
        pytest.skip(f"thalbids cannot be run as a user without access to a folder: {reason}")
    return tmp_path


@pytest.fixture
def bids(folder: Path) -> Path:
    """Give a dataset of two subjects."""
    path = folder / "bids"
    make_cohort(path, subjects=1, seed=1, voxel_size=2.0)
    shutil.copytree(path / "sub-01" / "ses-01", path / "sub-02" / "ses-01")
    for scan in (path / "sub-02").rglob("sub-01*"):
        scan.rename(scan.with_name(scan.name.replace("sub-01", "sub-02")))
    return path


@pytest.mark.parametrize("unreadable", ["sub-02", "sub-02/ses-01", "sub-02/ses-01/anat"])
def test_an_unreadable_subject_fails_alone(bids: Path, folder: Path, unreadable: str) -> None:
    (bids / unreadable).chmod(0)
    kept = ["--bids-database-dir", folder / "index"]
    # An index that is kept is made by the first run that requests it and read by the next.
    for more in ([], kept, kept):
        done = _run(bids, folder / "out", "participant", "--session-label", "01", *more)
        assert done.returncode == 1, done.stderr
        table = pd.read_csv(folder / "out/logs/sessions.tsv", sep="\t", index_col=0)
        assert table["status"].tolist() == ["done", "failed"]
        assert f"Permission denied: {bids / unreadable}." in table["reason"].iloc[1]
    (bids / unreadable).chmod(0o755)


def test_an_unreadable_folder_of_another_program_is_a_warning(bids: Path, folder: Path) -> None:
    recon = folder / "freesurfer" / "sub-01_ses-01"
    (recon / "mri").mkdir(parents=True)
    recon.chmod(0)
    words = [bids, folder / "out", "participant", "--participant-label", "01"]
    done = _run(*words, "--session-label", "01", "-d", f"freesurfer={folder / 'freesurfer'}")
    recon.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "freesurfer is not used" in done.stderr + (folder / "out/logs/sessions.tsv").read_text()


@pytest.mark.parametrize("program", ["bids_app", "bids_app.launch.slurm"])
def test_an_unreadable_dataset_is_an_error_message(folder: Path, program: str) -> None:
    noise = np.random.default_rng(0).random((4, 4, 4), dtype=np.float32)
    save_image(describe(folder / "unreadable/bids") / "sub-01/anat/sub-01_T1w.nii.gz", noise)
    (folder / "unreadable").chmod(0)
    for path in ("unreadable", "unreadable/bids"):
        done = _run(folder / path, folder / "out", "participant", program=program)
        assert done.returncode == 66
        assert f"Permission denied: {folder / path}" in done.stderr
        assert "Traceback" not in done.stderr
    given = f"manual={folder / 'unreadable'}"
    done = _run(describe(folder / "bids"), folder / "out", "group", "-d", given, program=program)
    assert (done.returncode, "Permission denied" in done.stderr) == (66, True)
    (folder / "unreadable").chmod(0o755)
