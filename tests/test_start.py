"""The first moments of a command: what is imported, and what an interrupt does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import describe, save_image

_REPOSITORY = Path(__file__).resolve().parents[1]
_NAMES = ("argparse", "bids", "json", "multiprocessing", "numpy", "random", "signal", "tempfile")


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Let commands be interrupted also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working folder whose modules leave a file when they are imported."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in _NAMES:
        text = f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\nraise SystemExit(99)\n"
        (folder / f"{name}.py").write_text(text)
    return folder


def _run(folder: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{_REPOSITORY}{path}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("path", ["", os.pathsep])
def test_modules_in_the_working_folder_are_not_imported(
    hostile: Path, tmp_path: Path, path: str
) -> None:
    bids = describe(tmp_path / "bids")
    save_image(bids / "sub-01" / "anat" / "sub-01_T1w.nii.gz", np.ones((9, 9, 9), dtype=np.uint8))
    words = ("-m", "bids_app", str(bids), str(tmp_path / "out"), "participant")
    run = _run(hostile, *words, path=path)
    assert not (tmp_path / "imported").exists(), (tmp_path / "imported").read_text()
    # The process of the session reported it: it was started and did its work.
    assert "is constant" in run.stderr
    assert run.returncode == 65
    run = _run(hostile, *words[:4], "group", path=path)
    assert not (tmp_path / "imported").exists(), (tmp_path / "imported").read_text()
    assert "Traceback" not in run.stderr


def test_a_package_in_the_working_folder_is_found() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bids_app", "--version"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.startswith("thalbids ")


@pytest.mark.parametrize("moment", ["load", "command"])
def test_an_interrupt_while_modules_are_imported_is_one_sentence(
    tmp_path: Path, moment: str
) -> None:
    code = (
        "import os, signal, sys, time\n"
        "from bids_app.__main__ import _start\n"
        "def now():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "def load():\n"
        f"    {'now()' if moment == 'load' else 'pass'}\n"
        "    return now\n"
        "sys.exit(_start('thalbids', load))\n"
    )
    run = _run(tmp_path, "-c", code)
    assert run.returncode == 130
    assert run.stderr.startswith("thalbids: interrupted")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["thalbids", "thalbids_docker", "thalbids_slurm"])
def test_an_interrupt_in_the_first_moments_shows_no_traceback(tmp_path: Path, command: str) -> None:
    # As the script that pip installs, which says when Python has started.
    code = (
        "import sys\n"
        f"from bids_app.__main__ import {command}\n"
        "print('started', flush=True)\n"
        f"sys.argv[1:] = ['{tmp_path}', '{tmp_path / 'out'}', 'participant']\n"
        f"sys.exit({command}())\n"
    )
    for delay in (0.0, 0.005, 0.02):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert errors.startswith("thalbids")
        assert "interrupted" in errors
        assert errors.count("\n") == 1


def test_an_interrupt_of_the_whole_group_while_sessions_start(tmp_path: Path) -> None:
    bids = describe(tmp_path / "bids")
    for number in range(4):
        name = f"sub-{number}"
        save_image(bids / name / "anat" / f"{name}_T1w.nii.gz", np.ones((9, 9, 9), dtype=np.uint8))
    words = ["-m", "bids_app", str(bids), str(tmp_path / "out"), "participant", "-v"]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=_REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "start" in line:
            break
    time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "Traceback" not in rest
    assert "KeyboardInterrupt" not in rest
