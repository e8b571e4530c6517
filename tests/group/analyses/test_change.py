"""Change of volume between sessions."""

from __future__ import annotations

import pandas as pd
import pytest

from bids_app.group.analyses import change, flow
from bids_app.group.study import CHANGES, Study
from bids_app.statistics.comparison import signed_rank
from tests.group.conftest import Declare


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


def test_a_scan_after_a_week_gives_no_rate(declare: Declare) -> None:
    """By default; two of 40 would make the standard deviation of annual change tens of percent."""

    def rescan(table: pd.DataFrame) -> pd.DataFrame:
        soon = table["participant_id"].isin(["sub-001", "sub-002"]) & (table["visit"] == 1)
        table.loc[soon, "interval"] = 7 / 365.25
        return table

    study = declare("", rescan)
    spread = study.changes.groupby("segmentation")["annual_percent"].std()
    rows = declare("").changes
    others = rows[~rows["participant_id"].isin(["sub-001", "sub-002"])]
    assert spread.tolist() == pytest.approx(
        others.groupby("segmentation")["annual_percent"].std().tolist()
    )
    assert len(study.changes) == 2 * 38
    steps = flow.analyse(study).tables["flow"].data.set_index("reason")
    assert steps.loc["no session 0.5 to 2 years after the first", "left_out"] == 2
    every = declare("[sessions]\nfollowup_range = [0.0, inf]", rescan).changes
    inflated = every.groupby("segmentation")["annual_percent"].std()
    assert inflated["thalnet T1w"] > 10 * spread["thalnet T1w"]
