"""Linear models: certified data, the oracle, diagnostics, families, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_app.statistics import multiplicity, regression
from bids_app.statistics.design import Model

SDMT = Model(
    outcome="sdmt",
    predictor="volume",
    numeric=("age", "icv"),
    categorical=("sex",),
    standardised=("icv",),
)
MODELS = {
    "edss_HC3": replace(SDMT, outcome="edss", covariance="HC3"),
    "edss_classical": replace(SDMT, outcome="edss"),
    "t25fw_classical": replace(SDMT, outcome="t25fw", transform="log"),
    "sdmt_classical": SDMT,
    "sdmt_HC3": replace(SDMT, covariance="HC3"),
}
FEW = settings(max_examples=10, deadline=None)


@pytest.fixture(scope="module")
def cohort(inputs: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Return 150 subjects with missing values, skew and unequal variances."""
    return inputs("cohort")


@pytest.mark.parametrize("name", list(MODELS))
def test_table_agrees_with_r(expected: dict[str, Any], cohort: pd.DataFrame, name: str) -> None:
    """lm; sandwich and lmtest (HC3 with t); bptest, shapiro.test, vif, cooks.distance."""
    row = regression.linear_table(cohort, [MODELS[name]]).iloc[0]
    assert row["reason"] == ""
    assert row["distribution"] == "t"
    assert row["standardised_over"] == "complete cases"
    for column, value in expected["linear"][name].items():
        assert row[column] == pytest.approx(value, rel=1e-8, abs=1e-7), column


def test_longley_is_certified() -> None:
    """NIST StRD, Longley: certified values of a nearly collinear regression."""
    data = sm.datasets.longley.load_pandas().data
    model = Model(
        outcome="TOTEMP", predictor="YEAR", numeric=("GNPDEFL", "GNP", "UNEMP", "ARMED", "POP")
    )
    fit = regression.fit_linear(data, model)
    year = fit.coefficients.loc["YEAR"]
    assert year["beta"] == pytest.approx(1829.15146461355, rel=1e-8)
    assert year["se"] == pytest.approx(455.478499142212, rel=1e-8)
    assert fit.r2 == pytest.approx(0.995479004577296, rel=1e-10)
    assert fit.residual_sd == pytest.approx(304.854073561965, rel=1e-8)
    assert fit.df == 9
    assert fit.diagnostics.variance_inflation.max() > 100


def test_partial_r2_is_what_the_predictor_adds(cohort: pd.DataFrame) -> None:
    """The share of the covariates' residual that the volume explains, for HC3 too."""
    full = regression.fit_linear(cohort, SDMT)
    covariates = replace(SDMT, predictor="age", numeric=("icv",))
    without = regression.fit_linear(cohort[cohort["volume"].notna()], covariates)
    assert full.partial_r2 == pytest.approx(1 - (1 - full.r2) / (1 - without.r2))
    robust = regression.fit_linear(cohort, replace(SDMT, covariance="HC3"))
    assert robust.partial_r2 == full.partial_r2


def test_log_is_natural(cohort: pd.DataFrame) -> None:
    """An outcome scaled by a constant moves the intercept of its logarithm only."""
    model = MODELS["t25fw_classical"]
    base = regression.fit_linear(cohort, model).coefficients
    scaled = regression.fit_linear(cohort.assign(t25fw=np.e * cohort["t25fw"]), model).coefficients
    assert scaled.loc["volume", "beta"] == pytest.approx(base.loc["volume", "beta"])
    assert scaled.loc["const", "beta"] == pytest.approx(base.loc["const", "beta"] + 1)


def test_terms_and_observations(cohort: pd.DataFrame) -> None:
    """Categories are coded against the first level; residuals keep the subjects' index."""
    data = cohort.set_index("subject", drop=False)
    fit = regression.fit_linear(data, SDMT)
    assert list(fit.coefficients.index) == ["const", "volume", "age", "icv", "sex_M"]
    assert fit.design.terms["icv"].std() == pytest.approx(1)
    missing = data.index[data["sdmt"].isna() | data["icv"].isna()]
    assert not fit.observations.index.isin(missing).any()
    assert len(fit.observations) == fit.n == 146
    rebuilt = fit.observations["fitted"] + fit.observations["residual"]
    np.testing.assert_allclose(rebuilt, data.loc[rebuilt.index, "sdmt"])
    assert fit.observations["leverage"].sum() == pytest.approx(5)
    spread = fit.residual_sd * np.sqrt(1 - fit.observations["leverage"])
    np.testing.assert_allclose(
        fit.observations["studentised"], fit.observations["residual"] / spread
    )


def test_diagnostics_tell_good_from_bad() -> None:
    """Normal even residuals pass; skew fails Shapiro-Wilk, a fan fails Breusch-Pagan."""
    rng = np.random.default_rng(1)
    volume, noise = rng.normal(13, 1.5, 300), rng.normal(size=300)
    data = pd.DataFrame(
        {
            "volume": volume,
            "good": volume + noise,
            "skewed": volume + np.exp(noise),
            "fan": volume + noise * (volume - volume.min()),
        }
    )
    good, skewed, fan = (
        regression.fit_linear(data, Model(outcome=name, predictor="volume")).diagnostics
        for name in ("good", "skewed", "fan")
    )
    assert good.breusch_pagan_p > 0.05
    assert good.shapiro_wilk_p > 0.05
    assert skewed.shapiro_wilk_p < 1e-6
    assert fan.breusch_pagan_p < 1e-6
    assert good.quantiles["studentised"].is_monotonic_increasing
    line = np.polyfit(good.quantiles["theoretical"], good.quantiles["studentised"], 1)
    assert line == pytest.approx([1, 0], abs=0.05)


def test_perfect_fit_has_no_tests() -> None:
    """A residual of nothing is not tested."""
    data = pd.DataFrame({"y": np.arange(8) * 2.0, "x": np.arange(8.0)})
    diagnostics = regression.fit_linear(data, Model(outcome="y", predictor="x")).diagnostics
    assert np.isnan(diagnostics.shapiro_wilk_p)
    assert np.isnan(diagnostics.breusch_pagan_p)


@FEW
@given(st.floats(0.01, 1000), st.randoms(use_true_random=False))
def test_scale_and_order(factor: float, random: Random) -> None:
    """A volume in another unit changes β by that unit and nothing else; order is irrelevant."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(40, 3)), columns=["y", "x", "z"])
    model = Model(outcome="y", predictor="x", numeric=("z",), covariance="HC3")
    base = regression.linear_table(data, [model]).iloc[0]
    order = random.sample(range(40), 40)
    moved = regression.linear_table(data.iloc[order].assign(x=lambda d: factor * d["x"]), [model])
    row = moved.iloc[0]
    assert factor * row["beta"] == pytest.approx(base["beta"])
    assert factor * row["se"] == pytest.approx(base["se"])
    for column in ("t", "p", "r2", "partial_r2", "variance_inflation", "shapiro_wilk_p"):
        assert row[column] == pytest.approx(base[column]), column


def test_intervals_cover() -> None:
    """HC3 covers at about the nominal rate where the variance depends on the predictor."""
    rng = np.random.default_rng(2)
    hits: dict[regression.Covariance, int] = {"HC3": 0, "classical": 0}
    for _ in range(80):
        x = rng.exponential(size=80)
        data = pd.DataFrame({"x": x, "y": 0.5 * x + x * rng.normal(size=80)})
        for covariance in hits:
            model = Model(outcome="y", predictor="x", covariance=covariance)
            row = regression.fit_linear(data, model).coefficients.loc["x"]
            hits[covariance] += row["ci_low"] <= 0.5 <= row["ci_high"]
    assert 0.86 <= hits["HC3"] / 80 <= 0.99
    assert hits["classical"] < hits["HC3"]


def test_families(cohort: pd.DataFrame) -> None:
    """One family of all models by default; per outcome as an option; failures do not count."""
    models = [*MODELS.values(), replace(SDMT, predictor="absent")]
    pooled = regression.linear_table(cohort, models)
    np.testing.assert_allclose(pooled["p_adj"][:5], multiplicity.adjust(pooled["p"][:5]))
    assert np.isnan(pooled["p_adj"].iloc[5])
    apart = regression.linear_table(cohort, models, family="outcome")
    assert apart["family"].unique().tolist() == ["outcome"]
    t25fw = apart[apart["outcome"] == "t25fw"].iloc[0]
    assert t25fw["p_adj"] == t25fw["p"]
    assert pooled["p_adj"].iloc[2] >= t25fw["p_adj"]


BAD = {
    "absent": ({}, {"predictor": "first"}, "columns ['first'] are absent"),
    "twice": ({}, {"numeric": ("age", "volume")}, "['volume'] are used more than once"),
    "standardised": ({}, {"numeric": ("age",)}, "standardised ['icv'] are no numeric covariates"),
    "text": ({"volume": "large"}, {}, "column 'volume' holds text: 'large'"),
    "infinite": ({"volume": np.inf}, {}, "column 'volume' holds infinite values"),
    "missing": ({"volume": np.nan}, {}, "all values of ['volume'] are missing"),
    "no sex": ({"sex": None}, {}, "all values of ['sex'] are missing"),
    "one sex": ({"sex": "F"}, {}, "'sex' is the same in all 146 complete cases"),
    "constant": ({"icv": 1500.0}, {}, "'icv' is the same in all 147 complete cases"),
    "rounding": (
        {"icv": [1500.3, 1500.1 + 0.2] * 75},
        {},
        "'icv' is the same in all 147 complete cases",
    ),
    "rounded volume": (
        {"volume": [0.3, 0.1 + 0.2] * 75},
        {},
        "'volume' is the same in all 146 complete cases",
    ),
    "constant outcome": ({"sdmt": 40}, {}, "'sdmt' is the same in all 149 complete cases"),
    "log": ({"sdmt": 0.0}, {"transform": "log"}, "log of 'sdmt': 149 values ≤ 0"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_failed_model_is_a_row_with_its_reason(cohort: pd.DataFrame, case: str) -> None:
    """One model fails with a clear sentence; its neighbour is fitted."""
    values, changes, reason = BAD[case]
    bad = cohort.assign(**values)
    bad["other"], bad["more"] = cohort["volume"], cohort["age"]
    fine = Model(outcome="t25fw", predictor="other", numeric=("more",))
    table = regression.linear_table(bad, [replace(SDMT, **changes), fine])
    assert table["reason"].tolist() == [reason, ""]
    assert np.isnan(table["beta"].iloc[0])
    assert table["n"].iloc[1] == 150


def test_collinear_and_few(cohort: pd.DataFrame) -> None:
    """A repeated covariate is named; as many cases as parameters are too few."""
    twice = cohort.assign(months=12 * cohort["age"])
    model = replace(SDMT, numeric=("age", "months", "icv"))
    (reason,) = regression.linear_table(twice, [model])["reason"]
    assert reason in {f"['{n}'] is collinear with the other terms" for n in ("age", "months")}
    (reason,) = regression.linear_table(cohort[:6], [SDMT])["reason"]
    assert reason == "5 complete cases do not exceed the 5 parameters"
    gaps = pd.DataFrame({"sdmt": [1.0, np.nan], "volume": [np.nan, 2.0]})
    (reason,) = regression.linear_table(gaps, [Model(outcome="sdmt", predictor="volume")])["reason"]
    assert reason == "no case is complete"


def test_index_does_not_matter(cohort: pd.DataFrame) -> None:
    """Tables that were joined with a repeated index are fitted like any other."""
    joined = cohort.set_axis([0, 1] * 75)
    there, back = (regression.linear_table(data, [SDMT]) for data in (cohort, joined))
    pd.testing.assert_frame_equal(there, back)


def test_leverage_of_one(cohort: pd.DataFrame) -> None:
    """A category with one subject leaves HC3 undefined but not the classical fit."""
    data = cohort.assign(sex=["X", *cohort["sex"][1:]])
    table = regression.linear_table(data, [MODELS["edss_HC3"], MODELS["edss_classical"]])
    assert table["reason"].tolist() == ["a case has a leverage of 1, HC3 is undefined", ""]


def test_numbers_as_categories() -> None:
    """A category coded by numbers, with gaps, is coded like one of words."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.normal(size=30), "x": rng.normal(size=30)})
    data["group"] = [1.0, 2.0, np.nan] * 10
    words = data.assign(group=data["group"].map({1.0: "a", 2.0: "b"}))
    model = Model(outcome="y", predictor="x", categorical=("group",))
    numbers_fit, words_fit = (regression.fit_linear(d, model) for d in (data, words))
    assert numbers_fit.n == words_fit.n == 20
    np.testing.assert_allclose(
        numbers_fit.coefficients["beta"].to_numpy(), words_fit.coefficients["beta"].to_numpy()
    )
