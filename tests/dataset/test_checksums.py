"""Checksums of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.dataset.checksums import sha256
from bids_app.errors import MissingInputError


def test_a_file_whose_content_was_not_fetched(tmp_path: Path) -> None:
    path = tmp_path / "sub-1_T1w.nii.gz"
    path.symlink_to(tmp_path / ".git" / "annex" / "absent")
    with pytest.raises(MissingInputError, match="datalad get") as caught:
        sha256(path)
    assert str(path) in str(caught.value)
