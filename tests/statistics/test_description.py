"""Description of a sample: by hand, missing values and bad columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics.description import describe_sample, summary_table

PEOPLE = pd.DataFrame(
    {
        "age": [20.0, 30.0, 40.0, 70.0, np.nan],
        "sex": ["F", "M", "F", "F", None],
        "none": np.nan,
    }
)


def test_numbers_and_levels_by_hand() -> None:
    table = describe_sample(PEOPLE, ["age"], ["sex"])
    age, female, male = table.to_dict("records")
    assert (age["variable"], age["n"], age["missing"]) == ("age", 4, 1)
    assert [age["mean"], age["median"], age["minimum"], age["maximum"]] == [40, 35, 20, 70]
    # Type 7: a quarter of the way along 3 steps.
    assert [age["q1"], age["q3"]] == [27.5, 47.5]
    assert age["sd"] == pytest.approx(np.sqrt((20**2 + 10**2 + 0 + 30**2) / 3))
    assert pd.isna(age["level"])
    assert [female["level"], female["count"], female["share"]] == ["F", 3, 0.75]
    assert [male["level"], male["count"], male["share"]] == ["M", 1, 0.25]
    assert [male["n"], male["missing"]] == [4, 1]


def test_nothing_known_and_bad_columns() -> None:
    empty = describe_sample(PEOPLE, ["none"], []).iloc[0]
    assert [empty["n"], empty["missing"]] == [0, 5]
    assert np.isnan(empty["mean"])
    assert describe_sample(PEOPLE, [], ["none"]).empty
    with pytest.raises(KeyError, match="height"):
        describe_sample(PEOPLE, ["height"], [])
    with pytest.raises(ValueError, match="'sex' holds text: 'F'"):
        describe_sample(PEOPLE, ["sex"], [])


def test_summary_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Quartiles of type 7, standard deviation with n - 1."""
    scores = inputs("scores").melt("subject", var_name="method", value_name="dice")
    table = summary_table(scores, ["dice"]).set_index("method")
    for method, values in expected["summary"].items():
        for name, value in values.items():
            assert table.loc[method, name] == pytest.approx(value, abs=1e-12), name
        row = table.loc[method]
        assert row["mean_ci_low"] < row["mean"] < row["mean_ci_high"]
        assert row["median_ci_low"] <= row["median"] <= row["median_ci_high"]


def test_summary_of_groups_with_gaps() -> None:
    """Missing values are counted, a group with no value has NaN, one without a name is excluded."""
    scores = pd.DataFrame(
        {
            "method": ["a", "a", "a", "b", "b"],
            "diagnosis": ["RRMS", "RRMS", "HC", "HC", None],
            "change": [1.0, np.nan, 3.0, np.nan, 5.0],
        }
    )
    table = summary_table(scores, ["change"], ["method", "diagnosis"])
    assert table["n"].tolist() == [1, 1, 0]
    assert table["missing"].tolist() == [1, 0, 1]
    assert table["mean"].tolist()[:2] == [1, 3]
    assert table.loc[2, ["mean", "median", "q1", "sd"]].isna().all()
