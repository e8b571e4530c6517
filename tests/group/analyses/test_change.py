"""Change of volume between sessions."""

from __future__ import annotations

from bids_app.group.analyses import (
    change,
)
from bids_app.group.study import CHANGES, Study
from bids_app.statistics.comparison import signed_rank


def test_change_is_compared(study: Study) -> None:
    tables = change.analyse(study).tables
    percent = study.changes.pivot(index="participant_id", columns="segmentation", values="percent")
    tests = tables["change_tests"].data.set_index("measure")
    assert list(tests.index) == CHANGES
    # A single pair is a family of its own.
    assert (tests["p_adj"] == tests["p"]).all()
    row = tests.loc["percent"]
    assert row["p"] == signed_rank(percent["first T1w"], percent["thalnet T1w"]).p
    assert set(tables["change_by_diagnosis"].data["diagnosis"]) == {"PMS", "RRMS"}
