"""Participants at every step, and the reasons of exclusion."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from bids_app.errors import Cause
from bids_app.group.analyses import (
    flow,
)
from tests.group.conftest import Declare


def test_every_exclusion_is_counted(declare: Declare) -> None:
    def remove(table: pd.DataFrame) -> pd.DataFrame:
        single = (table["participant_id"] == "sub-001") & (table["visit"] == 1)
        table = table[~single].copy()
        table.loc[(table["participant_id"] == "sub-002") & (table["visit"] == 1), "interval"] = 5.0
        return table

    study = declare("[sessions]\nfollowup_range = [0.5, 2.0]", remove)
    study = replace(
        study, cohort=replace(study.cohort, participants=43, excluded={Cause.BAD_DATA: 3})
    )
    table = flow.analyse(study).tables["flow"].data
    reasons = table[table["reason"] != ""].groupby("reason", sort=False)["left_out"].first()
    assert reasons["image or table cannot be used"] == 3
    assert reasons["a single session"] == 1
    assert reasons["no session 0.5 to 2 years after the first"] == 1
    steps = table[table["reason"] == ""].set_index("step")["participants"]
    assert list(steps.iloc[:3]) == [43, 40, 38]


def test_outcomes_that_the_dataset_lacks_are_not_counted(declare: Declare) -> None:
    clinical = ["edss", "sdmt", "t25fw", "nhpt", "disease_duration"]
    study = declare("", lambda table: table.drop(columns=clinical))
    assert len(flow.analyse(study).tables["flow"].data["step"].unique()) == 3
    study = declare("", lambda table: table.drop(columns=["edss"]))
    steps = " ".join(flow.analyse(study).tables["flow"].data["step"])
    assert "edss" not in steps
    assert "sdmt" in steps
