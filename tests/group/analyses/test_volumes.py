"""Volumes by method and diagnosis."""

from __future__ import annotations

import pytest

from bids_app.group.analyses import (
    volumes,
)
from bids_app.group.study import Study


def test_volumes_by_method_and_diagnosis(study: Study) -> None:
    tables = volumes.analyse(study).tables
    summary = tables["volumes_summary"].data.set_index("method")
    assert summary.loc["first T1w", "mean"] == pytest.approx(study.baseline["first T1w"].mean())
    assert list(summary["n"]) == [40, 40]
    assert tables["volumes_by_diagnosis"].data["n"].sum() == 80
