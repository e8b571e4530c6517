"""Measurement error from repeat scans and corrected associations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics import reliability
from bids_app.statistics.design import Model
from bids_app.statistics.samples import Interval

MODEL = Model(outcome="sdmt", predictor="volume", numeric=("age",), categorical=("sex",))


def test_error_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """aov with two or three scans each; subjects scanned once do not count."""
    row = reliability.measurement_error_table(inputs("repeats").assign(method="one")).iloc[0]
    for name, value in expected["measurement_error"].items():
        assert row[name] == pytest.approx(value, abs=1e-9), name


def test_calibration_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """lm and the delta method by hand."""
    error = reliability.measurement_error(inputs("repeats"))
    row = reliability.calibrated_table(inputs("cohort"), [MODEL], {"volume": error}).iloc[0]
    assert row["reason"] == ""
    for name, value in expected["calibrated"].items():
        assert row[name] == pytest.approx(value, abs=1e-9), name


def test_within_sd_by_hand() -> None:
    """Pairs: half the mean squared difference (Bland & Altman 1996)."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(20, 2))
    table = pd.DataFrame({"subject": np.repeat(np.arange(20), 2), "volume": pairs.ravel()})
    error = reliability.measurement_error(table)
    within = np.sqrt(((pairs[:, 0] - pairs[:, 1]) ** 2).mean() / 2)
    assert error.within_sd.estimate == pytest.approx(within)
    assert error.df == 20
    assert error.within_sd.low < within < error.within_sd.high


@pytest.mark.parametrize("difference", [False, True])
def test_correction_recovers_the_true_slope(difference: bool) -> None:
    """The naive slope is too flat, the corrected one right, with a confounder and for changes."""
    rng = np.random.default_rng(1)
    hits, naive, corrected = 0, [], []
    for _ in range(50):
        age = rng.normal(size=600)
        truth = 0.5 * age + rng.normal(size=600)
        noise = rng.normal(0, 0.6, (600, 1 + difference)) @ [1, -1][: 1 + difference]
        data = pd.DataFrame({"x": truth + noise, "age": age})
        data["y"] = 0.8 * truth - 0.3 * age + rng.normal(size=600)
        scans = rng.normal(size=400).repeat(2) + rng.normal(0, 0.6, 800)
        repeats = pd.DataFrame({"subject": np.arange(400).repeat(2), "volume": scans})
        error = reliability.measurement_error(repeats)
        row = reliability.calibrated_table(
            data,
            [Model(outcome="y", predictor="x", numeric=("age",))],
            {"x": error},
            difference=difference,
        ).iloc[0]
        naive.append(row["beta"])
        corrected.append(row["beta_corrected"])
        hits += row["beta_corrected_ci_low"] <= 0.8 <= row["beta_corrected_ci_high"]
    assert np.mean(naive) < 0.65
    assert np.mean(corrected) == pytest.approx(0.8, abs=0.04)
    assert hits >= 42


def test_reasons(inputs: Callable[[str], pd.DataFrame]) -> None:
    """No repeats, an error larger than the variance, a failed model: rows with reasons."""
    cohort = inputs("cohort")
    error = reliability.measurement_error(inputs("repeats"))
    noisy = replace(error, within_sd=Interval(5.0, 4.0, 6.0))
    models = [MODEL, replace(MODEL, predictor="icv"), replace(MODEL, outcome="absent")]
    table = reliability.calibrated_table(cohort, models, {"volume": noisy})
    assert table["reason"].tolist() == [
        "the error of 'volume' exceeds its variance",
        "no repeat scans of 'icv'",
        "columns ['absent'] are absent",
    ]
    single = pd.DataFrame({"method": ["a", "b", "b"], "subject": [1, 1, 1], "volume": [1, 2, 3.0]})
    errors = reliability.measurement_error_table(single)
    assert errors["reason"].tolist() == ["nothing was scanned twice", ""]


def test_predictor_without_covariates(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Alone, the reliability is one minus error over total variance."""
    cohort = inputs("cohort").dropna(subset=["sdmt", "volume"])
    error = reliability.measurement_error(inputs("repeats"))
    row = reliability.calibrated_table(
        cohort, [Model(outcome="sdmt", predictor="volume")], {"volume": error}
    ).iloc[0]
    share = 1 - error.within_sd.estimate**2 / cohort["volume"].var()
    assert row["reliability"] == pytest.approx(share)


def test_contrasts_carry_the_within_subject_variance(
    inputs: Callable[[str], pd.DataFrame],
) -> None:
    """Their mean square is the pooled variance, and there are as many as degrees of freedom."""
    repeats = inputs("repeats")
    contrasts = reliability.within_contrasts(repeats)
    error = reliability.measurement_error(repeats)
    assert len(contrasts) == error.df
    assert np.sqrt((contrasts**2).mean()) == pytest.approx(error.within_sd.estimate)
    # Scans that only differ between subjects have none.
    assert reliability.within_contrasts(repeats.drop_duplicates("subject")).empty


def test_mean_of_zero_has_no_coefficient_of_variation() -> None:
    """Differences may average zero; their spread is still an error."""
    repeats = pd.DataFrame({"method": "a", "subject": ["1", "1"], "volume": [1.0, -1.0]})
    (row,) = reliability.measurement_error_table(repeats).to_dict("records")
    assert row["within_sd"] == pytest.approx(np.sqrt(2))
    assert np.isnan(row["coefficient_of_variation"])
