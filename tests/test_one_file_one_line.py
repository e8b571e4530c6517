"""A built-in method and a contrast, each added to a copy of the package by a file or a line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import describe, save_image
from tests.tools.heads import head

ROOT = Path(__file__).resolve().parents[1]

METHOD = '''
"""halves: a method that exists in this test only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bids_app.images.volume import Volume
from bids_app.segmentation.method import BuiltInMethod
from bids_app.segmentation.result import Segmentation


def segment(images: Mapping[str, Volume], threads: int) -> Segmentation:
    """Label two bright halves."""
    image = next(iter(images.values()))
    dseg = np.where(image.data == 700, 1, np.where(image.data == 800, 2, 0)).astype(np.uint8)
    probseg = np.stack([dseg == 1, dseg == 2], -1).astype(np.float32)
    volumes = probseg.sum((0, 1, 2), dtype=np.float64) * image.voxel_volume
    brain = (image.data > 0).astype(np.uint8)
    return Segmentation(dseg=dseg, soft_volumes=volumes, probseg=probseg, brain_mask=brain)


METHOD = BuiltInMethod(
    name="halves",
    title="halves",
    segment=segment,
    seconds=500.0,
    sentence="The method halves segmented the thalami in a test.",
    citations=("billot2023",),
)
'''
METHOD_LINE = '    "atlas",\n'
# A contrast that exists in this test only.
CONTRAST = 'Contrast(suffix="PDw", role=Role.OTHER, channel="T2w", alignment=("rigid", "ants"))'

# thalbids in one process, with intensities in the place of the network.
THALBIDS = """
import sys
import pytest
from bids_app.cli import main
from tests.conftest import replace_thalnet
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
patch = pytest.MonkeyPatch()
replace_thalnet(patch, by_intensity)
patch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one more method and contrast, and a dataset with that contrast."""
    folder = tmp_path_factory.mktemp("scratch")
    copy = folder / "bids_app"
    shutil.copytree(ROOT / "bids_app", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "segmentation" / "halves.py").write_text(METHOD.lstrip())
    _insert(copy / "segmentation" / "methods.py", METHOD_LINE, '    "halves",\n')
    text = (copy / "contrasts.py").read_text()
    end = text.index("\n)\n", text.index("_TABLE = (")) + 1
    (copy / "contrasts.py").write_text(f"{text[:end]}    {CONTRAST},\n{text[end:]}")
    (folder / "thalbids.py").write_text(THALBIDS)
    image = head()
    anat = describe(folder / "bids") / "sub-01" / "anat"
    for contrast in ("T1w", "PDw"):
        save_image(anat / f"sub-01_{contrast}.nii.gz", np.asarray(image.data), image.affine)
    return folder


def _insert(path: Path, after: str, line: str) -> None:
    text = path.read_text()
    assert text.count(after) == 1
    path.write_text(text.replace(after, after + line))


def _thalbids(scratch: Path, *words: str) -> str:
    """Run the copy and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(scratch / "thalbids.py"), *words],
        cwd=scratch,
        env={**os.environ, "PYTHONPATH": f"{scratch}{os.pathsep}{ROOT}", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_built_in_method_is_offered_and_planned(scratch: Path) -> None:
    assert "{thalnet,atlas,halves," in _thalbids(scratch, "--help")
    words = (str(scratch / "bids"), str(scratch / "plan"), "participant", "--dry-run")
    alone = _thalbids(scratch, *words).splitlines()[1].split()
    row = _thalbids(scratch, *words, "--methods", "halves").splitlines()[1].split()
    assert row[2:4] == ["thalnet", "halves"]
    # One T1w and one PDw.
    assert int(row[4]) == pytest.approx(int(alone[3]) + 2 * 500, abs=2)


def test_both_are_measured_and_described(scratch: Path) -> None:
    out = scratch / "out"
    _thalbids(scratch, str(scratch / "bids"), str(out), "participant", "--methods", "halves")
    table = pd.read_csv(out / "sub-01" / "anat" / "sub-01_desc-thalamus_volumes.tsv", sep="\t")
    measured = set(zip(table["method"], table["contrast"], strict=True))
    contrasts = {"T1w", "PDw", "T1wPDw"}
    assert {("halves", name) for name in contrasts} <= measured
    assert {("thalnet", name) for name in contrasts} <= measured
    aligned = out / "sub-01" / "anat" / "sub-01_space-T1w_desc-preproc_PDw.json"
    assert json.loads(aligned.read_text())["Strategy"] in ("mutual information", "ANTs defaults")
    page = (out / "sub-01.html").read_text()
    for text in ("halves on PDw", "The method halves segmented", "Billot B"):
        assert text in page
    assert "The method halves segmented" in (out / "CITATION.md").read_text()


def test_filters_reach_the_contrast(scratch: Path, tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    path.write_text('{"pdw": {"acquisition": "other"}}')
    words = (str(scratch / "bids"), str(tmp_path / "out"), "participant", "--bids-filter-file")
    plan = _thalbids(scratch, *words, str(path), "--dry-run").splitlines()[1].split()
    without = int(plan[3])
    plan = _thalbids(scratch, *words[:-1], "--dry-run").splitlines()[1].split()
    assert int(plan[3]) > without
