"""SAMSEG: run from an environment of its own on every contrast and on all at once, or read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.cli import main
from tests.conftest import describe, replace_thalnet, save_image
from tests.participant.test_longitudinal import _in_this_process
from tests.participant.test_programs import by_intensity
from tests.tools.heads import expected, head

ANAT = Path("sub-01", "anat")


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_thalnet(monkeypatch, by_intensity)
    monkeypatch.setattr("bids_app.participant.stage.run_sessions", _in_this_process)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """A T1w and a FLAIR of one head, in which brains differ as fluid-suppressed ones do."""
    folder = describe(tmp_path / "bids")
    t1w = head()
    texture = np.random.default_rng(0).integers(300, 500, t1w.data.shape).astype(np.int16)
    brain = t1w.data == 400
    for name, values in (("T1w", texture), ("FLAIR", 900 - texture)):
        data = np.where(brain, values, t1w.data)
        save_image(folder / ANAT / f"sub-01_{name}.nii.gz", data, t1w.affine)
    return folder


@pytest.fixture
def environment(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment with a stand-in that the PATH does not have."""
    folder = tmp_path / "samseg"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    shutil.move(programs / "run_samseg", folder / "bin" / "run_samseg")
    package = folder / "lib" / "python3.11" / "site-packages" / "samseg-0.4a0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: samseg\nVersion: 0.4a0\n")
    (package / "entry_points.txt").write_text("[console_scripts]\nrun_samseg = samseg:main\n")
    monkeypatch.setenv("PYTHONPATH", "/packages of thalbids")
    return folder


def _volumes(output: Path) -> pd.DataFrame:
    table = pd.read_csv(output / ANAT / "sub-01_desc-thalamus_volumes.tsv", sep="\t")
    return table[table["method"] == "samseg"].set_index("contrast")


def _words(bids: Path, output: Path, environment: Path) -> list[str]:
    words = [str(bids), str(output), "participant", "--flirt", "--methods", "samseg"]
    return [*words, "--tool-image", f"samseg=venv:{os.path.relpath(environment)}"]


def test_each_contrast_and_all_at_once_with_probabilities(
    bids: Path, environment: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    words = [*_words(bids, output, environment), "--ensembles", "mean"]
    assert main(words) == 0
    table = _volumes(output)
    assert list(table.index) == ["T1w", "FLAIR", "T1wFLAIRJoint", "T1wFLAIRMean"]
    for contrast in ("T1w", "FLAIR", "T1wFLAIRJoint"):
        stem = output / ANAT / f"sub-01_space-T1w_seg-thalamus_desc-samseg{contrast}"
        probabilities = np.asarray(nib.load(f"{stem}_probseg.nii.gz").dataobj)
        whole = expected(head())
        np.testing.assert_array_equal(probabilities[..., 0], whole == 1)
        np.testing.assert_array_equal(probabilities[..., 1], whole == 2)
        assert table.loc[contrast, "left_ml"] == pytest.approx(210 * 8 / 1000)
        assert table.loc[contrast, "left_soft_ml"] == pytest.approx(7.6011)
        assert table.loc[contrast, "icv_ml"] == pytest.approx(1573.720795)
        program = json.loads(Path(f"{stem}_dseg.json").read_text())["ExternalProgram"]
        assert (program["BackEnd"], program["Version"]) == ("venv", "samseg 0.4a0")
        command = program["Command"]
        assert command[0] == str(environment / "bin" / "run_samseg")
        # Its documentation asks for a class of the pallidum where not only T1w is given.
        assert ("--pallidum-separate" in command) == (contrast != "T1w")
        assert sum(word.endswith(".nii.gz") for word in command) == 1 + ("Joint" in contrast)
    page = (output / "sub-01.html").read_text()
    assert "Puonti" in page

    # Results of hours are kept, with their probabilities, although another method is added.
    (environment / "bin" / "run_samseg").write_text("#!/bin/sh\nexit 9\n")
    assert main([*words, "--methods", "samseg", "first"]) == 0
    pd.testing.assert_frame_equal(_volumes(output), table)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "was killed, probably out of"),
        ("import samseg_of_another_python", "No module named 'samseg_of_another_python'"),
        ("pass", "wrote no usable labels: there is no out/seg.mgz"),
    ],
)
def test_the_rest_goes_on_where_it_fails(
    bids: Path, environment: Path, tmp_path: Path, script: str, sentence: str
) -> None:
    program = environment / "bin" / "run_samseg"
    program.write_text(f"#!{sys.executable}\n{script}\n")
    (bids / ANAT / "sub-01_FLAIR.nii.gz").unlink()
    output = tmp_path / "out"
    assert main(_words(bids, output, environment)) == 0
    assert _volumes(output).empty
    (note,) = json.loads((output / "logs" / "sub-01.json").read_text())["warnings"]
    assert note.startswith("T1w gives no mask by samseg: ")
    assert sentence in note


def test_what_is_missing_is_told_before_any_work(
    bids: Path,
    environment: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # SAMSEG may be installed where the tests run.
    monkeypatch.setenv("PATH", "/nowhere")
    words = _words(bids, tmp_path / "out", environment)
    assert main(words[:-2]) == 66
    told = capfd.readouterr().err
    assert "samseg: run_samseg is not on the PATH" in told
    assert "SAMSEG is installed by 'pip install samseg', with Python 3.8 to 3.11." in told
    (environment / "pyvenv.cfg").write_text("version_info = 3.13.1.final.0\n")
    (environment / "bin" / "run_samseg").unlink()
    assert main(words) == 66
    told = capfd.readouterr().err
    assert f"{environment} (Python 3.13.1.final.0) has no run_samseg" in told
    assert "with Python 3.8 to 3.11" in told
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to(tmp_path / "gone")
    assert main(words) == 66
    assert "is no virtual environment that works: expected its interpreter" in (
        capfd.readouterr().err
    )
    assert not (tmp_path / "out").exists()
