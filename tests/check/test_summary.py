"""What pairs of visits say about a protocol, against values worked out by hand."""

from __future__ import annotations

from math import ceil, isinf

import numpy as np
import pandas as pd
import pytest

from bids_app.check.summary import answers, participants_per_arm, summarise
from bids_app.derivatives.check_columns import CHECK_COLUMNS, PAIR_COLUMNS


def pairs(slope: float = 1.0, error: float = 0.3, contrast: str = "T1w") -> pd.DataFrame:
    """Twelve pairs of three scans whose errors are ± the same, uncorrelated with the change."""
    true = np.tile([-0.5, -1.0, -2.0, -5.0], 3)
    signs = np.array([1, 1, 1, 1, -1, -1, -1, -1, 0, 0, 0, 0])
    measured = slope * true + error * signs
    return pd.DataFrame(
        {
            "participant_id": np.repeat(["sub-01", "sub-02", "sub-03"], 4),
            "session_id": None,
            "scan": np.repeat(["sub-01_T1w", "sub-02_T1w", "sub-03_T1w"], 4),
            "contrast": contrast,
            "noise": 1.0,
            "true_change": true,
            "cross_sectional_change": true + 4 * error * signs,
            "longitudinal_change": measured,
            "longitudinal_low": measured - 0.2,
            "longitudinal_high": measured + 0.2,
            "drawn_scale": 0.0,
            "found_scale": 0.0,
        },
        columns=list(PAIR_COLUMNS),
    )


def test_slope_error_and_smallest_detectable_loss() -> None:
    table = summarise(pairs())
    assert list(table) == list(CHECK_COLUMNS)
    longitudinal, cross_sectional = (table.iloc[row] for row in range(2))
    # Eight errors of 0.3 among twelve: variance 8 · 0.09 / 11.
    sd = np.sqrt(8 * 0.09 / 11)
    assert longitudinal["loss_slope"] == pytest.approx(1)
    assert longitudinal["error_mean"] == pytest.approx(0)
    assert longitudinal["error_sd"] == pytest.approx(sd)
    assert longitudinal["detectable_loss"] == pytest.approx(1.96 * sd)
    # χ² quantiles with 11 degrees of freedom: 21.92 and 3.816.
    low, high = longitudinal["error_sd_ci_low"], longitudinal["error_sd_ci_high"]
    assert (low, high) == pytest.approx((sd * np.sqrt(11 / 21.92), sd * np.sqrt(11 / 3.816)), 1e-3)
    assert cross_sectional["error_sd"] == pytest.approx(4 * sd)
    assert (longitudinal["checked_scans"], longitudinal["pairs"]) == (3, 12)
    # Errors of 0.3 lie outside of intervals of ± 0.2.
    assert longitudinal["interval_coverage"] == pytest.approx(100 * 4 / 12)
    assert np.isnan(cross_sectional["interval_coverage"])


def test_participants_per_arm_by_hand() -> None:
    # 2 (1.95996 + 0.84162)² = 15.698; the SD over two years adds (1.4 / 2)² to 0.7².
    assert participants_per_arm(0.0, 1.0) == ceil(15.698 / 0.3**2) == 175
    assert participants_per_arm(1.4, 1.0) == ceil(15.698 * 2 / 0.3**2) == 349
    assert participants_per_arm(0.7, 0.5) == participants_per_arm(1.4, 1.0)
    assert isinf(participants_per_arm(0.3, -0.1))
    low, estimate, high = (participants_per_arm(sd, 0.9) for sd in (0.2, 0.3, 0.5))
    assert low < estimate < high


def test_too_few_pairs_are_a_row_with_its_reason() -> None:
    table = summarise(pd.concat([pairs(), pairs(contrast="FLAIR").head(2)]))
    assert list(table["contrast"]) == ["T1w", "T1w", "FLAIR", "FLAIR"]
    assert list(table["reason"] == "") == [True, True, False, False]
    assert "fewer than 3 pairs" in table["reason"].iloc[2]
    assert len(list(answers(table))) == 1


def test_the_answer_names_the_loss_the_slope_and_the_trial() -> None:
    (text,) = answers(summarise(pairs(slope=0.9)))
    assert "a thalamic loss of 0.6 % or more" in text
    assert "Of known losses, 90 % is measured" in text
    assert "175 if changes were measured without error" in text
