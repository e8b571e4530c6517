"""Two masks are compared where both scans have been aligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import accuracy, rescans
from bids_app.images.geometry import Grid, translation
from bids_app.images.volume import Volume


def test_masks_are_compared_in_the_common_space() -> None:
    first, second = np.zeros((2, 20, 20, 20), dtype=np.uint8)
    first[5:10, 5:10, 5:10] = 1
    second[8:13, 5:10, 5:10] = 2
    masks = [Volume(first, np.eye(4)), Volume(second, np.eye(4))]
    grid = Grid((20, 20, 20), np.eye(4))
    still, moved = np.eye(4), translation(np.array([3.0, 0, 0]))
    assert rescans.overlap(masks, (still, moved), grid) == 1
    # Two of five slices are shared.
    assert rescans.overlap(masks, (still, still), grid) == pytest.approx(2 / 5)


def test_differences_are_those_of_the_second_scan() -> None:
    assert rescans.percent([8.0, 8.2]) == pytest.approx(2.5)


def test_summary_of_a_method_without_probabilities_has_ages_and_no_empty_lines() -> None:
    scans = pd.DataFrame(
        {
            "subject": ["1", "2", "2"],
            "scan": ["a", "b", "c"],
            "age": [39.0, 41, 59],
            "dice": [0.9, 0.8, 0.7],
            "method_ml": [10.0, 12, 15],
            "soft_ml": np.nan,
            "reference_ml": [10.0, 12, 12],
            "ratio": [1, 1, 1.25],
            "brain_dice": np.nan,
            "seconds": 2.0,
        }
    )
    lines = accuracy.summarise(scans, "another").splitlines()
    assert lines[3:5] == [
        "age 20 to 39: Dice mean 0.900, worst 0.900; volume ratio mean 1.000 (n = 1)",
        "age 40 to 59: Dice mean 0.750, worst 0.700; volume ratio mean 1.125 (n = 2)",
    ]
    assert lines[5].startswith("method_ml: bias +1.00 ± 1.73 mL")
    assert lines[6:] == ["method_ml: rescan of sub-2: +25.00 %"]


def test_ages_are_read_where_they_are_given(tmp_path: Path) -> None:
    assert accuracy.ages_of(tmp_path) == {}
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\nsub-1\n")
    assert accuracy.ages_of(tmp_path) == {}
    table.write_text("participant_id\tage\nsub-1\t31\nsub-02\tn/a\nsub-03\t62.5\n")
    assert accuracy.ages_of(tmp_path) == {"1": 31, "03": 62.5}
