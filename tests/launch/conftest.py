"""A dataset of three subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import describe, save_image


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    folder = describe(tmp_path / "bids")
    for subject in ("01", "02", "03"):
        path = folder / f"sub-{subject}" / "ses-a" / "anat" / f"sub-{subject}_ses-a_T1w.nii.gz"
        save_image(path, np.ones((4, 4, 4), dtype=np.uint8))
    return folder
