"""Normative model and single-subject test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from benchmarks.norm_error import false_positives
from bids_app.statistics import normative


@pytest.fixture(scope="module")
def model(inputs: Callable[[str], pd.DataFrame]) -> normative.NormativeModel:
    """Return the model of 300 simulated subjects, two of them far out."""
    return normative.fit_normative(inputs("database"))


def test_model_agrees_with_r(expected: dict[str, Any], model: normative.NormativeModel) -> None:
    """lm in two steps; coefficients, outliers, residual deviation, single subjects."""
    values = expected["normative"]
    assert (model.n, model.outliers) == (values["n"], values["outliers"])
    assert model.residual_sd == pytest.approx(values["residual_sd"], abs=1e-10)
    np.testing.assert_allclose(model.coefficients, values["coefficients"], rtol=1e-8)
    patients = pd.DataFrame(values["patients"])
    table = normative.assess_subjects(patients, model, scanner_sd=0.28)
    np.testing.assert_allclose(table["expected"], values["expected"], rtol=1e-10)
    assert table["reduced"].tolist() == values["reduced"]


def test_outliers_do_not_pull_the_model(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Without the two-step approach a gross error would move the curve."""
    database = inputs("database")
    spoilt = database.copy()
    spoilt.loc[20:23, "volume"] = 60.0
    clean, robust = normative.fit_normative(database), normative.fit_normative(spoilt)
    assert robust.outliers >= clean.outliers + 4
    assert robust.residual_sd == pytest.approx(clean.residual_sd, rel=0.03)


def test_decision_at_its_border(model: normative.NormativeModel) -> None:
    """Reduced if residual + 1.96 scanner SD < -1.96 SD of the norm, strictly."""
    subject = pd.DataFrame({"volume": [0.0], "tiv": [1500.0], "age": [50.0]})
    expected = normative.assess_subjects(subject, model, 0.28)["expected"].iloc[0]
    border = expected - 1.96 * (model.residual_sd + 0.28)
    volumes = [border - 1e-6, border + 1e-6, expected]
    table = normative.assess_subjects(
        pd.DataFrame({"volume": volumes, "tiv": 1500.0, "age": 50.0}), model, 0.28
    )
    assert table["reduced"].tolist() == [True, False, False]
    assert table["z"].iloc[2] == pytest.approx(0)
    assert table["percentile"].iloc[2] == pytest.approx(50)
    # A more stable scanner finds more.
    precise = normative.assess_subjects(
        pd.DataFrame({"volume": volumes, "tiv": 1500.0, "age": 50.0}), model, 0.1
    )
    assert precise["reduced"].tolist() == [True, True, False]


def test_healthy_subjects_are_rarely_reduced() -> None:
    """Without scanner noise the test calls 2.5 % of the healthy reduced."""
    rng = np.random.default_rng(0)
    database = pd.DataFrame({"tiv": rng.normal(1500, 140, 6000), "age": rng.uniform(18, 85, 6000)})
    database["volume"] = 4 + 0.0075 * database["tiv"] + rng.normal(0, 0.9, 6000)
    table = normative.assess_subjects(database, normative.fit_normative(database[:3000]), 0.0)
    assert table["reduced"][3000:].mean() == pytest.approx(0.025, abs=0.008)


def test_missing_and_extrapolated(model: normative.NormativeModel) -> None:
    """Missing values are not called reduced; unusual heads and ages are marked."""
    subjects = pd.DataFrame(
        {
            "volume": [np.nan, 9.0, 9.0, 13.0],
            "tiv": [1500, 900, 1500, 1500.0],
            "age": [50, 50, 95, 50.0],
        }
    )
    table = normative.assess_subjects(subjects, model, 0.28)
    assert not table["reduced"].iloc[0]
    assert np.isnan(table["z"].iloc[0])
    assert table["extrapolated"].tolist() == [False, True, True, False]


def test_units_of_tiv_do_not_matter(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Litres instead of mL give the same residuals."""
    database = inputs("database")
    litres = database.assign(tiv=database["tiv"] / 1000)
    there, back = normative.fit_normative(database), normative.fit_normative(litres)
    assert there.residual_sd == pytest.approx(back.residual_sd, rel=1e-10)
    assert back.coefficients["tiv"] == pytest.approx(1000 * there.coefficients["tiv"])


def test_scanner_residuals_by_hand() -> None:
    """Repeat scans against their scanner's mean, scanners against the mean of the means."""
    scans = pd.DataFrame(
        {"scanner": ["a", "a", "b", "b", "c"], "volume": [10.0, 12.0, 14.0, 14.0, np.nan]}
    )
    residuals = normative.scanner_residuals(scans)
    assert residuals.intra.tolist() == [-1, 1, 0, 0]
    assert residuals.inter.to_dict() == {"a": -1.5, "b": 1.5}


def test_refusals(inputs: Callable[[str], pd.DataFrame], model: normative.NormativeModel) -> None:
    """Too few or too uniform subjects, bad columns and bad deviations are refused."""
    database = inputs("database")
    with pytest.raises(ValueError, match="do not determine 6 coefficients"):
        normative.fit_normative(database[:6])
    with pytest.raises(ValueError, match="do not determine"):
        normative.fit_normative(database.assign(age=40.0))
    with pytest.raises(KeyError, match="tiv"):
        normative.fit_normative(database.drop(columns="tiv"))
    for bad in (-0.1, np.nan):
        with pytest.raises(ValueError, match="scanner_sd"):
            normative.assess_subjects(database, model, bad)


def _healthy(rng: np.random.Generator, count: int) -> pd.DataFrame:
    table = pd.DataFrame({"tiv": rng.normal(1500, 140, count), "age": rng.uniform(18, 85, count)})
    return table.assign(volume=4 + 0.0075 * table["tiv"] + rng.normal(0, 0.9, count))


def test_prediction_intervals_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    healthy, others = _healthy(rng, 20), _healthy(rng, 50)
    model = normative.fit_normative(healthy, "prediction")
    assert (model.n, model.outliers) == (20, 0)

    def design(table: pd.DataFrame) -> np.ndarray:
        tiv, age = table["tiv"] / 1000, table["age"] / 100
        return np.column_stack([tiv**2, age**2, tiv * age, tiv, age, np.ones(len(table))])

    fit = sm.OLS(healthy["volume"], design(healthy)).fit()
    predicted = fit.get_prediction(design(others)).summary_frame(alpha=0.05)
    # On the border of the interval: the percentile is 2.5, and what is below is reduced.
    for shift, reduced in ((-1e-6, True), (1e-6, False)):
        border = others.assign(volume=predicted["obs_ci_lower"].to_numpy() + shift)
        table = normative.assess_subjects(border, model, 0.0)
        assert (table["reduced"] == reduced).all()
        np.testing.assert_allclose(table["percentile"], 2.5, rtol=1e-4)
    np.testing.assert_allclose(table["expected"], predicted["mean"])
    assert model.residual_sd == pytest.approx(np.sqrt(fit.scale))
    # The error of the scanner widens what is needed.
    far = others.assign(volume=predicted["obs_ci_lower"].to_numpy() - 1.96 * 0.28)
    shifted = far.assign(volume=far["volume"] - 1e-6)
    assert not normative.assess_subjects(far.assign(volume=far["volume"] + 1e-6), model, 0.28)[
        "reduced"
    ].any()
    assert normative.assess_subjects(shifted, model, 0.28)["reduced"].all()


@pytest.mark.parametrize("count", [15, 60])
def test_a_small_norm_calls_few_healthy_subjects_reduced(count: int) -> None:
    """By prediction intervals 2.5 % at any size; by the rule of Opfer et al. several times that."""
    rng = np.random.default_rng(count)
    called: dict[normative.Rule, list[float]] = {"prediction": [], "opfer": []}
    for _ in range(200):
        healthy, others = _healthy(rng, count), _healthy(rng, 200)
        for rule, shares in called.items():
            model = normative.fit_normative(healthy, rule)
            shares.append(normative.assess_subjects(others, model, 0.0)["reduced"].mean())
    assert np.mean(called["prediction"]) == pytest.approx(0.025, abs=0.005)
    assert np.mean(called["opfer"]) > {15: 0.12, 60: 0.04}[count]


def test_gross_errors_are_outliers_of_either_rule(
    inputs: Callable[[str], pd.DataFrame],
) -> None:
    database = inputs("database")
    database.loc[20:23, "volume"] = 60.0
    model = normative.fit_normative(database, "prediction")
    assert model.outliers >= 4
    clean = normative.fit_normative(database.drop(index=range(20, 24)), "prediction")
    assert model.residual_sd == pytest.approx(clean.residual_sd, rel=0.03)


@pytest.mark.parametrize("size", [15, 200])
def test_healthy_people_are_called_reduced_as_often_as_stated(size: int) -> None:
    assert 0.02 < false_positives(size, "prediction", 120) < 0.03
