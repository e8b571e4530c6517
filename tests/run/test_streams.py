"""Commands whose output nobody reads any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import describe, save_image

_REPOSITORY = Path(__file__).resolve().parents[2]
_COMMAND = f"{sys.executable} -m bids_app"


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder = describe(tmp_path / "bids")
    for label in ("01", "02"):
        path = folder / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"
        save_image(path, np.ones((9, 9, 9), dtype=np.uint8))
    return folder


def _shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, cwd=_REPOSITORY
    )


@pytest.mark.parametrize("stream", [1, 2])
def test_a_run_goes_on_without_its_reader(bids: Path, stream: int) -> None:
    out = bids.parent / "out"
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-m", "bids_app", str(bids), str(out), "participant"],
        stdout=writing if stream == 1 else subprocess.PIPE,
        stderr=writing if stream == 2 else subprocess.PIPE,
        check=False,
        cwd=_REPOSITORY,
    )
    os.close(writing)
    # Both scans are refused and recorded.
    assert run.returncode == 65
    assert (out / "logs" / "sessions.tsv").read_text().count("is constant") == 2
    assert b"Traceback" not in (run.stdout or run.stderr or b"")


def test_a_plan_is_cut_short_without_a_complaint(bids: Path) -> None:
    words = f"{bids} {bids.parent / 'out'} participant --dry-run"
    run = _shell(f"({_COMMAND} {words}; echo code $? >&2) | true")
    assert run.stderr.endswith("code 0\n")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_never_taken_by_files(bids: Path, closed: str) -> None:
    out = bids.parent / "out"
    run = _shell(f"{_COMMAND} {bids} {out} participant {closed}")
    assert run.returncode == 65
    assert (out / "logs" / "sessions.tsv").read_text().count("is constant") == 2
    assert "Traceback" not in run.stderr
