"""Paired bootstrap differences: values by hand, planted differences, rate of errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics.agreement import concordance
from bids_app.statistics.design import Model
from bids_app.statistics.paired import Concordance, Mean, Regression, paired_table
from bids_app.statistics.regression import fit_all, fit_linear

N = 60


@pytest.fixture(scope="module")
def volumes() -> pd.DataFrame:
    """A reference, a method with a bias of 1 mL, one that scatters, and one like the first."""
    rng = np.random.default_rng(3)
    truth = rng.normal(10, 1.5, N)
    names = {"reference": truth, "biased": truth + 1 + rng.normal(0, 0.3, N)}
    names |= {"scattered": truth + rng.normal(0, 1.5, N)}
    names |= {"alike": names["biased"] + rng.normal(0, 0.01, N)}
    return pd.DataFrame(names, index=[f"sub-{i:02}" for i in range(N)])


def by_pair(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(["measure", "first", "second"])


def test_concordance_and_bias_are_those_of_each_method(volumes: pd.DataFrame) -> None:
    methods = volumes.drop(columns="reference")
    table = by_pair(paired_table(methods, Concordance(volumes["reference"])))
    row = table.loc[("ccc", "biased", "scattered")]
    for place, name in (("first", "biased"), ("second", "scattered")):
        expected = concordance(volumes["reference"], volumes[name]).estimate
        assert row[f"value_{place}"] == pytest.approx(expected, abs=1e-12)
    assert row["difference"] == pytest.approx(row["value_first"] - row["value_second"])
    bias = table.loc[("bias", "biased", "scattered")]
    truth = (volumes["biased"] - volumes["scattered"]).mean()
    assert bias["difference"] == pytest.approx(truth)
    # The interval of a mean is that of theory.
    half = 1.96 * (volumes["biased"] - volumes["scattered"]).std() / np.sqrt(N)
    assert bias["ci_low"] == pytest.approx(truth - half, abs=0.06)
    assert bias["ci_high"] == pytest.approx(truth + half, abs=0.06)
    assert bias["p"] < 0.01
    # Shared scatter cancels: a hundredth of a millilitre is no difference of concordance.
    alike = table.loc[("ccc", "biased", "alike")]
    assert abs(alike["difference"]) < 0.002
    assert alike["ci_high"] - alike["ci_low"] < 0.005


def test_ddof_is_that_of_the_concordance(volumes: pd.DataFrame) -> None:
    methods = volumes[["biased", "scattered"]]
    table = paired_table(methods, Concordance(volumes["reference"], 1), resamples=10)
    expected = concordance(volumes["reference"], volumes["biased"], ddof=1).estimate
    assert table["value_first"][0] == pytest.approx(expected, abs=1e-12)


def test_coefficients_are_those_of_the_models(volumes: pd.DataFrame) -> None:
    rng = np.random.default_rng(4)
    data = volumes.assign(
        age=rng.normal(40, 10, N),
        sex=rng.choice(["F", "M"], N),
        edss=9 - 0.5 * volumes["reference"] + rng.normal(0, 0.5, N),
    )
    data.loc["sub-05", "alike"] = np.nan
    models = [
        Model(outcome="edss", predictor=name, numeric=("age",), categorical=("sex",))
        for name in ("biased", "scattered", "alike")
    ]
    fits = [fit for _, fit in fit_all(data, models) if not isinstance(fit, str)]
    predictors = data[["biased", "scattered", "alike"]]
    table = by_pair(paired_table(predictors, Regression(fits)))
    row = table.loc[("beta", "biased", "scattered")]
    assert row["n"] == N
    assert row["value_first"] == pytest.approx(fits[0].coefficients["beta"]["biased"])
    assert row["value_second"] == pytest.approx(fits[1].coefficients["beta"]["scattered"])
    explained = table.loc[("r2", "biased", "scattered")]
    assert explained["value_first"] == pytest.approx(fits[0].r2)
    assert explained["difference"] == pytest.approx(fits[0].r2 - fits[1].r2)
    # Scatter dilutes the coefficient; the test sees it.
    assert row["ci_high"] < 0
    assert row["p_adj"] < 0.05
    # A pair is compared in the participants of both.
    fewer = table.loc[("beta", "biased", "alike")]
    assert fewer["n"] == N - 1
    without = fit_linear(data.dropna(), models[0])
    assert fewer["value_first"] == pytest.approx(without.coefficients["beta"]["biased"])


def test_a_bootstrap_sample_is_fitted_as_its_rows_are() -> None:
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"a": rng.normal(size=N), "age": rng.normal(40, 10, N)})
    data["edss"] = data["a"] + data["age"] / 20 + rng.normal(size=N)
    model = Model(outcome="edss", predictor="a", numeric=("age",))
    fit = fit_linear(data, model)
    drawn = rng.integers(N, size=N)
    weights = np.bincount(drawn, minlength=N)[np.newaxis].astype(float)
    beta, r2 = Regression([fit]).prepare(weights, data.index)(data[["a"]].to_numpy())
    expected = fit_linear(data.iloc[drawn].reset_index(drop=True), model)
    assert beta.item() == pytest.approx(expected.coefficients["beta"]["a"])
    assert r2.item() == pytest.approx(expected.r2)


def test_a_level_that_a_sample_lacks_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"a": rng.normal(size=20), "b": rng.normal(size=20), "sex": "F"})
    data["edss"] = data["a"] + rng.normal(size=20)
    # One in eight bootstrap samples holds neither of the two men.
    data.loc[[0, 1], "sex"] = "M"
    models = [Model(outcome="edss", predictor=name, categorical=("sex",)) for name in ("a", "b")]
    fits = [fit for _, fit in fit_all(data, models) if not isinstance(fit, str)]
    row = paired_table(data[["a", "b"]], Regression(fits)).iloc[0]
    assert np.isfinite([row["ci_low"], row["ci_high"]]).all()
    assert row["ci_low"] < row["difference"] < row["ci_high"]


def test_few_participants_are_a_reason() -> None:
    table = paired_table(pd.DataFrame({"a": [0.8] * 9, "b": [0.9] * 9}), Mean("dice"))
    assert table["reason"].tolist() == ["9 participants, at least 10 are needed"]
    assert table["p_adj"].isna().all()


def test_equal_methods_do_not_differ() -> None:
    scores = np.random.default_rng(0).uniform(0.7, 0.9, 20)
    row = paired_table(pd.DataFrame({"a": scores, "b": scores}), Mean("dice")).iloc[0]
    assert (row["difference"], row["ci_low"], row["ci_high"], row["p"]) == (0, 0, 0, 1)


def test_a_null_is_rejected_at_the_nominal_rate() -> None:
    """Of 300 null cohorts of 50; a planted difference of 0.8 SD is found."""
    rng = np.random.default_rng(7)
    null, planted = 0, 0
    for _ in range(300):
        scores = pd.DataFrame({"a": rng.normal(size=50), "b": rng.normal(size=50)})
        null += paired_table(scores, Mean("dice"), resamples=199)["p"][0] < 0.05
        scores["b"] += 0.8
        planted += paired_table(scores, Mean("dice"), resamples=199)["p"][0] < 0.05
    assert 0.02 <= null / 300 <= 0.09
    assert planted / 300 > 0.9
