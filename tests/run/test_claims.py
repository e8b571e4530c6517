"""Two runs on one output folder share the sessions out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bids_app.dataset.staging import PARTIAL
from bids_app.errors import CannotCreateError
from bids_app.run import claims
from bids_app.run.claims import Claims

_HOLDER = (
    "import sys, time; from pathlib import Path; from bids_app.run.claims import Claims\n"
    "print(Claims(Path(sys.argv[1])).take('sub-1'), flush=True); time.sleep(60)"
)


def _hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that has claimed sub-1."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_claim_excludes_others_until_it_is_given_back(tmp_path: Path) -> None:
    mine, other = Claims(tmp_path), Claims(tmp_path)
    assert mine.take("sub-1")
    assert not other.take("sub-1")
    assert other.take("sub-2")
    mine.give_back("sub-1")
    assert other.take("sub-1")
    other.give_all_back()
    assert list(tmp_path.iterdir()) == []


def test_the_claim_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    process = _hold(tmp_path)
    mine = Claims(tmp_path)
    assert not mine.take("sub-1")
    os.kill(process.pid, signal.SIGKILL)
    # Not waited for: a zombie counts as dead.
    for _ in range(100):
        if mine.take("sub-1"):
            break
        signal.sigtimedwait([], 0.05)
    else:
        pytest.fail("a dead process kept its claim")
    process.wait()


def test_a_claim_of_another_machine_lives_as_long_as_it_is_refreshed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    path = tmp_path / PARTIAL / "sub-1.claim"
    path.parent.mkdir()
    path.write_text("elsewhere 1 1")
    # Its clock may be years away from this one's.
    os.utime(path, (5.0, 5.0))
    mine = Claims(tmp_path)
    assert not mine.take("sub-1")
    now += claims.PATIENCE - 1
    assert not mine.take("sub-1")
    os.utime(path, (4.0, 4.0))  # set back, but a sign of life
    assert not mine.take("sub-1")
    now += claims.PATIENCE - 1
    assert not mine.take("sub-1")
    staging = path.parent / "sub-1@elsewhere@2@abc"
    staging.mkdir()
    now += 2
    assert mine.take("sub-1")
    assert not staging.exists()


def test_a_claim_is_refreshed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    mine = Claims(tmp_path)
    mine.take("sub-1")
    path = tmp_path / PARTIAL / "sub-1.claim"
    os.utime(path, (1.0, 1.0))
    mine.beat()
    assert path.stat().st_mtime == 1.0
    now += claims.BEAT
    mine.beat()
    assert path.stat().st_mtime > 1.0


def test_an_output_folder_that_disappeared_is_not_created_again(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(CannotCreateError, match="disappeared during the run"):
        Claims(gone).take("sub-1")
    assert not gone.exists()
