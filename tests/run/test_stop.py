"""Runs that are stopped by a signal, killed, or started twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.owners import machine
from bids_app.dataset.staging import PARTIAL
from tests.conftest import describe, save_image

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder = describe(tmp_path / "bids")
    for subject in ("1", "2", "3"):
        path = folder / f"sub-{subject}" / "anat" / f"sub-{subject}_T1w.nii.gz"
        save_image(path, np.ones((4, 4, 4), dtype=np.uint8))
    (folder / "slow").touch()
    return folder


def _start(bids: Path) -> subprocess.Popen[str]:
    """Start both stages' program with sessions of half a second; sub-2 blocks."""
    words = [str(bids), str(bids.parent / "out"), "participant", "--nprocs", "2", "--mem", "8G"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.run.endless", *words],
        cwd=_REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_until_only_sub_2_runs(out: Path) -> None:
    for _ in range(1200):
        records = {path.stem for path in (out / "logs").glob("sub-*.json")}
        if records == {"sub-1", "sub-3"} and list((out / PARTIAL).glob("sub-2@*/*.txt")):
            return
        time.sleep(0.1)
    pytest.fail("the sessions did not start")


def _finish(bids: Path) -> None:
    """Start again without the block, and find everything in order."""
    (bids / "slow").unlink()
    process = _start(bids)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    out = bids.parent / "out"
    for subject in (1, 2, 3):
        for part in (1, 2):
            assert (out / f"sub-{subject}_{part}.txt").read_text() == "whole"
    assert "sub-1: nothing to do" in errors
    assert not list(out.rglob("*.partial*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_told_to_stop(bids: Path, number: signal.Signals) -> None:
    out = bids.parent / "out"
    process = _start(bids)
    _wait_until_only_sub_2_runs(out)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "stopped by a signal" in errors
    assert "Traceback" not in errors
    # What is finished is kept and listed; of what is not, nothing is left.
    assert "sub-1\tdone" in (out / "logs" / "sessions.tsv").read_text()
    assert not (out / PARTIAL).exists()
    assert not list(out.glob("sub-2*"))
    _finish(bids)


def test_killed(bids: Path) -> None:
    out = bids.parent / "out"
    process = _start(bids)
    _wait_until_only_sub_2_runs(out)
    (owner,) = (int(path.name.split("@")[2]) for path in (out / PARTIAL).glob("sub-2@*"))
    process.kill()
    process.communicate()
    # The kernel takes the sessions with it.
    for _ in range(100):
        if not Path(f"/proc/{owner}").exists():
            break
        time.sleep(0.1)
    else:
        pytest.fail("a session outlived its run")
    assert not list(out.glob("sub-2*"))
    _finish(bids)


def test_two_runs_at_once_share_the_work(bids: Path) -> None:
    (bids / "slow").unlink()
    runs = [_start(bids), _start(bids)]
    ends = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends
    worked = (bids / "work.log").read_text().split()
    assert sorted(worked) == ["sub-1", "sub-2", "sub-3"]
    assert not list((bids.parent / "out").rglob("*.partial*"))


def test_an_output_folder_that_vanishes_ends_the_run_with_a_sentence(bids: Path) -> None:
    out = bids.parent / "out"
    process = _start(bids)
    _wait_until_only_sub_2_runs(out)
    (owner,) = (int(path.name.split("@")[2]) for path in (out / PARTIAL).glob("sub-2@*"))
    shutil.rmtree(out)
    os.kill(owner, signal.SIGKILL)  # its record cannot be written any more
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 73, errors
    assert "disappeared" in errors
    assert "Traceback" not in errors
    assert not out.exists()


@pytest.fixture
def disk(bids: Path) -> Iterator[Path]:
    """The output folder as a filesystem of its own, of 1 MB."""
    out = bids.parent / "out"
    out.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(out)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a filesystem needs root: {mounted.stderr.strip()}")
    try:
        yield out
    finally:
        subprocess.run(["umount", str(out)], check=True)


@pytest.mark.parametrize("trouble", ["No space left", "file system is read-only"])
def test_an_output_that_fills_up_or_becomes_read_only_is_reported_and_the_run_resumed(
    bids: Path, disk: Path, trouble: str
) -> None:
    process = _start(bids)
    _wait_until_only_sub_2_runs(disk)
    (owner,) = (int(path.name.split("@")[2]) for path in (disk / PARTIAL).glob("sub-2@*"))
    filler = disk / "filler"
    if trouble == "file system is read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    else:
        with pytest.raises(OSError, match=trouble), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"0" * 4096)
    os.kill(owner, signal.SIGKILL)  # its record cannot be written
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 73, errors
    assert trouble in errors
    assert "Traceback" not in errors
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    filler.unlink(missing_ok=True)
    _finish(bids)


def test_a_clock_that_was_set_back_changes_nothing(bids: Path) -> None:
    (bids / "slow").unlink()
    out = bids.parent / "out"
    assert _start(bids).wait(timeout=120) == 0
    left = out / PARTIAL / f"sub-1@{machine()}@4194999@abc"
    left.mkdir(parents=True)
    (out / "sub-3_2.txt").unlink()
    for path in out.rglob("*"):
        os.utime(path, (4e9, 4e9))  # in 2096
    process = _start(bids)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors.count("nothing to do") == 2
    assert (out / "sub-3_2.txt").read_text() == "whole"
    assert not left.exists()
