from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.report.tables import ColumnTexts, format_table


def texts(values: list[object], name: str) -> list[str]:
    table = format_table(pd.DataFrame({name: values}))
    return [row.cells[0].text for row in table.rows]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("total_ml", [12.3456, 7.0, None], ["12.35", "7.00", "n/a"]),
        ("Left (mL)", [6.005], ["6.00"]),
        ("ICV (mL)", [1503, 99], ["1503", "99"]),
        ("icv_ml", [1503.6], ["1504"]),
        ("slope", [0.02, 0.0009], ["0.020", "0.001"]),
        ("hd95_mm", [1.4142], ["1.41"]),
        ("change_percent", [-0.5], ["-0.50"]),
        ("p", [0.04321, 0.00001, np.nan], ["0.043", "< 0.001", "n/a"]),
        ("ttest_p_adj", [0.5], ["0.500"]),
        ("p_greenhouse_geisser", [2.3e-5], ["< 0.001"]),
        ("n", [3, 12], ["3", "12"]),
        ("n", [3, None], ["3", "n/a"]),
        ("edss", [1.5, 2.0], ["1.5", "2.0"]),
        ("dice", [0.87654, 0.9], ["0.877", "0.900"]),
        ("slope", [0.000012, 0.0], ["1.20e-05", "0.000"]),
        ("method", ["thalnet", None, ""], ["thalnet", "n/a", ""]),
        ("kept", [True, False], ["yes", "no"]),
        ("ratio", [np.inf, 0.1234], ["inf", "0.123"]),
    ],
)
def test_numbers_are_written_as_their_column_asks(
    name: str, values: list[object], expected: list[str]
) -> None:
    assert texts(values, name) == expected


def test_missing_in_nullable_columns() -> None:
    table = format_table(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))
    assert [row.cells[0].text for row in table.rows] == ["1", "n/a"]


def test_labels_do_not_break_at_their_hyphens() -> None:
    values = ["sub-01_ses-01_T1w", "mutual information, T1w-FLAIR", "T1w", None]
    table = format_table(pd.DataFrame({"scan": values}))
    assert [row.cells[0].is_label for row in table.rows] == [True, False, False, False]
    (negative,) = format_table(pd.DataFrame({"change_percent": [-0.5]})).rows
    assert not negative.cells[0].is_label


def test_interval_becomes_one_column() -> None:
    frame = pd.DataFrame(
        {
            "ccc": [0.91234, np.nan],
            "ccc_ci_low": [0.85, np.nan],
            "ccc_ci_high": [0.95, np.nan],
            "n": [9, 2],
        }
    )
    table = format_table(frame)
    assert [heading.text for heading in table.headings] == ["ccc [95 % CI]", "n"]
    assert [row.cells[0].text for row in table.rows] == ["0.912 [0.850, 0.950]", "n/a"]


def test_interval_of_a_model_joins_its_estimate() -> None:
    frame = pd.DataFrame({"beta": [1.5], "se": [0.5], "ci_low": [0.25], "ci_high": [2.75]})
    table = format_table(frame, ColumnTexts({"beta": "Beta"}, confidence=0.9))
    assert [heading.text for heading in table.headings] == ["Beta [90 % CI]", "se"]
    assert [cell.text for cell in table.rows[0].cells] == ["1.50 [0.25, 2.75]", "0.5"]


def test_headings_carry_units_and_hints() -> None:
    frame = pd.DataFrame({"total_ml": [1.0], "subject": ["01"], 3: [1]})
    texts = ColumnTexts({"subject": "Participant"}, {"total_ml": "both sides"})
    left, middle, right = format_table(frame, texts).headings
    assert (left.text, left.hint, left.numeric) == ("total (mL)", "total_ml: both sides", True)
    assert (middle.text, middle.hint, middle.numeric) == ("Participant", "subject", False)
    assert right.text == "3"


def test_names_of_columns_are_shown_as_headings() -> None:
    names = ["annual_percent", "disease_duration"]
    frame = pd.DataFrame({"measure": names, "annual_percent": [-0.5123, 1.0]})
    table = format_table(frame, ColumnTexts({"annual_percent": "Annual change (%/year)"}))
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    assert rows == [["Annual change (%/year)", "-0.51"], ["disease duration", "1.00"]]


def test_numbers_sort_by_value_and_text_by_text() -> None:
    frame = pd.DataFrame({"total_ml": [12.3456, np.nan], "method": ["a", "b"]})
    cells = [row.cells for row in format_table(frame).rows]
    assert [(number.sort, text.sort) for number, text in cells] == [("12.3456", None), ("", None)]


def test_columns_without_any_value_are_not_shown() -> None:
    frame = pd.DataFrame(
        {
            "scan": ["a", "b"],
            "contrast_agent": [None, None],
            "qc_reason": ["", None],
            "n": pd.array([None, None], dtype="Int64"),
            "total_ml": [7.0, np.nan],
            "reason": ["", "too few"],
            "beta": [1.5, 2.0],
            "ci_low": [np.nan, np.nan],
            "ci_high": [np.nan, np.nan],
            "kept": [False, False],
        }
    )
    table = format_table(frame)
    shown = ["scan", "total (mL)", "reason", "beta", "kept"]
    assert [heading.text for heading in table.headings] == shown
    assert [cell.text for cell in table.rows[0].cells] == ["a", "7.00", "", "1.5", "no"]
    nothing = format_table(pd.DataFrame({"a": [None], "b": [np.nan]}))
    assert [[cell.text for cell in row.cells] for row in nothing.rows] == [["n/a", "n/a"]]
    # The ends of the interval are in the column of the estimate.
    assert len(format_table(frame[:0]).headings) == len(frame.columns) - 2


def test_table_without_columns_or_rows() -> None:
    assert format_table(pd.DataFrame()).rows == ()
    assert format_table(pd.DataFrame({"n": []})).rows == ()
