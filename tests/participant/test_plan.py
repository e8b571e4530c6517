"""Planning copes with whatever the run itself copes with."""

from __future__ import annotations

import gzip
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bids_app.cli import main
from bids_app.launch.slurm import main as slurm_main
from tests.conftest import describe, save_image

# The slowest of the public examples takes 1.5 s of a processor, with the import of pybids.
_MOST_SECONDS = 3.0
_EXAMPLES = 108


def _changed(offset: int, layout: str, *values: object) -> Callable[[bytes], bytes]:
    """Overwrite fields of a header."""

    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        struct.pack_into(layout, changed, offset, *values)
        return bytes(changed)

    return change


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut header": lambda content: content[:200],
    "text": lambda _: b"version https://git-lfs.github.com/spec/v1\n",
    "datatype": _changed(70, "<h", 9999),
    "vox_offset": _changed(108, "<f", float("inf")),
    "vox_offset NaN": _changed(108, "<f", float("nan")),
    "magic": _changed(344, "4s", b"xyz\0"),
    "negative": _changed(40, "<8h", 3, -16, 18, 20, 1, 1, 1, 1),
    "enormous": _changed(40, "<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1),
    "dimensions": _changed(40, "<h", 77),
    "extension": _changed(348, "<4Bii", 1, 0, 0, 0, -16, 99),
    "slope": _changed(112, "<f", 1e34),
    "affine": _changed(254, "<hh12f", 9, 9, *[float("nan")] * 12),
}


@pytest.fixture
def bids(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = describe(tmp_path / "bids")
    save_image(folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz", noise)
    return folder


def _damage(bids: Path, label: str, content: bytes, extension: str) -> Path:
    path = bids / f"sub-{label}" / "anat" / f"sub-{label}_T1w.{extension}"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("extension", ["nii", "nii.gz"])
def test_a_plan_goes_on_where_headers_cannot_be_read(
    bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extension: str
) -> None:
    sound = gzip.decompress((bids / "sub-01/anat/sub-01_T1w.nii.gz").read_bytes())
    for number, damage in enumerate(DAMAGES.values()):
        content = damage(sound)
        if extension == "nii.gz":
            content = gzip.compress(content)
        _damage(bids, f"d{number}", content, extension)
    _damage(bids, "nogzip", b"\x1f\x8b\x08\x00broken", "nii.gz")
    _damage(bids, "zero", b"", "nii.gz")
    (bids / "sub-link" / "anat").mkdir(parents=True)
    (bids / "sub-link" / "anat" / "sub-link_T1w.nii.gz").symlink_to("annex/objects/absent")
    assert main([str(bids), str(tmp_path / "out"), "participant", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert f"{len(DAMAGES) + 4} sessions" in shown.out
    assert shown.err == ""
    assert slurm_main([str(bids), str(tmp_path / "out")]) == 0
    assert f"{len(DAMAGES) + 4} sessions" in capsys.readouterr().out
    script = next((tmp_path / "out").rglob("participant.sh")).read_text()
    memory = next(line for line in script.splitlines() if "--mem=" in line)
    assert int(memory.split("=")[1].rstrip("M")) < 4000


def test_a_pipe_is_not_waited_for(bids: Path, tmp_path: Path) -> None:
    (bids / "sub-pipe" / "anat").mkdir(parents=True)
    os.mkfifo(bids / "sub-pipe" / "anat" / "sub-pipe_T1w.nii")
    assert main([str(bids), str(tmp_path / "out"), "participant", "--dry-run"]) == 0


def test_every_public_example_is_planned_in_seconds(
    shared_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets = sorted(path for path in shared_data("bids-examples").iterdir() if path.is_dir())
    slow = {}
    for folder in datasets:
        began = time.process_time()
        code = main([str(folder), str(tmp_path / "out"), "participant", "--dry-run"])
        seconds = time.process_time() - began
        error = capsys.readouterr().err
        assert code in (0, 66), f"{folder.name}: {error}"
        assert code == 0 or "has no subject" in error
        if seconds > _MOST_SECONDS:
            slow[folder.name] = seconds
    assert len(datasets) == _EXAMPLES
    assert not slow
