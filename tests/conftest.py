"""Small datasets that the tests share."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings

from bids_app.images.volume import Volume
from bids_app.options import Folders, Level, Options
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation
from tests.tools import stand_ins

# A busy machine is no reason to fail; the number of examples is what bounds the time.
settings.register_profile("thalbids", deadline=None)
settings.load_profile("thalbids")

SHARED_DATA = Path(
    os.environ.get("THALBIDS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Give the folder of a real dataset, or skip: such data are not in the repository."""

    def folder(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.is_dir():
            pytest.skip(f"the real dataset {name} is not at {path} (set THALBIDS_DATA)")
        return path

    return folder


@pytest.fixture(scope="session")
def public_folder() -> Iterator[Callable[[], Path]]:
    """Makes folders that other users may look into; pytest's own are private."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="thalbids-")))
        made[-1].chmod(0o755)
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder)


def run_command(
    *words: str | Path, folder: Path, user: int | None = None, timeout: float = 1800
) -> subprocess.CompletedProcess[str]:
    """Run a command, as another user and without a home folder of its own if one is named."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=folder,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env=None if user is None else {**os.environ, "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def can_run_as(user: int, folder: Path) -> bool:
    """Whether another user can execute this interpreter and import the package from a folder."""
    try:
        words = (sys.executable, "-c", "import bids_app.cli")
        return run_command(*words, folder=folder, user=user).returncode == 0
    except PermissionError:
        return False


def options_of(bids: Path, out: Path, level: Level = "participant", **fields: object) -> Options:
    """Give the defaults of the command line, but for some fields, whatever their group."""
    return changed(Options(folders=Folders(bids, out), levels=(level,)), **fields)


def changed(options: Options, **fields: object) -> Options:
    """Change some fields of options, whatever their group."""
    for name, value in fields.items():
        (group,) = (
            each.name
            for each in dataclasses.fields(options)
            if hasattr(getattr(options, each.name), name)
        )
        options = dataclasses.replace(
            options, **{group: dataclasses.replace(getattr(options, group), **{name: value})}
        )
    return options


def save_image(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write an image, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), path)
    return path


def describe(folder: Path, **fields: object) -> Path:
    """Make a folder a BIDS dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {"Name": "test", "BIDSVersion": "1.10.0", **fields}
    (folder / "dataset_description.json").write_text(json.dumps(description))
    return folder


@pytest.fixture
def noise() -> np.ndarray:
    """An image of noise, (16, 18, 20) int16."""
    return np.random.default_rng(0).integers(1, 500, (16, 18, 20)).astype(np.int16)


def replace_thalnet(
    monkeypatch: pytest.MonkeyPatch, segment: Callable[[Mapping[str, Volume], int], Segmentation]
) -> None:
    """Let a function of images and threads segment in the place of the network."""

    def instead(
        images: Mapping[str, Volume],
        threads: int,
        *,
        flip_averaging: bool = True,
        alone: Segmentation | None = None,
    ) -> Segmentation:
        assert flip_averaging
        assert alone is None or alone.dseg.shape == next(iter(images.values())).data.shape
        return segment(images, threads)

    method = dataclasses.replace(thalnet.METHOD, segment=instead)
    monkeypatch.setattr("bids_app.segmentation.thalnet.METHOD", method)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every stand-in on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    text = Path(stand_ins.__file__).read_text(encoding="utf-8")
    for name in stand_ins.PROGRAMS:
        path = folder / name
        path.write_text(text.replace("#!/usr/bin/env python3", f"#!{sys.executable}", 1))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder
