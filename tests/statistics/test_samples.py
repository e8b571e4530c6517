"""Complete cases and checked columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics import samples


def test_complete_cases() -> None:
    """Positions with a NaN in any sample are dropped from all."""
    x, y = samples.complete_cases([1, np.nan, 3, 4], [5, 6, np.nan, 8])
    assert (x.tolist(), y.tolist()) == ([1, 4], [5, 8])
    (alone,) = samples.complete_cases([np.nan])
    assert alone.size == 0
    with pytest.raises(ValueError, match="one-dimensional"):
        samples.complete_cases([[1, 2]], [[1, 2]])


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.0, np.nan]),
        pd.Series(["1", None], dtype=object),
        pd.Series(["1.0", pd.NA], dtype="string"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([1.0, np.nan], dtype="category"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_numeric_columns_of_every_type(values: pd.Series) -> None:
    """Numbers, numbers as words and missing values of every pandas type become float64."""
    column = samples.numeric_column(pd.DataFrame({"x": values}), "x")
    assert column.dtype == np.float64
    np.testing.assert_array_equal(column, [1, np.nan])


def test_refusals() -> None:
    """Text, infinite values, duplicates and absent columns are named."""
    table = pd.DataFrame({"subject": ["01", "01"], "volume": [9.1, np.inf], "word": ["n/a", "2"]})
    with pytest.raises(ValueError, match="column 'word' holds text: 'n/a'"):
        samples.numeric_column(table, "word")
    with pytest.raises(ValueError, match="column 'volume' holds infinite"):
        samples.numeric_column(table, "volume")
    with pytest.raises(KeyError, match=r"\['age', 'sex'\] are absent"):
        samples.require_columns(table, ["age", "volume", "sex"])
    with pytest.raises(ValueError, match=r"1 duplicate rows of \['subject'\].*'01'"):
        samples.require_unique(table, ["subject"])


@pytest.mark.parametrize(
    ("values", "constant"),
    [
        ([], True),
        ([0.0, 0.0], True),
        ([0.3, 0.1 + 0.2], True),
        ([1e9, 1e9 + 1e-3], True),
        ([0.0, 1e-300], False),
        ([1.0, 1.0 + 1e-9], False),
    ],
)
def test_rounding_is_no_variation(values: list[float], constant: bool) -> None:
    """What differs in the last of sixteen digits only is constant, at any size."""
    assert samples.is_constant(values) is constant
    column = pd.Series([*values, np.nan])
    assert samples.varies(column) is not constant


def test_words_vary_by_their_values() -> None:
    """Missing words are no value of their own."""
    assert not samples.varies(pd.Series(["F", None, "F"]))
    assert samples.varies(pd.Series(["F", "M"]))


def test_interval_columns() -> None:
    """An interval becomes three columns."""
    columns = samples.Interval(0.5, 0.4, 0.6).columns("ccc")
    assert columns == {"ccc": 0.5, "ccc_ci_low": 0.4, "ccc_ci_high": 0.6}


@pytest.mark.parametrize("tail", ["0.01", "0.05"])
def test_winsorise_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame], tail: str
) -> None:
    """quantile(type = 7) and clipping."""
    level = float(tail)
    clipped = samples.winsorise(inputs("cohort")["delta_volume"], level, 1 - level)
    np.testing.assert_allclose(clipped, expected["winsorise"][tail], atol=1e-12)


def test_winsorise_properties() -> None:
    """Clipping at 0 and 1 does nothing, missing values stay, bad levels are refused."""
    values = pd.Series([3.0, np.nan, -100.0, 4.0, 5.0])
    pd.testing.assert_series_equal(samples.winsorise(values, 0, 1), values)
    assert samples.winsorise(values, 0.1, 0.9).isna().sum() == 1
    for lower, upper in ((0.5, 0.5), (-0.1, 0.9), (0.1, 1.1)):
        with pytest.raises(ValueError, match="quantile levels"):
            samples.winsorise(values, lower, upper)
