"""Description of a sample: by hand, missing values and bad columns."""

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics.description import describe_sample

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
