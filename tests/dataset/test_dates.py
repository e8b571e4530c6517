"""Dates of tables in other spellings than ISO 8601."""

from __future__ import annotations

import pytest

from bids_app.dataset.dates import read_dates

DAY = 1 / 365.25


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (("01.03.2010",), "2010-03-01"),
        (("03/04/2010", "25/04/2010"), "2010-04-03"),
        (("03/04/2010", "04/25/2010"), "2010-03-04"),
        (("3-4-2010 10:30", "25-4-2010"), "2010-04-03T10:30"),
        (("1 Mar 2010",), "2010-03-01"),
        (("01-März-2010 08:00:30",), "2010-03-01T08:00:30"),
    ],
)
def test_dates_that_leave_no_doubt(texts: tuple[str, ...], first: str) -> None:
    dates = read_dates(texts)
    assert dates.unclear == ()
    expected = read_dates([first]).years[first]
    assert dates.years[texts[0]] == pytest.approx(expected, abs=1e-9)
    assert texts[0] in dates.read


@pytest.mark.parametrize(
    "texts",
    [
        ("01/03/2010",),
        ("03/04/2010", "25/04/2010", "04/25/2010"),
        ("40238",),
        ("31.02.2010",),
        ("x",),
    ],
)
def test_dates_in_doubt_are_named(texts: tuple[str, ...]) -> None:
    dates = read_dates(texts)
    assert texts[0] in dates.unclear
    assert texts[0] not in dates.years


def test_iso_dates_are_not_named() -> None:
    dates = read_dates(["2010-03-01T10:00:00", "2010-03-02T10:00:00Z"])
    assert dates.years["2010-03-02T10:00:00Z"] - dates.years[
        "2010-03-01T10:00:00"
    ] == pytest.approx(DAY)
    assert not dates.read
    assert not dates.unclear
