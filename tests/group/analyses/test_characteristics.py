"""Characteristics of the participants."""

from __future__ import annotations

import pandas as pd
import pytest

from bids_app.group.analyses import (
    characteristics,
)
from bids_app.group.study import Study
from tests.group.conftest import Declare


def test_participants_are_described(study: Study, declare: Declare) -> None:
    table = characteristics.analyse(study).tables["characteristics"].data
    assert set(table["population"]) == {"measured", "with follow-up", "with reference"}
    assert set(table["diagnosis"]) == {"all", "PMS", "RRMS"}

    def rows(population: str, diagnosis: str, variable: str) -> pd.DataFrame:
        wanted = {"population": population, "diagnosis": diagnosis, "variable": variable}
        return table[(table[list(wanted)] == pd.Series(wanted)).all(axis="columns")]

    first = study.baseline
    age = rows("measured", "RRMS", "age").iloc[0]
    ages = first.loc[first["diagnosis"] == "RRMS", "age"]
    assert [age["n"], age["mean"], age["sd"]] == [len(ages), ages.mean(), ages.std()]
    sex = rows("measured", "all", "sex").set_index("level")
    assert sex["count"].to_dict() == first["sex"].value_counts().to_dict()
    assert sex["share"].sum() == pytest.approx(1)
    interval = table[table["variable"] == "interval"]
    assert set(interval["population"]) == {"with follow-up"}
    assert list(rows("with reference", "all", "age")["n"]) == [8]

    # Numbers that a model declares as levels are counted, and absent columns omitted.
    coded = declare("", lambda t: t.assign(sex=(t["sex"] == "F") * 1.0).drop(columns="nhpt"))
    table = characteristics.analyse(coded).tables["characteristics"].data
    assert set(table.loc[table["variable"] == "sex", "level"]) == {"0", "1"}
    assert "nhpt" not in set(table["variable"])
    nothing = declare("[characteristics]\ncolumns = ['height']")
    assert "no table has one of" in characteristics.ANALYSIS.attempt(nothing).reason


def test_one_participant_has_no_standard_deviation(declare: Declare) -> None:
    alone = declare("", lambda table: table[table["participant_id"] == "sub-001"])
    findings = characteristics.analyse(alone).findings
    age = alone.baseline["age"].item()
    assert f"age {age:.2f} (n = 1)" in findings
    assert "nan" not in findings
