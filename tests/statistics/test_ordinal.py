"""Proportional-odds models of categories of change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special

from bids_app.statistics import ordinal
from bids_app.statistics.design import Model

MODEL = Model(
    outcome="category",
    predictor="delta_volume",
    numeric=("age", "icv", "interval", "steroids"),
    categorical=("sex",),
    standardised=("icv",),
)


@pytest.fixture(scope="module")
def cohort(inputs: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Return 150 subjects with their category of EDSS change."""
    data = inputs("cohort")
    return data.assign(category=ordinal.change_category(data["delta_edss"]))


def test_table_agrees_with_r(expected: dict[str, Any], cohort: pd.DataFrame) -> None:
    """Package ordinal, clm; thresholds on the scale of the terms."""
    row = ordinal.ordinal_table(cohort, [MODEL]).iloc[0]
    assert row["reason"] == ""
    for name, value in expected["ordinal"].items():
        assert row[name] == pytest.approx(value, abs=1e-7), name
    assert row["odds_ratio"] == pytest.approx(np.exp(row["beta"]))


def test_terms_thresholds_and_proportionality_agree_with_r(
    expected_tests: dict[str, Any], cohort: pd.DataFrame
) -> None:
    """Package ordinal with Wald intervals; Brant's equations with glm."""
    values = expected_tests["ordinal"]
    fit = ordinal.fit_ordinal(cohort, MODEL)
    np.testing.assert_allclose(fit.threshold_se, values["threshold_se"], rtol=1e-6)
    for name in ("odds_ratio", "odds_ratio_ci_low", "odds_ratio_ci_high"):
        expected = dict(zip(values["terms"], values[name], strict=True))
        # R's terms: z is the standardised ICV, sexM the indicator of men.
        ratios = fit.coefficients[name].rename({"icv": "z", "sex_M": "sexM"})
        # The unit of the ICV does not enter z.
        assert ratios.to_dict() == pytest.approx(expected, rel=1e-6)
    brant = fit.proportionality
    assert brant.loc["all"].to_dict() == pytest.approx(values["brant"], rel=1e-6)
    np.testing.assert_allclose(
        brant.loc[fit.coefficients.index, "chi2"], values["brant_terms"], rtol=1e-6
    )
    row = ordinal.ordinal_table(cohort, [MODEL]).iloc[0]
    assert row["brant_p"] == pytest.approx(values["brant"]["p"])
    assert row["brant_p_predictor"] == brant.loc["delta_volume", "p"]
    assert row["threshold_stable_worse_se"] == pytest.approx(values["threshold_se"][1])


def test_all_terms_are_listed(cohort: pd.DataFrame) -> None:
    fits = ordinal.fit_all_ordinal(cohort, [MODEL, replace(MODEL, predictor="absent")])
    table = ordinal.ordinal_terms(fits)
    assert table["term"].tolist() == ["delta_volume", "age", "icv", "interval", "steroids", "sex_M"]
    np.testing.assert_allclose(table["odds_ratio"], np.exp(table["beta"]))
    assert ordinal.ordinal_terms(fits[1:]).empty
    twice = ordinal.ordinal_terms([fits[0], *fits])
    pd.testing.assert_frame_equal(twice, pd.concat([table, table], ignore_index=True))


def test_brant_rejects_where_odds_are_not_proportional() -> None:
    """An effect at the upper cut point only is found; proportional odds mostly pass."""
    rng = np.random.default_rng(6)
    rejected = {"proportional": 0, "other": 0}
    for _ in range(30):
        x, u = rng.normal(size=400), rng.logistic(size=400)
        better = rng.random(400) < 0.3
        changes = {
            "proportional": np.digitize(u + x, [-1, 1]) - 1,
            "other": np.where(better, -1, u + 1.5 * x > 0),
        }
        for name, change in changes.items():
            category = ordinal.change_category(pd.Series(change))
            data = pd.DataFrame({"x": x, "category": category})
            fit = ordinal.fit_ordinal(data, Model(outcome="category", predictor="x"))
            rejected[name] += fit.proportionality.loc["x", "p"] < 0.05
    assert rejected["proportional"] <= 5
    assert rejected["other"] >= 28


def test_brant_needs_three_categories_and_no_separation() -> None:
    data = pd.DataFrame({"x": np.arange(30.0), "noise": np.arange(30) * 7 % 11})
    two = pd.Series([0, 1, 0] * 10)
    data["category"] = ordinal.change_category(two)
    fit = ordinal.fit_ordinal(data, Model(outcome="category", predictor="x"))
    assert fit.proportionality.isna().all().all()
    # Everyone below 20 is stable or better, everyone above 19 worse or worst.
    data["category"] = ordinal.change_category(
        pd.Series(np.where(data["x"] < 20, -(data["noise"] % 2), 1))
    )
    row = ordinal.ordinal_table(data, [Model(outcome="category", predictor="x")]).iloc[0]
    assert row["reason"] == ""
    assert np.isnan(row["brant_p"])


def test_logistic_closed_form() -> None:
    """With two categories and a binary term β is the log odds ratio, Woolf's SE (1955)."""
    counts = {("stable", 0): 30, ("stable", 1): 12, ("worse", 0): 10, ("worse", 1): 18}
    rows = [pair for pair, count in counts.items() for _ in range(count)]
    data = pd.DataFrame(rows, columns=["category", "steroids"])
    data["category"] = pd.Categorical(data["category"], ordinal.CATEGORIES, ordered=True)
    fit = ordinal.fit_ordinal(data, Model(outcome="category", predictor="steroids"))
    row = fit.coefficients.loc["steroids"]
    assert row["beta"] == pytest.approx(np.log(30 * 18 / (12 * 10)), abs=1e-7)
    assert row["se"] == pytest.approx(np.sqrt(1 / 30 + 1 / 12 + 1 / 10 + 1 / 18), abs=1e-7)
    assert fit.thresholds["stable|worse"] == pytest.approx(np.log(30 / 10), abs=1e-7)
    assert fit.counts.to_dict() == {"stable": 42, "worse": 28}


def test_reversed_scale_mirrors_the_model(cohort: pd.DataFrame) -> None:
    """Better for worse: β and thresholds change their sign."""
    mirrored = cohort.assign(category=ordinal.change_category(-cohort["delta_edss"]))
    there, back = ordinal.fit_ordinal(cohort, MODEL), ordinal.fit_ordinal(mirrored, MODEL)
    np.testing.assert_allclose(
        there.coefficients["beta"], -back.coefficients["beta"], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(there.thresholds, -back.thresholds[::-1], rtol=0, atol=1e-6)


def test_unit_of_the_volume(cohort: pd.DataFrame) -> None:
    """µL instead of mL divides β by 1000 and leaves z as it is."""
    micro = cohort.assign(delta_volume=1000 * cohort["delta_volume"])
    there = ordinal.fit_ordinal(cohort, MODEL).coefficients.loc["delta_volume"]
    back = ordinal.fit_ordinal(micro, MODEL).coefficients.loc["delta_volume"]
    assert 1000 * back["beta"] == pytest.approx(there["beta"], abs=1e-7)
    assert back["z"] == pytest.approx(there["z"], abs=1e-7)


def test_recovers_planted_effect() -> None:
    """Intervals cover the planted log odds at about the nominal rate."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(14):
        x = rng.normal(size=150)
        score = pd.Series(np.digitize(0.8 * x + special.logit(rng.random(150)), [-1, 1]) - 1.0)
        data = pd.DataFrame({"x": x, "category": ordinal.change_category(score)})
        row = ordinal.fit_ordinal(data, Model(outcome="category", predictor="x")).coefficients.loc[
            "x"
        ]
        hits += row["ci_low"] <= 0.8 <= row["ci_high"]
    assert hits >= 11


def test_change_categories() -> None:
    """Strictly beyond the cut-offs; missing stays missing."""
    change = pd.Series([-1.0, -0.5, 0.0, 0.5, 1.0, np.nan])
    signs = ordinal.change_category(change)
    assert signs.tolist()[:5] == ["better", "better", "stable", "worse", "worse"]
    assert signs.isna().tolist() == [False] * 5 + [True]
    whole = ordinal.change_category(change, better_below=-0.75, worse_above=0.75)
    assert whole.tolist()[:5] == ["better", "stable", "stable", "stable", "worse"]
    with pytest.raises(ValueError, match="exceeds"):
        ordinal.change_category(change, 1, 0)


def test_separation_is_named(cohort: pd.DataFrame) -> None:
    """Complete and quasi-complete separation are a reason, not a huge coefficient."""
    outcome = cohort["delta_edss"]
    data = cohort.assign(
        complete=np.sign(outcome) + 0.1 * cohort["age"] / 100,
        flag=((outcome > 0) & (cohort["age"] > 40)).astype(float),
    )
    models = [replace(MODEL, predictor=name) for name in ("complete", "flag", "delta_volume")]
    complete, quasi, fine = ordinal.ordinal_table(data, models)["reason"]
    assert complete.startswith("the categories are perfectly separated by ['complete'")
    assert quasi == "the categories are perfectly separated by ['flag']"
    assert fine == ""


def test_near_separation_is_fitted() -> None:
    """One case on the wrong side is enough for a finite estimate."""
    x = np.arange(20.0)
    y = pd.Series(np.where(x > 9, 1.0, 0.0))
    y[[9, 10]] = [1.0, 0.0]
    data = pd.DataFrame({"x": x, "category": ordinal.change_category(y)})
    (reason,) = ordinal.ordinal_table(data, [Model(outcome="category", predictor="x")])["reason"]
    assert reason == ""


def test_reasons(cohort: pd.DataFrame) -> None:
    """A model that cannot be fitted has a row with its reason; the others are fitted."""
    data = cohort.assign(
        same=pd.Categorical(["stable"] * 150, ordinal.CATEGORIES, ordered=True), flat=1.0
    )
    models = [
        replace(MODEL, outcome="same"),
        replace(MODEL, outcome="delta_edss"),
        replace(MODEL, outcome="nothing"),
        replace(MODEL, predictor="flat"),
        MODEL,
    ]
    table = ordinal.ordinal_table(data, models)
    assert table["reason"].tolist() == [
        "'same' is the same in all 149 complete cases",
        "'delta_edss' is not an ordered category",
        "columns ['nothing'] are absent",
        "'flat' is the same in all 149 complete cases",
        "",
    ]
    assert table["p_adj"].iloc[4] == table["p"].iloc[4]
