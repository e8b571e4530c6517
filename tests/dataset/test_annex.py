"""Files whose content was not fetched are distinguished from damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bids_app.dataset.annex import fetch_advice
from bids_app.dataset.checksums import sha256
from bids_app.dataset.images import read_volume
from bids_app.errors import BadDataError, MissingInputError
from tests.conftest import save_image

_ANNEX = "/annex/objects/MD5E-s123--0123456789abcdef0123456789abcdef.nii.gz\n"
_LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"


@pytest.mark.parametrize("pointer", [_ANNEX, _LFS])
@pytest.mark.parametrize("extension", ["nii", "nii.gz"])
def test_a_pointer_is_to_be_fetched(tmp_path: Path, pointer: str, extension: str) -> None:
    path = tmp_path / f"sub-01_T1w.{extension}"
    path.write_text(pointer)
    with pytest.raises(MissingInputError, match="datalad get") as caught:
        read_volume(path)
    assert caught.value.exit_code == 66


def test_a_link_that_leads_nowhere_is_to_be_fetched(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_T1w.nii.gz"
    path.symlink_to("../.git/annex/objects/aa/bb/absent.nii.gz")
    for read in (read_volume, sha256):
        with pytest.raises(MissingInputError, match="datalad get"):
            read(path)


def test_other_files_are_damaged_or_sound(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "sub-01_T1w.nii.gz"
    assert fetch_advice(path) == ""
    path.write_text("annex")
    assert fetch_advice(path) == ""
    with pytest.raises(BadDataError, match="Copy it again"):
        read_volume(path)
    assert fetch_advice(save_image(path, noise)) == ""
