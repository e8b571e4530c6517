"""Entries of tables as people write them: missing codes, numbers, categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_app.dataset.entries import Declared, Interpreted, Unclear, interpret

NAN = np.nan
# Seeded and short: the same examples at every run.
SEEDED = settings(max_examples=50, deadline=None, derandomize=True)
NUMBERS = st.lists(st.decimals(-999, 999, places=1), min_size=3, max_size=20)


def read(*texts: str, declared: Declared | None = None) -> Interpreted:
    return interpret(pd.Series(texts, dtype="str"), declared or Declared())


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (("45.1", "89+", "NA", "-", "#N/A", "33"), (45.1, 89, NAN, NAN, NAN, 33)),
        (("61", ">89", "≥ 90", "<18", "20", "30", "40"), (61, 89, 90, 18, 20, 30, 40)),
        (("45,3", "30,1", "28"), (45.3, 30.1, 28)),
        (("1,500", "2,3"), (1.5, 2.3)),
        (("0,123", "1,500"), (0.123, 1.5)),
        (("1,500", "1,480.5"), (1500, 1480.5)),
        (("1.500,5", "1.400", "7"), (1500.5, 1400, 7)),
        (("2.0*", "1.5", "'3"), (2, 1.5, 3)),
        (("2.0†", "~4", "3.5?", "1"), (2, 4, 3.5, 1)),
        (("\N{MINUS SIGN}9", "\N{MINUS SIGN}0,5"), (-9, -0.5)),
        (("34", "unknown", "unknown", "unknown"), (34, NAN, NAN, NAN)),
        (("1", "2", "inf", "1e400", "3"), (1, 2, NAN, NAN, 3)),
    ],
)
def test_numbers(texts: tuple[str, ...], values: tuple[float, ...]) -> None:
    result = read(*texts).values
    assert result.dtype == np.float64
    np.testing.assert_equal(result.to_numpy(), values)


@pytest.mark.parametrize(
    "texts",
    [
        ("0", "1+", "2+", "3+"),
        ("<5", "5-10", ">10"),
        ("+", "-", "+"),
        ("A", "1", "B"),
        ("3T", "1.5T"),
        ("baseline", "6 months", "12 months"),
        ("70 kg", "180 cm"),
        ("1st", "2nd", "3rd"),
    ],
)
def test_categories_keep_their_entries(texts: tuple[str, ...]) -> None:
    result = read(*texts)
    assert result.values.tolist() == list(texts)
    assert not result.read
    assert not result.missing


@pytest.mark.parametrize(
    ("unit", "texts", "values", "read_in"),
    [
        ("years", ("45 y", "46", "47yrs", "<18 Years", "unknown"), (45, 46, 47, 18, NAN), "years"),
        ("years", ("12 months", "26,5 y", "3"), (1, 26.5, 3), "years"),
        ("months", ("2 y", "18", "52.17857142857143 weeks"), (24, 18, 12), "months"),
        ("", ("6 months", "18 mo.", "3"), (6, 18, 3), "months"),
        ("", ("6 months", "2 y"), (0.5, 2), "years"),
        ("", ("70 kg", "81.5kg", "n/a"), (70, 81.5, NAN), "kg"),
        ("mmol/l", ("5.1 mmol/L", "4.9"), (5.1, 4.9), "mmol/l"),
    ],
)
def test_numbers_with_a_unit(
    unit: str, texts: tuple[str, ...], values: tuple[float, ...], read_in: str
) -> None:
    result = read(*texts, declared=Declared(unit=unit))
    np.testing.assert_allclose(result.values.to_numpy(), values)
    assert result.unit == read_in
    named = {text for text in texts if text not in ("unknown", "n/a") and not text[-1].isdigit()}
    assert set(result.converted) == named
    assert not result.read


def test_a_unit_of_something_else_is_missing_and_named() -> None:
    result = read("45 y", "46", "170 cm", "50", declared=Declared(unit="years"))
    np.testing.assert_equal(result.values.to_numpy(), (45, 46, NAN, 50))
    assert result.unclear == {"170 cm": Unclear.UNIT}


def test_an_odd_entry_is_missing_and_named() -> None:
    result = read("30", "forty", "50")
    np.testing.assert_equal(result.values.to_numpy(), [30, NAN, 50])
    assert result.unclear == {"forty": Unclear.NO_NUMBER}


def test_a_comma_in_doubt_is_missing_and_named() -> None:
    result = read("1,500", "1,480", "950")
    np.testing.assert_equal(result.values.to_numpy(), [NAN, NAN, 950])
    assert set(result.unclear.values()) == {Unclear.COMMA}


def test_codes_are_missing_only_if_declared() -> None:
    assert read("-9", "1", "2").values.tolist() == [-9, 1, 2]
    assert read("-9", "1", "2").suspected == ("-9",)
    result = read("-9", "-9.0", "2", declared=Declared(missing=frozenset({"-9"})))
    np.testing.assert_equal(result.values.to_numpy(), [NAN, NAN, 2])
    assert read("-9", "-3", "2").suspected == ()
    assert read("NA", "EU", declared=Declared({"NA": "North America"})).values.tolist() == [
        "NA",
        "EU",
    ]


@pytest.mark.parametrize(
    ("texts", "levels", "values"),
    [
        (("M", "Male", "male", "m", "F", "female"), {}, ["M"] * 4 + ["F"] * 2),
        (("Male", "Female", "f", "Female"), {}, ["Male", "Female", "Female", "Female"]),
        (("Male", "f", "M"), {"M": "male", "F": "female"}, ["M", "F", "M"]),
        (("1", "2", "Male", "m"), {"1": "male", "2": "female"}, [1, 2, 1, 1]),
        (
            ("RRMS", "relapsing remitting", "HC"),
            {"RRMS": "Relapsing  remitting"},
            ["RRMS"] * 2 + ["HC"],
        ),
        (("m", "married", "Male"), {}, ["m", "married", "Male"]),
    ],
)
def test_spellings_of_a_level_are_one(
    texts: tuple[str, ...], levels: dict[str, str], values: list[object]
) -> None:
    assert read(*texts, declared=Declared(levels)).values.tolist() == values


def test_a_column_of_missing_entries_is_text() -> None:
    result = read("n/a", "NA", "")
    assert result.values.isna().all()
    assert result.values.dtype == "str"
    assert result.missing == {"NA": 1, "": 1}


@SEEDED
@given(NUMBERS)
def test_decimal_commas_give_the_same_numbers(numbers: list[object]) -> None:
    plain = read(*map(str, numbers)).values
    comma = read(*(str(number).replace(".", ",") for number in numbers))
    pd.testing.assert_series_equal(comma.values, plain)


@SEEDED
@given(NUMBERS, st.sampled_from(["*", "†", " ?", '"']), st.integers(0, 2))
def test_marks_give_the_same_numbers(numbers: list[object], mark: str, position: int) -> None:
    texts = [str(number) for number in numbers]
    plain = read(*texts)
    texts[position] += mark
    marked = read(*texts)
    pd.testing.assert_series_equal(marked.values, plain.values)
    assert texts[position] in marked.read
    assert not plain.read


@SEEDED
@given(st.lists(st.text(max_size=8), max_size=12))
def test_any_text_is_read(texts: list[str]) -> None:
    assert len(read(*texts).values) == len(texts)
