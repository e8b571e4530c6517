"""Analyses that are not possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from bids_app.group.registry import ANALYSES
from tests.group.conftest import Declare


@pytest.mark.parametrize(
    ("name", "change_table", "reason"),
    [
        ("overlap", lambda table: table, "no reference was given (-d manual=PATH names one)"),
        ("agreement", lambda table: table, "no reference was given"),
        ("ranking", lambda table: table, "no reference was given"),
        ("change", lambda t: t[t["visit"] == 0], "no participant has a follow-up session"),
        ("pbvc", lambda t: t.drop(columns="pbvc"), "no table has a column 'pbvc'"),
        (
            "groups",
            lambda t: t.drop(columns=["diagnosis", "edss"]),
            "no table has one of the columns ['diagnosis']",
        ),
        ("stratification", lambda t: t.drop(columns="edss"), "no table has a column 'edss'"),
        ("reliability", lambda table: table, "no session has repeat scans"),
        (
            "sample_size",
            lambda t: t.assign(interval=t["interval"].where(t["visit"] == 0)),
            "no interval between sessions is known",
        ),
        (
            "containment",
            lambda t: t[t["method"] == "first"],
            "fewer than two methods have masks of T1w",
        ),
    ],
)
def test_the_reason_names_the_missing_data(
    declare: Declare, name: str, change_table: Callable[..., pd.DataFrame], reason: str
) -> None:
    result = ANALYSES[name].attempt(replace(declare("", change_table), reference_dir=None))
    assert reason in result.reason
    assert result.tables == {}
    assert result.problems == ()
