"""Change between visits and trial sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_app.statistics import change

VISITS = pd.DataFrame(
    [
        ("02", "one", 1.5, 8.0),
        ("01", "one", 40.0, 10.0),
        ("01", "one", 42.0, 9.0),
        ("01", "one", 41.0, 9.8),
        ("01", "two", 40.0, np.nan),
        ("01", "two", 41.0, 9.0),
        ("02", "one", 1.0, 0.0),
    ],
    columns=["subject", "method", "years", "volume"],
)


def test_changes_by_hand() -> None:
    """Every later visit is compared with the first, whatever the order of the rows."""
    table = change.change_table(VISITS, "volume").set_index(["subject", "method", "followup"])
    assert len(table) == 4
    first, second = table.loc[("01", "one", 1)], table.loc[("01", "one", 2)]
    assert first["change"] == pytest.approx(-0.2)
    assert first["percent"] == pytest.approx(-2)
    assert (second["interval"], second["baseline"]) == (2, 10)
    assert second["annual_change"] == pytest.approx(-0.5)
    assert second["annual_percent"] == pytest.approx(-5)


def test_missing_and_zero_baselines() -> None:
    """A missing baseline is not replaced by a later visit; zero has no percentage."""
    table = change.change_table(VISITS, "volume").set_index(["subject", "method", "followup"])
    assert table.loc[("01", "two", 1), ["change", "percent"]].isna().all()
    zero = table.loc[("02", "one", 1)]
    assert zero["change"] == 8
    assert np.isnan(zero["percent"])


def test_single_visits_have_no_change() -> None:
    """Subjects seen once leave no row but the columns stay."""
    table = change.change_table(VISITS[:2], "volume")
    assert len(table) == 0
    assert "annual_percent" in table


@settings(max_examples=12, deadline=None)
@given(st.floats(-50, 50), st.floats(0.5, 20), st.permutations(range(7)))
def test_origin_unit_and_order(origin: float, factor: float, order: list[int]) -> None:
    """The origin of time and the order do not matter; the unit scales the change only."""
    base = change.change_table(VISITS, "volume")
    moved = VISITS.assign(years=VISITS["years"] + origin, volume=factor * VISITS["volume"]).iloc[
        order
    ]
    other = change.change_table(moved, "volume")
    np.testing.assert_allclose(other["change"], factor * base["change"])
    np.testing.assert_allclose(other["annual_percent"], base["annual_percent"])


def test_change_refusals() -> None:
    """Ambiguous longitudinal series are refused."""
    with pytest.raises(ValueError, match="duplicate rows"):
        change.change_table(pd.concat([VISITS, VISITS]), "volume")
    with pytest.raises(ValueError, match="1 visits have no 'years'"):
        change.change_table(VISITS.assign(years=[np.nan, *VISITS["years"][1:]]), "volume")
    with pytest.raises(KeyError, match="edss"):
        change.change_table(VISITS, "edss")


def test_sample_size_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """The normal formula; power.t.test needs one subject more at this size."""
    rates = inputs("rates")
    effect = rates["annual_percent"].mean() / rates["annual_percent"].std()
    size = float(change.sample_size(effect))
    assert size == pytest.approx(expected["sample_size"]["normal"], rel=1e-10)
    assert size == pytest.approx(expected["sample_size"]["student"], abs=1.5)
    row = change.sample_size_table(rates).iloc[0]
    assert row["sample_size"] == np.ceil(size)
    assert row["sample_size_ci_low"] < size < row["sample_size_ci_high"]


def test_textbook_sample_size() -> None:
    """Half a standard deviation: 2 (1.96 + 0.84)² / 0.25 = 62.8, so 63 per arm."""
    assert np.ceil(change.sample_size(-1, slowing=0.5)) == 63
    # Twice the precision needs a quarter of the subjects; 90 % power a third more.
    assert change.sample_size(-2) == pytest.approx(change.sample_size(-1) / 4)
    assert change.sample_size(-1, power=0.9) / change.sample_size(-1) == pytest.approx(
        (1.959964 + 1.281552) ** 2 / (1.959964 + 0.841621) ** 2, rel=1e-6
    )


def test_nothing_to_slow() -> None:
    """Growth or no change needs infinitely many subjects, also as the end of an interval."""
    assert np.isinf(change.sample_size([0.0, 0.5])).all()
    rng = np.random.default_rng(0)
    changes = pd.DataFrame({"method": "one", "annual_percent": rng.normal(-0.05, 1, 100)})
    row = change.sample_size_table(changes).iloc[0]
    assert np.isinf(row["sample_size_ci_high"])
    assert np.isfinite(row["sample_size_ci_low"])


def test_sample_size_interval_covers() -> None:
    """The interval covers the true size at about the nominal rate."""
    rng = np.random.default_rng(1)
    truth = float(change.sample_size(-0.5))
    hits = 0
    for _ in range(100):
        changes = pd.DataFrame({"method": "one", "annual_percent": rng.normal(-0.5, 1, 80)})
        row = change.sample_size_table(changes, resamples=500).iloc[0]
        hits += row["sample_size_ci_low"] <= np.ceil(truth) <= row["sample_size_ci_high"]
    assert 0.88 <= hits / 100 <= 0.99


def test_sample_size_reasons_and_refusals() -> None:
    """A method without rates has its reason; impossible settings are refused."""
    changes = pd.DataFrame(
        {"method": ["a"] * 2 + ["b"] * 10, "annual_percent": [1, np.nan, *np.arange(-7.0, 3.0)]}
    )
    table = change.sample_size_table(changes)
    assert table["reason"].tolist() == ["fewer than 10 rates, or all are equal", ""]
    assert table["n"].tolist() == [1, 10]
    for settings_ in ({"slowing": 0}, {"power": 1}, {"alpha": 0}):
        with pytest.raises(ValueError, match="no fraction"):
            change.sample_size(-1, **settings_)
