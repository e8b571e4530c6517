"""A dataset of scans, and pairs of visits that need no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.options import Options
from tests.conftest import describe, options_of, save_image


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Five participants with a T1w, the fourth with a FLAIR."""
    bids = describe(tmp_path / "bids")
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        name = f"sub-0{number}"
        path = bids / name / "anat" / f"{name}_T1w.nii.gz"
        save_image(path, rng.integers(1, 500, (16, 18, 20)).astype(np.int16))
    save_image(bids / "sub-04" / "anat" / "sub-04_FLAIR.nii.gz", np.ones((16, 18, 20), np.int16))
    return options_of(bids, tmp_path / "out", "check", nprocs=1)
