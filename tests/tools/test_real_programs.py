"""Adapters against the programs themselves, with random weights, where these are installed.

What comes out is noise; what is tested are arguments, files, grids and labels. Put a program on the
PATH to have it tested: ``pip install mindglide`` in an environment of its own, say.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.tool_job import run_program
from bids_app.images.volume import same_grid
from bids_app.segmentation.methods import EXTERNAL
from bids_app.tools.call import Limits, ToolError
from bids_app.tools.local import Local
from tests.test_external import head

_RANDOM_MINDGLIDE = """\
import sys, torch
from mindglide.network import get_network
torch.manual_seed(0)
torch.save(get_network("cpu").state_dict(), sys.argv[1])
"""


def test_mindglide_itself(tmp_path: Path) -> None:
    program = shutil.which("mindglide")
    if program is None:
        pytest.skip("mindglide is not on the PATH (pip install mindglide, in its own environment)")
    interpreter = Path(program).read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")
    weights = tmp_path / "random weights.pt"
    subprocess.run([interpreter, "-c", _RANDOM_MINDGLIDE, str(weights)], check=True)
    image = head()
    made = run_program(
        EXTERNAL["mindglide"], image, Local(), Limits(1800), tmp_path / "log.txt", weights=weights
    )
    assert same_grid(made.labels, image, 1e-2)
    assert set(np.unique(made.labels.data)) <= set(range(20))
    assert len(np.unique(made.labels.data)) > 1
    assert made.run.version.startswith("mindglide 1.")
    with pytest.raises(ToolError, match="mindglide failed with exit status 1"):
        weights.write_bytes(b"no weights")
        run_program(
            EXTERNAL["mindglide"], image, Local(), Limits(600), tmp_path / "log", weights=weights
        )
