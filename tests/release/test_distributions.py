"""Wheel and source distribution: what they hold, and that the wheel runs."""

from __future__ import annotations

import json
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import describe, run_command, save_image
from tests.release.conftest import Tool
from tests.release.licences import REPOSITORY

_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


@pytest.fixture(scope="module")
def distributions(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built from an archive of the repository: without Git, hence without tags."""
    source = tmp_path_factory.mktemp("source")
    listed = run_command("git", "ls-files", "-z", folder=REPOSITORY)
    if listed.returncode != 0:
        pytest.skip("this is no clone of the repository")
    for name in listed.stdout.rstrip("\0").split("\0"):
        if name in _FILES or name.startswith("bids_app/"):
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((REPOSITORY / name).read_bytes())
    folder = tmp_path_factory.mktemp("dist")
    # The wheel is built from the source distribution, which is thereby complete.
    tool("pyproject-build", "--outdir", folder, source)
    return folder


def test_the_distributions_are_as_indexes_want_them(tool: Tool, distributions: Path) -> None:
    files = sorted(distributions.iterdir())
    assert [path.suffix for path in files] == [".whl", ".gz"]
    assert tool("twine", "check", "--strict", *files).count("PASSED") == 2
    tool("check-wheel-contents", files[0])


def test_both_hold_licence_weights_and_version(distributions: Path) -> None:
    (wheel,), (source,) = distributions.glob("*.whl"), distributions.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        version = file.read("bids_app/assets/version.txt").decode().strip()
    assert f"thalbids-{version}-" in wheel.name
    assert {name.partition("/")[0] for name in names} == {
        "bids_app",
        f"thalbids-{version}.dist-info",
    }
    weights = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "bids_app" / "assets").rglob("*.onnx")
    }
    assert weights
    with tarfile.open(source) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    for held in (names, sources):
        assert {*weights, "bids_app/py.typed"} <= held
        for licence in ("LICENSE", "NOTICE"):
            assert any(name.endswith(licence) for name in held)


def test_the_wheel_runs_in_an_environment_of_its_own(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    environment, out = tmp_path / "environment", tmp_path / "out"

    def run(*words: str | Path) -> str:
        done = run_command(*words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "-q", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # Dependencies are those of the tests; a path in such a file brings no editable installation.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    version = run(environment / "bin" / "thalbids", "--version")
    assert version == f"thalbids {wheel.name.split('-')[1]}\n"
    imported = run(python, "-c", "import bids_app; print(bids_app.__file__)")
    assert Path(imported.strip()).is_relative_to(environment)

    bids = describe(tmp_path / "bids")
    anat = bids / "sub-01" / "anat"
    save_image(anat / "sub-01_T1w.nii.gz", _blob())
    run_command(environment / "bin" / "thalbids", bids, out, "participant", folder=tmp_path)
    (record,) = (out / "logs").glob("sub-01*.json")
    # A ball is no head. That it was found to be none is the work of both networks.
    assert "brain volume" in json.loads(record.read_text())["reason"]


def _blob() -> np.ndarray:
    """A smooth ball, (48, 48, 48) int16."""
    axes = np.ogrid[-1:1:48j, -1:1:48j, -1:1:48j]
    distance = np.sqrt(sum(axis**2 for axis in axes))
    return (1000 / (1 + np.exp(20 * (distance - 0.6)))).astype(np.int16)
