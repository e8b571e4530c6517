"""The image and the job array on a real engine and a real scheduler, where there are some.

These tests take what is on the PATH and at DOCKER_HOST, and say why they are skipped if that is not
enough. THALBIDS_SIF names an Apptainer image to run the job array in; without it the array runs in
this environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.make_demo_cohort import make_cohort

_REPOSITORY = Path(__file__).resolve().parents[1]
_IMAGE = "thalbids:test"
_LARGEST_IMAGE_GB = 1.3


def _run(*words: str, timeout: float = 1800) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "bids"
    make_cohort(folder, subjects=1, seed=1, voxel_size=2.0)
    return folder


@pytest.fixture(scope="module")
def image() -> str:
    if shutil.which("docker") is None or _run("docker", "info", timeout=60).returncode != 0:
        pytest.skip("no Docker engine answers")
    base = "python:3.11-slim-bookworm"
    if _run("docker", "image", "inspect", base).returncode != 0:
        pulled = _run("docker", "pull", "--quiet", base, timeout=300)
        if pulled.returncode != 0:
            pytest.skip(f"the base image {base} is not here and cannot be pulled")
    built = _run("docker", "build", "--network", "host", "-t", _IMAGE, str(_REPOSITORY))
    assert built.returncode == 0, built.stderr[-3000:]
    return _IMAGE


def _results(output_dir: Path) -> dict[str, str]:
    """Checksums of the tables, which must not depend on where they were made."""
    return {
        str(path.relative_to(output_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output_dir.rglob("*.tsv"))
        if path.relative_to(output_dir).parts[0] != "logs"
    }


def test_the_image_is_small(image: str) -> None:
    size = int(_run("docker", "image", "inspect", "--format", "{{.Size}}", image).stdout)
    assert size <= _LARGEST_IMAGE_GB * 1e9


def test_the_image_runs_read_only_offline_and_as_any_user(
    image: str, cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    words = ["docker", "run", "--rm", "-u", "1234:1234", "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
    words += ["--network", "none", "--memory", "4g", "-v", f"{cohort}:/bids:ro"]
    words += ["-v", f"{out}:/out", image, "/bids", "/out"]
    for level in ("participant", "group"):
        done = _run(*words, level)
        assert done.returncode == 0, done.stderr
    owners = {path.stat().st_uid for path in out.rglob("*")}
    assert owners == {1234}
    assert "ses-02" in (out / "group" / "volumes.tsv").read_text()


def test_the_wrapper_runs_it_and_returns_its_exit_code(
    image: str, cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-m", "bids_app.wrappers.docker", str(cohort), str(out)]
    words += ["participant", "--image", image, "--participant-label"]
    done = _run(*words, "01", "--session-label", "01", "--mem", "4G")
    assert done.returncode == 0, done.stderr
    assert "RUNNING: docker run --rm --read-only" in done.stderr
    assert {path.stat().st_uid for path in out.rglob("*")} == {os.getuid()}
    assert "thalbids:test" in (out / "dataset_description.json").read_text()
    assert _run(*words, "nobody").returncode == 18


@pytest.fixture
def scheduler() -> None:
    if shutil.which("sbatch") is None or _run("sinfo", "--noheader", timeout=60).returncode != 0:
        pytest.skip("no SLURM scheduler answers")


@pytest.mark.usefixtures("scheduler")
def test_a_job_array_with_accidents_ends_like_an_undisturbed_run(
    cohort: Path, tmp_path: Path
) -> None:
    out, plain = tmp_path / "out", tmp_path / "plain"
    words = [sys.executable, "-m", "bids_app.wrappers.slurm", str(cohort), str(out), "--cpus", "1"]
    if os.environ.get("THALBIDS_SIF"):
        words += ["--image", os.environ["THALBIDS_SIF"]]

    # Both tasks have too little memory.
    done = _run(*words, "--submit", "--task-mem", "100")
    assert done.returncode == 0, done.stderr
    told = _wait_for_the_end(words)
    assert told.count("failed: killed for memory") == 2

    # One is cancelled, the other comes to the end of its time.
    done = _run(*words, "--resubmit", "--task-mem", "2000")
    assert done.returncode == 0, done.stderr
    job = done.stdout.split("Submitted: ")[1].split()[0]
    _wait_until(lambda: _run("squeue", "-h", "-r", "-j", job, "-t", "R").stdout.count("\n") == 2)
    assert _run("scancel", f"{job}_0").returncode == 0
    assert _run("scontrol", "update", f"JobId={job}_1", "TimeLimit=1").returncode == 0
    told = _wait_for_the_end(words)
    assert "sub-01_ses-01 failed: cancelled" in told
    if "sub-01_ses-02" in told:  # else it was quicker than the scheduler
        assert "sub-01_ses-02 failed: stopped at its time limit" in told

    done = _run(*words, "--resubmit", "--task-mem", "2000")
    assert done.returncode == 0, done.stderr
    assert "2 sessions: 2 done" in _wait_for_the_end(words)
    _wait_until(lambda: (out / "group.html").exists() and not _queued())

    command = [sys.executable, "-m", "bids_app", str(cohort), str(plain), "participant", "group"]
    assert _run(*command).returncode == 0
    assert _results(out) == _results(plain)


def _queued() -> str:
    return _run("squeue", "-h", "--me").stdout


def _wait_for_the_end(words: list[str]) -> str:
    """Wait until nothing is queued, and say what became of the sessions."""
    _wait_until(lambda: not _queued())
    return _run(*words, "--status").stdout


def _wait_until(reached: Callable[[], bool]) -> None:
    for _ in range(1200):
        if reached():
            return
        time.sleep(0.5)
    pytest.fail("the scheduler did not come to an end in ten minutes")
