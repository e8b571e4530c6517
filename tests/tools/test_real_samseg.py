"""SAMSEG itself on a whole head, from the command line to the table of volumes.

The head is reduced to 2 mm and the atlas is fitted on its coarse level only, which takes two
minutes instead of twenty. ``tests/tools/programs/install`` makes the environment.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_app.arguments.conversion import parse
from bids_app.cli import main
from bids_app.dataset.images import read_volume
from bids_app.images.volume import to_ras
from bids_app.programs.finished import find_finished, read_finished
from bids_app.programs.freesurfer import read_statistics
from bids_app.segmentation.result import ProbableThalami
from tests.conftest import describe, save_image
from tests.programs.results import session

_COARSE = {
    "optimizationOptions": {
        "multiResolutionSpecification": [
            {"targetDownsampledVoxelSpacing": 3.0, "maximumNumberOfIterations": 4}
        ]
    }
}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The environment of SAMSEG, whose program gets options of its own and keeps its results."""
    program = shutil.which("run_samseg")
    if program is None:
        pytest.skip("run_samseg is not on the PATH (tests/tools/programs/install makes it)")
    installed = Path(program).resolve().parents[1]
    folder = tmp_path / "samseg"
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").symlink_to(installed / "lib")
    (folder / "bin" / "python").symlink_to(installed / "bin" / "python")
    options = folder / "coarse.json"
    options.write_text(json.dumps(_COARSE))
    started = folder / "bin" / "run_samseg"
    started.write_text(
        f'#!/bin/sh -e\n"{installed}/bin/run_samseg" "$@" --options "{options}"\n'
        f'mkdir -p "{folder}/results/sub-crop"\n'
        f'cp -r samseg.fs.stats seg.mgz posteriors "{folder}/results/sub-crop"\n'
    )
    started.chmod(0o755)
    return folder


@pytest.fixture
def bids(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """One T1w of 2 mm, each voxel the mean of eight."""
    path = shared_data("whole-head") / "sub-crop" / "anat" / "sub-crop_T1w.nii.gz"
    image = nib.as_closest_canonical(nib.load(path))
    data = np.asarray(image.dataobj, dtype=np.float32)
    x, y, z = (size // 2 for size in data.shape)
    halved = data[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2).mean((1, 3, 5))
    affine = image.affine @ np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = (image.affine @ [0.5, 0.5, 0.5, 1])[:3]
    folder = describe(tmp_path / "bids")
    save_image(folder / "sub-crop" / "anat" / "sub-crop_T1w.nii.gz", halved, affine)
    return folder


def test_a_whole_head(bids: Path, environment: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = [str(bids), str(output), "participant", "--methods", "samseg"]
    words += ["--tool-image", f"samseg=venv:{environment}"]
    assert main([*words, "--n-cpus", "2", "--omp-nthreads", "2"]) == 0
    anat = output / "sub-crop" / "anat"
    table = pd.read_csv(anat / "sub-crop_desc-thalamus_volumes.tsv", sep="\t").set_index("method")
    results = environment / "results"
    own = read_statistics(results / "sub-crop" / "samseg.fs.stats")
    soft = table.loc["samseg", ["left_soft_ml", "right_soft_ml"]].to_numpy(dtype=float)
    np.testing.assert_allclose(soft, own.volumes / 1000, rtol=1e-3)
    assert table.loc["samseg", "icv_ml"] == pytest.approx(own.icv / 1000)
    hard = table.loc["samseg", ["left_ml", "right_ml"]].to_numpy(dtype=float)
    labels = np.asarray(nib.load(results / "sub-crop" / "seg.mgz").dataobj)
    counts = [np.count_nonzero(labels == label) for label in (10, 49)]
    np.testing.assert_allclose(hard, np.array(counts) * 8 / 1000, rtol=1e-6)

    stem = f"{anat}/sub-crop_space-T1w_seg-thalamus_desc-"
    ours, theirs = (
        np.asarray(nib.load(f"{stem}{method}T1w_dseg.nii.gz").dataobj)
        for method in ("thalnet", "samseg")
    )
    for side in (1, 2):
        both = np.count_nonzero((ours == side) & (theirs == side))
        dice = 2 * both / (np.count_nonzero(ours == side) + np.count_nonzero(theirs == side))
        assert dice > 0.8
    probabilities = np.asarray(nib.load(f"{stem}samsegT1w_probseg.nii.gz").dataobj)
    # Each voxel is of the most probable of all structures.
    assert (probabilities[theirs == 1, 0] >= 1 / 42).all()
    np.testing.assert_allclose(probabilities.sum((0, 1, 2)) * 8 / 1000, soft, rtol=1e-3)
    described = json.loads(Path(f"{stem}samsegT1w_dseg.json").read_text())["ExternalProgram"]
    assert (described["BackEnd"], described["Version"]) == ("venv", "samseg 0.4a0")

    # The same results, read instead of run.
    visit = session("sub-crop_T1w")
    options = parse([*words[:3], "-d", f"samseg={results}"])
    (result,) = find_finished(visit, visit.anchors[0], options)[0]
    scan = to_ras(read_volume(bids / "sub-crop" / "anat" / "sub-crop_T1w.nii.gz"))
    thalami, problem = read_finished(result, scan.grid, None)
    assert problem is None
    assert isinstance(thalami, ProbableThalami)
    np.testing.assert_array_equal(thalami.dseg, theirs)
    np.testing.assert_allclose(thalami.probseg, probabilities, atol=1e-3)
    np.testing.assert_array_equal(thalami.soft_volumes, own.volumes)
