"""The images and the job array on real engines and a real scheduler, where there are some.

These tests take what is on the PATH and at DOCKER_HOST, and say why they are skipped if that is not
enough. THALBIDS_BASE is the base image where the usual one cannot be had, for Apptainer with its
registry (``127.0.0.1:5000/library/python:3.11-slim-bookworm``); THALBIDS_SIF names an Apptainer
image that has been built already. The job array runs in that image, without Apptainer in this
environment, and under user 1000 if the tests run as root and that user can run thalbids.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.make_demo_cohort import make_cohort
from tests.conftest import can_run_as, run_command
from tests.tools.test_stand_in_images import build_image

_REPOSITORY = Path(__file__).resolve().parents[1]
_IMAGE = "thalbids:test"
_BASE = os.environ.get("THALBIDS_BASE", "python:3.11-slim-bookworm")
_LARGEST_IMAGE_GB = 0.7
_USER = 1000
_SOURCES = ("requirements.lock", "pyproject.toml", "README.md", "LICENSE", "NOTICE")


def _run(
    *words: str, timeout: float = 1800, user: int | None = None, folder: Path = _REPOSITORY
) -> subprocess.CompletedProcess[str]:
    return run_command(*words, folder=folder, user=user, timeout=timeout)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "bids"
    make_cohort(folder, subjects=1, seed=1, voxel_size=2.0)
    return folder


@pytest.fixture(scope="module")
def image() -> str:
    if shutil.which("docker") is None or _run("docker", "info", timeout=60).returncode != 0:
        pytest.skip("no Docker engine answers")
    if _run("docker", "image", "inspect", _BASE).returncode != 0:
        pulled = _run("docker", "pull", "--quiet", _BASE, timeout=300)
        if pulled.returncode != 0:
            pytest.skip(f"the base image {_BASE} is not here and cannot be pulled")
    words = ["--network", "host", "--build-arg", f"BASE={_BASE}", "-t", _IMAGE]
    built = _run("docker", "build", *words, str(_REPOSITORY))
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


def test_the_launcher_runs_it_and_returns_its_exit_code(
    image: str, cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-m", "bids_app.launch.docker", str(cohort), str(out)]
    words += ["participant", "--image", image, "--participant-label"]
    done = _run(*words, "01", "--session-label", "01", "--mem", "4G")
    assert done.returncode == 0, done.stderr
    assert "RUNNING: docker run --rm --read-only" in done.stderr
    assert {path.stat().st_uid for path in out.rglob("*")} == {os.getuid()}
    assert "thalbids:test" in (out / "dataset_description.json").read_text()
    assert _run(*words, "nobody").returncode == 18


def test_the_launcher_forwards_signals(image: str, cohort: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bids_app.launch.docker", str(cohort), str(tmp_path / "out")]
    process = subprocess.Popen(
        [*words, "participant", "--image", image, "--session-label", "01", "-v"],
        cwd=_REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "segment T1w" in line:
            process.send_signal(signal.SIGTERM)
            break
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert "stopped by a signal" in errors
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


def test_the_launcher_takes_the_code_of_a_developer(
    image: str, cohort: Path, tmp_path: Path
) -> None:
    package = tmp_path / "bids_app"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_REPOSITORY / "bids_app", package, ignore=ignored)
    (package / "cli.py").write_text("def main(): print('patched')\n")
    words = [sys.executable, "-m", "bids_app.launch.docker", str(cohort), str(tmp_path / "out")]
    done = _run(*words, "participant", "--image", image, "--patch", str(package))
    assert (done.returncode, done.stdout) == (0, "patched\n"), done.stderr


def test_another_programs_image_runs_beside_the_container(
    image: str, cohort: Path, tmp_path: Path
) -> None:
    program = build_image("first")
    out, work = tmp_path / "out", tmp_path / "work"
    words = [sys.executable, "-m", "bids_app.launch.docker", str(cohort), str(out)]
    words += ["participant", "--image", image, "--session-label", "01", "--methods", "first"]
    done = _run(*words, "--tool-image", f"first={program}", "--work-dir", str(work))
    assert done.returncode == 0, done.stderr
    assert "has access to the Docker socket" in done.stderr
    # The stand-in knows other intensities as thalami; it did read this scan and write labels.
    table = (out / "logs" / "sessions.tsv").read_text()
    assert "T1w gives no mask by first: it contains no left thalamus" in table


@pytest.fixture(scope="module")
def sif(public_folder: Callable[[], Path]) -> Path | None:
    """An Apptainer image of this repository; None where there is no Apptainer."""
    if os.environ.get("THALBIDS_SIF"):
        return Path(os.environ["THALBIDS_SIF"])
    if shutil.which("apptainer") is None:
        return None
    folder = public_folder()
    # Apptainer may itself run where the temporary folder is seen and the repository is not.
    for name in ("singularity.def", *_SOURCES):
        shutil.copy(_REPOSITORY / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("bids_app", "container"):
        shutil.copytree(_REPOSITORY / name, folder / name, ignore=ignored)
    words = ["apptainer", "build", "--mksquashfs-args", "-comp zstd -Xcompression-level 3"]
    words += ["--no-https"] if _BASE.startswith("127.0.0.1") else []
    path = folder / "thalbids.sif"
    words += ["--build-arg", f"BASE={_BASE}", str(path), "singularity.def"]
    built = _run(*words, folder=folder)
    if "conveyor failed to get" in built.stderr:
        return None
    assert built.returncode == 0, built.stderr[-3000:]
    return path


def test_the_apptainer_image_has_passed_its_own_test(sif: Path | None) -> None:
    if sif is None:
        pytest.skip("there is no Apptainer, or it cannot get the base image")
    tested = _run("apptainer", "test", str(sif))
    assert tested.returncode == 0, tested.stderr
    assert "thalbids" in _run("apptainer", "run-help", str(sif)).stdout


def test_containers_of_one_host_leave_each_others_work_alone(
    sif: Path | None, cohort: Path, tmp_path: Path
) -> None:
    """They share the host's name, and see only their own processes."""
    if sif is None:
        pytest.skip("there is no Apptainer, or it cannot get the base image")
    out = tmp_path / "out"
    out.mkdir()
    words = ["apptainer", "run", "--containall", "--no-home", f"--bind={cohort}:{cohort}:ro"]
    words += [f"--bind={out}:{out}", str(sif), str(cohort), str(out), "participant"]
    first = subprocess.Popen([*words, "--session-label", "01"], stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: any((out / ".partial").glob("*@*/**/*.nii.gz")))
    second = _run(*words, "--session-label", "02")
    _, errors = first.communicate(timeout=600)
    assert (first.returncode, second.returncode) == (0, 0), errors + second.stderr


@pytest.fixture
def scheduler() -> None:
    if shutil.which("sbatch") is None or _run("sinfo", "--noheader", timeout=60).returncode != 0:
        pytest.skip("no SLURM scheduler answers")


@pytest.mark.usefixtures("scheduler")
def test_a_job_array_with_accidents_ends_like_an_undisturbed_run(
    sif: Path | None, public_folder: Callable[[], Path]
) -> None:
    folder = public_folder()
    cohort, out, plain = folder / "bids", folder / "out", folder / "plain"
    make_cohort(cohort, subjects=1, seed=1, voxel_size=2.0)
    user = _USER if os.getuid() == 0 and can_run_as(_USER, _REPOSITORY) else None
    if user is not None:
        os.chown(folder, user, user)

    def slurm(*more: str) -> str:
        words = [sys.executable, "-m", "bids_app.launch.slurm", str(cohort), str(out)]
        words += ["--cpus", "1"] + ([] if sif is None else ["--image", str(sif)])
        done = _run(*words, *more, user=user)
        assert done.returncode == (1 if "failed" in done.stdout else 0), done.stderr
        return done.stdout

    # Both tasks have too little memory.
    slurm("--submit", "--task-mem", "100")
    _wait_until(lambda: not _queued())
    assert slurm("--status").count("failed: killed, out of memory") == 2

    # One is cancelled; the other hangs until its time is up.
    job = slurm("--resubmit", "--task-mem", "2000").split("Submitted: ")[1].split()[0]
    _wait_until(lambda: _run("squeue", "-h", "-r", "-j", job, "-t", "R").stdout.count("\n") == 2)
    assert _run("scancel", f"{job}_0").returncode == 0
    assert _run("scancel", "--full", "--signal=STOP", f"{job}_1").returncode == 0
    # Only an administrator may change the time of a job that runs; others wait for its end.
    limited = _run("scontrol", "update", f"JobId={job}_1", "TimeLimit=1")
    assert limited.returncode == 0, limited.stderr
    _wait_until(lambda: not _queued())
    told = slurm("--status")
    assert "sub-01_ses-01 failed: cancelled" in told
    assert "sub-01_ses-02 failed: stopped at its time limit" in told

    slurm("--resubmit", "--task-mem", "2000")
    _wait_until(lambda: not _queued())
    assert "2 sessions: 2 done" in slurm("--status")
    assert (out / "group.html").exists()
    if user is not None:
        assert {path.stat().st_uid for path in out.rglob("*")} == {user}

    command = [sys.executable, "-m", "bids_app", str(cohort), str(plain), "participant", "group"]
    assert _run(*command).returncode == 0
    assert _results(out) == _results(plain)


def _queued() -> str:
    """What the scheduler has of thalbids, whoever submitted it."""
    return _run("squeue", "-h", "--name=thalbids,thalbids-group").stdout


def _wait_until(reached: Callable[[], bool]) -> None:
    for _ in range(1200):
        if reached():
            return
        time.sleep(0.5)
    pytest.fail("the scheduler did not come to an end in ten minutes")
