"""Logistic models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.metrics import roc_auc_score

from bids_app.statistics import logistic
from bids_app.statistics.design import Model, ModelError

# Weight and horsepower of the 32 cars of Motor Trend 1974 (R's mtcars), and manual gear boxes.
CARS = pd.DataFrame(
    {
        "wt": [
            *(2.62, 2.875, 2.32, 3.215, 3.44, 3.46, 3.57, 3.19, 3.15, 3.44, 3.44, 4.07, 3.73, 3.78),
            *(5.25, 5.424, 5.345, 2.2, 1.615, 1.835, 2.465, 3.52, 3.435, 3.84, 3.845, 1.935, 2.14),
            *(1.513, 3.17, 2.77, 3.57, 2.78),
        ],
        "hp": [
            *(110, 110, 93, 110, 175, 105, 245, 62, 95, 123, 123, 180, 180, 180, 205, 215, 230),
            *(66, 52, 65, 97, 150, 150, 245, 175, 66, 91, 113, 264, 175, 335, 109),
        ],
        "am": [1] * 3 + [0] * 14 + [1] * 3 + [0] * 5 + [1] * 7,
    }
)
MODEL = Model(outcome="am", predictor="wt", numeric=("hp",))


def test_agrees_with_r() -> None:
    """Compare glm(am ~ wt + hp, binomial, mtcars): coefficients, deviances 43.230 and 10.059."""
    fit = logistic.fit_logistic(CARS, MODEL)
    table = fit.coefficients
    np.testing.assert_allclose(table["beta"], [18.86630, -8.08348, 0.03626], atol=6e-6)
    np.testing.assert_allclose(table["se"], [7.44356, 3.06868, 0.01773], atol=6e-6)
    np.testing.assert_allclose(table["z"], [2.535, -2.634, 2.044], atol=6e-4)
    np.testing.assert_allclose(table["p"], [0.01126, 0.00843, 0.04091], atol=6e-6)
    assert -2 * fit.log_likelihood == pytest.approx(10.059, abs=6e-4)
    assert (fit.n, fit.events, fit.df) == (32, 13, 2)
    assert fit.chi2 == pytest.approx(43.230 - 10.059, abs=1e-3)
    assert fit.mcfadden_r2 == pytest.approx(1 - 10.059 / 43.230, abs=1e-4)
    cox_snell = 1 - np.exp(-(43.230 - 10.059) / 32)
    nagelkerke = cox_snell / (1 - np.exp(-43.230 / 32))
    assert fit.nagelkerke_r2 == pytest.approx(nagelkerke, abs=1e-4)


def test_odds_ratio_of_a_two_by_two_table() -> None:
    """It is ad / bc, with Woolf's interval on the scale of logarithms (1955)."""
    counts = {(0, False): 30, (1, False): 12, (0, True): 10, (1, True): 18}
    rows = [pair for pair, count in counts.items() for _ in range(count)]
    data = pd.DataFrame(rows, columns=["steroids", "progressed"])
    table = logistic.logistic_table(data, [Model(outcome="progressed", predictor="steroids")])
    row = table.iloc[0]
    half = 1.959963984540054 * np.sqrt(1 / 30 + 1 / 12 + 1 / 10 + 1 / 18)
    assert row["odds_ratio"] == pytest.approx(30 * 18 / (12 * 10))
    assert row["odds_ratio_ci_low"] == pytest.approx(4.5 * np.exp(-half))
    assert row["odds_ratio_ci_high"] == pytest.approx(4.5 * np.exp(half))
    assert (row["n"], row["events"], row["reason"]) == (70, 28, "")


def test_agrees_with_statsmodels_on_terms_of_any_scale() -> None:
    """Covariates in years, categories, and volumes in µL; missing values are excluded."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"volume": rng.normal(13500, 1500, 90), "age": rng.uniform(20, 65, 90)})
    data["sex"] = np.where(rng.random(90) < 0.6, "F", "M")
    risk = -0.0005 * (data["volume"] - 13500) + 0.03 * (data["age"] - 40)
    data["worse"] = (rng.random(90) < 1 / (1 + np.exp(-risk))).astype(float)
    data.loc[[4, 50], "age"] = np.nan
    model = Model(outcome="worse", predictor="volume", numeric=("age",), categorical=("sex",))
    fit = logistic.fit_logistic(data, model, confidence=0.9)
    used = data.dropna().assign(male=lambda rows: (rows["sex"] == "M").astype(float))
    terms = sm.add_constant(used[["volume", "age", "male"]])
    expected = sm.GLM(used["worse"], terms, family=sm.families.Binomial()).fit(tol=1e-12)
    assert fit.n == 88
    np.testing.assert_allclose(fit.coefficients["beta"], expected.params, rtol=1e-6)
    np.testing.assert_allclose(fit.coefficients["se"], expected.bse, rtol=1e-6)
    np.testing.assert_allclose(
        fit.coefficients[["ci_low", "ci_high"]], expected.conf_int(0.1), rtol=1e-5
    )
    assert fit.log_likelihood == pytest.approx(expected.llf, rel=1e-9)
    without = terms.drop(columns="volume")
    covariates = sm.GLM(used["worse"], without, family=sm.families.Binomial()).fit(tol=1e-12)
    for area, probabilities in ((fit.auc, expected), (fit.auc_covariates, covariates)):
        assert area == pytest.approx(roc_auc_score(used["worse"], probabilities.fittedvalues))
    assert fit.auc > fit.auc_covariates
    alone = logistic.fit_logistic(data, Model(outcome="worse", predictor="volume"))
    assert np.isnan(alone.auc_covariates)


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 4, 6, 7, 8]])
def test_separation_is_reported(values: list[float]) -> None:
    """Complete or but for a tie: the odds ratio is infinite, and none is given."""
    data = pd.DataFrame({"volume": values, "age": [3, 1, 4, 1, 5, 9, 2, 6]})
    data["worse"] = [0, 0, 0, 0, 1, 1, 1, 1]
    model = Model(outcome="worse", predictor="volume", numeric=("age",))
    with pytest.raises(ModelError, match=r"\['volume'.*\] separate the cases with 'worse'"):
        logistic.fit_logistic(data, model)


def test_unusable_outcomes_are_rows_with_reasons() -> None:
    """No event, three values, text: rows with reasons, which do not count in the family."""
    data = CARS.assign(none=0, three=np.arange(32) % 3, text="worse")
    models = [Model(outcome=name, predictor="wt") for name in ("none", "three", "text", "am")]
    table = logistic.logistic_table(data, models).set_index("outcome")
    assert table["reason"].to_dict() == {
        "none": "'none' is the same in all 32 complete cases",
        "three": "'three' holds other values than 0 and 1",
        "text": "column 'text' holds text: 'worse'",
        "am": "",
    }
    assert table["p_adj"].notna().sum() == 1
    assert table.loc["am", "p_adj"] == table.loc["am", "p"]
