"""A dataset without scans, whose folders name subjects and sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import describe


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """Subject 01 with two sessions, subject 02 with one."""
    for folder in ("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1"):
        (tmp_path / "bids" / folder).mkdir(parents=True)
    return describe(tmp_path / "bids")
