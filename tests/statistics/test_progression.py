"""Classes of change by the usual rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analysis_file import read_analysis_file
from bids_app.statistics.progression import classify_progression, required_change

RULES = {rule.column: rule for rule in read_analysis_file().progression.outcomes}


def classes(name: str, pairs: list[tuple[float, float]], worse: str = "higher") -> list[object]:
    first, later = (pd.Series(scores, dtype="float64") for scores in zip(*pairs, strict=True))
    rule = RULES[name]
    required = required_change(first, rule.steps, rule.percent)
    return classify_progression(first, later, required, worse).astype(object).tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "stable", "worse"),
    [
        (0.0, 1.0, 1.5),
        (0.5, 1.5, 2.0),
        (1.0, 1.5, 2.0),
        (3.5, 4.0, 4.5),
        (5.0, 5.5, 6.0),
        (5.5, 5.5, 6.0),
        (9.0, 9.0, 9.5),
    ],
)
def test_edss_is_worse_by_the_step_of_its_first_score(
    first: float, stable: float, worse: float
) -> None:
    assert classes("edss", [(first, stable), (first, worse)]) == ["stable", "worse"]


def test_edss_is_better_by_the_same_step() -> None:
    assert classes("edss", [(4.0, 3.0), (4.0, 3.5), (6.0, 5.5), (0.0, 0.0)]) == [
        *("better", "stable", "better", "stable")
    ]


def test_timed_tests_are_worse_by_a_fifth() -> None:
    """20 % exactly counts, whatever the rounding of binary fractions."""
    pairs = [(5.0, 6.0), (5.0, 5.99), (5.0, 4.0), (22.1, 26.52), (0.1, 0.12)]
    assert classes("t25fw", pairs) == ["worse", "stable", "better", "worse", "worse"]
    assert classes("nhpt", [(20.0, 24.0), (20.0, 23.9)]) == ["worse", "stable"]


def test_scores_that_are_bad_when_low() -> None:
    assert classes("t25fw", [(50.0, 40.0), (50.0, 60.0)], "lower") == ["worse", "better"]


def test_missing_scores_have_no_class() -> None:
    assert pd.isna(classes("edss", [(np.nan, 2.0), (2.0, np.nan)])).all()
    # A fifth of nothing is no change.
    assert pd.isna(classes("t25fw", [(0.0, 3.0)])).all()
