"""Ranking of methods."""

from __future__ import annotations

from bids_app.group.analyses import (
    ranking,
)
from bids_app.group.study import Study


def test_methods_are_ranked(study: Study) -> None:
    table = ranking.analyse(study).tables["ranking"].data
    assert set(table.loc[table["rank"] == 1, "method"]) == {"thalnet T1w"}
    assert set(table["criterion"]) == {"Dice", "CCC"}
