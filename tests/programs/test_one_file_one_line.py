"""A program that is added by one file and one line, in a copy of the package."""

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
from tests.tools.heads import expected, head

ROOT = Path(__file__).resolve().parents[2]

DECLARATION = '''
"""Thalamometer: a program that exists in this test only."""

from __future__ import annotations

from pathlib import Path

from bids_app.programs.method import ExternalMethod, Job, LabelFiles, Weights
from bids_app.tools.call import Bind, Call


def _call(job: Job) -> Call:
    return Call(
        executable="thalamometer",
        arguments=(job.image, job.folder / "labels.nii.gz"),
        binds=(
            Bind(job.image.parent, "/thalbids/in"),
            Bind(job.folder, "/thalbids/out", writable=True),
        ),
        folder=job.folder,
        version_arguments=(),
    )


def _output(job: Job) -> Path:
    return job.folder / "labels.nii.gz"


THALAMOMETER = ExternalMethod(
    name="thalamometer",
    title="Thalamometer",
    executable="thalamometer",
    image="example/thalamometer:1",
    contrasts=None,
    labels={5: 1, 6: 2},
    layout=LabelFiles(endings=("_thalamometer",)),
    call=_call,
    output=_output,
    seconds=1000,
    memory_gib=5,
    sentence="Thalamometer (MIT) segmented the thalami in a test.",
    citations=("billot2023",),
    weights=Weights("its file of weights"),
)
'''

# Segments by the intensities of `tests.tools.heads.head`.
EXECUTABLE = f"""#!{sys.executable}
import sys
import nibabel as nib
import numpy as np
image = nib.load(sys.argv[1])
data = np.asarray(image.dataobj)
labels = np.where(data == 700, 5, np.where(data == 800, 6, 0)).astype(np.uint8)
nib.save(nib.Nifti1Image(labels, image.affine), sys.argv[2])
"""

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
    """A copy of the package with one more file and one more line, a dataset and the program."""
    folder = tmp_path_factory.mktemp("scratch")
    copy = folder / "bids_app"
    shutil.copytree(ROOT / "bids_app", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "programs" / "thalamometer.py").write_text(DECLARATION)
    registry = copy / "programs" / "registry.py"
    text = registry.read_text()
    line = '    "flirt:FLIRT",\n'
    assert text.count(line) == 1
    registry.write_text(text.replace(line, f'    "thalamometer:THALAMOMETER",\n{line}'))
    (folder / "thalbids.py").write_text(THALBIDS)
    executable = folder / "bin" / "thalamometer"
    executable.parent.mkdir()
    executable.write_text(EXECUTABLE)
    executable.chmod(0o755)
    image = head()
    save_image(
        describe(folder / "bids") / "sub-01" / "anat" / "sub-01_T1w.nii.gz",
        np.asarray(image.data),
        image.affine,
    )
    return folder


def thalbids(scratch: Path, *words: str, code: int = 0) -> str:
    """Run the copy and return what it prints."""
    done = subprocess.run(
        [sys.executable, str(scratch / "thalbids.py"), *words],
        cwd=scratch,
        env={
            **os.environ,
            "PYTHONPATH": f"{scratch}{os.pathsep}{ROOT}",
            "PATH": f"{scratch / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "500",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def words_for(scratch: Path, *more: str) -> list[str]:
    return [str(scratch / "bids"), str(scratch / "out"), "participant", *more]


def test_the_command_line_offers_it(scratch: Path) -> None:
    text = " ".join(thalbids(scratch, "--help").split())
    # In the order of --methods, -d, --tool-image and --tool-weights.
    for part in (
        "mindglide1,thalamometer}",
        "mindglide1, thalamometer, thomas) in its own layout",
        "mindglide1, thalamometer, flirt, siena)",
        "thalamometer: its file of weights",
    ):
        assert part in text
    methods = next(
        each
        for each in json.loads(thalbids(scratch, "--bids-exec-spec"))["inputs"]
        if each["id"] == "methods"
    )
    assert "thalamometer" in methods["value-choices"]


def test_the_plan_has_its_cost(scratch: Path) -> None:
    alone = thalbids(scratch, *words_for(scratch, "--dry-run")).splitlines()[1].split()
    plan = thalbids(scratch, *words_for(scratch, "--dry-run", "--methods", "thalamometer"))
    row = plan.splitlines()[1].split()
    assert row[2:4] == ["thalnet", "thalamometer"]
    assert int(row[4]) == pytest.approx(int(alone[3]) + 1000, abs=2)
    assert int(row[5]) == 5 * 1024


def test_a_missing_executable_is_reported_with_its_image(scratch: Path) -> None:
    words = words_for(scratch, "--methods", "thalamometer", "--tool-image", "thalamometer=none.sif")
    assert "thalamometer: " in thalbids(scratch, *words, code=66)


def test_it_is_run_measured_and_cited(scratch: Path) -> None:
    thalbids(scratch, *words_for(scratch, "--methods", "thalamometer"))
    anat = scratch / "out" / "sub-01" / "anat"
    volumes = pd.read_csv(anat / "sub-01_desc-thalamus_volumes.tsv", sep="\t")
    (row,) = volumes[volumes["method"] == "thalamometer"].to_dict("records")
    assert row["total_ml"] == pytest.approx(np.count_nonzero(expected(head())) * 8 / 1000)
    stem = "sub-01_space-T1w_seg-thalamus_desc-thalamometerT1w_dseg"
    sidecar = json.loads((anat / f"{stem}.json").read_text())
    assert sidecar["ExternalProgram"]["Name"] == "Thalamometer"
    stamp = json.loads((scratch / "out" / "logs" / "sub-01.json").read_text())["stamp"]
    assert stamp["parameters"]["image of thalamometer"] == "local"
    for name in ("CITATION.md", "sub-01.html"):
        text = (scratch / "out" / name).read_text()
        assert "Thalamometer (MIT) segmented the thalami in a test." in text

    # The same labels, as finished results in the layout that it declares.
    finished = scratch / "finished"
    finished.mkdir()
    shutil.copy(anat / f"{stem}.nii.gz", finished / "sub-01_T1w_thalamometer.nii.gz")
    plan = thalbids(scratch, *words_for(scratch, "--dry-run", "-d", f"thalamometer={finished}"))
    assert "thalamometer: 1 of 1 sessions" in plan
