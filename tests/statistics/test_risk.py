"""Calibration of predicted risks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from bids_app.statistics.risk import at_share, calibrate_risk


def test_intercept_of_a_constant_risk_is_the_ratio_of_odds() -> None:
    """50 of 100 events at a predicted risk of 0.2: odds 4 times as high; no slope."""
    calibration = calibrate_risk(np.arange(100) % 2, np.full(100, 0.2))
    assert calibration.intercept.estimate == pytest.approx(np.log(4), abs=1e-9)
    # Wald: standard error of log odds, sqrt(1 / (n p q)).
    half = 1.959964 / np.sqrt(25)
    assert calibration.intercept.high - np.log(4) == pytest.approx(half, rel=1e-5)
    assert np.isnan(calibration.slope.estimate)


def test_true_risks_are_calibrated_and_exaggerated_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    odds = rng.normal(-0.5, 1.2, 4000)
    events = rng.random(4000) < expit(odds)
    good, extreme = (calibrate_risk(events, expit(factor * odds)) for factor in (1, 2))
    assert good.intercept.low < 0 < good.intercept.high
    assert good.slope.low < 1 < good.slope.high
    assert extreme.slope.estimate == pytest.approx(good.slope.estimate / 2, rel=1e-6)
    assert extreme.slope.high < 1


def test_separated_events_have_no_slope() -> None:
    calibration = calibrate_risk([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8])
    assert np.isnan(calibration.slope.estimate)
    assert np.isfinite(calibration.intercept.estimate)


def test_share_replaces_the_prior_of_balanced_weights() -> None:
    np.testing.assert_allclose(at_share([0.5, 0.8], [0.2, 0.5]), [0.2, 0.8])
    assert 0 < at_share([0.0], 0.2)[0] < at_share([1.0], 0.2)[0] < 1
