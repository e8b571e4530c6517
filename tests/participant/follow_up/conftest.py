"""Subjects are followed in this process, by a threshold in the place of the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import replace_thalnet
from tests.participant.follow_up.subject import Subject, threshold
from tests.participant.test_longitudinal import _in_this_process


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    replace_thalnet(monkeypatch, threshold)
    monkeypatch.setattr("bids_app.participant.follow_up.stage.run_sessions", _in_this_process)
    return Subject(tmp_path)
