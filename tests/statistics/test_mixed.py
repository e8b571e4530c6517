"""Random-intercept models of repeated sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_app.statistics import mixed, random_intercept, regression
from bids_app.statistics.design import Model

MODEL = Model(
    outcome="sdmt",
    predictor="volume",
    numeric=("years", "age", "icv"),
    categorical=("sex",),
    standardised=("icv",),
)


def test_fit_agrees_with_r(expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]) -> None:
    """Package lme4, REML, three to five sessions, missing outcomes, one term for the volume."""
    fit = mixed.fit_mixed(inputs("visits"), MODEL)
    result = vars(fit) | dict(fit.coefficients.loc["volume"])
    for name, value in expected["mixed"].items():
        assert result[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("sample", ["all", "few"])
def test_table_agrees_with_r(
    sample: str, expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package lmerTest: both parts of the volume, Satterthwaite by numerical derivatives."""
    visits = inputs("visits")
    if sample == "few":
        visits = visits[(visits["subject"] <= 12) & (visits["session"] <= 2)]
    values = expected_tests["mixed"][sample]
    table = mixed.mixed_table(visits, [MODEL]).set_index("term")
    assert table["reason"].tolist() == ["", ""]
    assert table["predictor"].tolist() == ["volume", "volume"]
    assert table["n"].tolist() == [values["n"]] * 2
    for part in mixed.PARTS:
        for name in ("beta", "se", "t"):
            assert table.loc[part, name] == pytest.approx(values[part][name], abs=1e-5), name
        assert table.loc[part, "df"] == pytest.approx(values[part]["df"], rel=1e-3)
        assert table.loc[part, "p"] == pytest.approx(values[part]["p"], rel=1e-3)
        assert table.loc[part, "log_likelihood"] == pytest.approx(values["log_likelihood"])
    half = stats.t.ppf(0.975, table["df"]) * table["se"]
    np.testing.assert_allclose(table["ci_low"], table["beta"] - half)


def test_balanced_degrees_of_freedom() -> None:
    """Twelve subjects, two sessions: exact t tests of means (12 - 2) and differences (12 - 1)."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(12, 2)) + rng.normal(size=(12, 1))
    y = rng.normal(size=(12, 2)) + 2 * rng.normal(size=(12, 1))
    subject = np.repeat(np.arange(12), 2)
    data = pd.DataFrame({"subject": subject, "x": x.ravel(), "y": y.ravel()})
    table = mixed.mixed_table(data, [Model(outcome="y", predictor="x")]).set_index("term")
    between = regression.fit_linear(
        pd.DataFrame({"x": x.mean(axis=1), "y": y.mean(axis=1)}), Model(outcome="y", predictor="x")
    ).coefficients.loc["x"]
    dx, dy = np.diff(x)[:, 0], np.diff(y)[:, 0]
    slope = dx @ dy / (dx @ dx)
    se = np.sqrt(((dy - slope * dx) ** 2).sum() / 11 / (dx @ dx))
    assert table.loc["between", "df"] == pytest.approx(10)
    assert table.loc["within", "df"] == pytest.approx(11)
    for name in ("beta", "se", "t", "p", "ci_low", "ci_high"):
        assert table.loc["between", name] == pytest.approx(between[name]), name
    assert table.loc["within", "beta"] == pytest.approx(slope)
    assert table.loc["within", "se"] == pytest.approx(se)


def test_parts_have_their_own_effects() -> None:
    """Large thalami with high scores, loss without effect: one coefficient would mix both."""
    rng = np.random.default_rng(7)
    subject = np.repeat(np.arange(200), 3)
    mean = rng.normal(13, 1, 200)[subject]
    volume = mean + rng.normal(0, 0.5, 600)
    score = 2.0 * mean + rng.normal(size=200)[subject] + rng.normal(size=600)
    data = pd.DataFrame({"subject": subject, "volume": volume, "score": score})
    model = Model(outcome="score", predictor="volume")
    table = mixed.mixed_table(data, [model]).set_index("term")
    assert table.loc["within", "beta"] == pytest.approx(0, abs=3 * table.loc["within", "se"])
    assert table.loc["between", "ci_low"] > 1.5
    single = mixed.fit_mixed(data, model).coefficients.loc["volume", "beta"]
    assert 0.3 < single < 1.7


def test_type_one_error() -> None:
    """Eight subjects without effects: 5 % of tests reject, within 3 SE of 400 simulations."""
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(8), 3)
    years = np.tile([0.0, 1.0, 2.0], 8)
    rejected = np.zeros(2)
    for _ in range(400):
        volume, score = rng.normal(size=(2, 8))[:, groups] + 0.7 * rng.normal(size=(2, 24))
        mean = volume.reshape(8, 3).mean(axis=1)[groups]
        terms = np.column_stack([np.ones(24), volume - mean, mean, years])
        best = random_intercept.maximise_likelihood(score, terms, groups)
        df = random_intercept.satterthwaite_df(score, terms, groups, best)
        p = 2 * stats.t.sf(np.abs(best.beta / best.se), df)
        rejected += p[1:3] < 0.05
    assert np.abs(rejected / 400 - 0.05).max() < 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("sessions", [2, 4])
def test_balanced_variances_are_those_of_anova(sessions: int) -> None:
    """Balanced sessions without a real term: the ANOVA estimates of Searle et al. 1992."""
    rng = np.random.default_rng(1)
    levels = rng.normal(0, 2, 40)
    values = levels[:, np.newaxis] + rng.normal(size=(40, sessions))
    # A within-subject contrast that is orthogonal to everything costs one degree of freedom.
    contrast = np.tile([-1.0, 1.0, 0.0, 0.0][:sessions], 40)
    data = pd.DataFrame(
        {"subject": np.repeat(np.arange(40), sessions), "y": values.ravel(), "x": contrast}
    )
    fit = mixed.fit_mixed(data, Model(outcome="y", predictor="x"))
    slope = (contrast @ values.ravel()) / (contrast @ contrast)
    residual = values - values.mean(axis=1, keepdims=True) - slope * contrast[:sessions]
    within = (residual**2).sum() / (40 * (sessions - 1) - 1)
    between = values.mean(axis=1).var(ddof=1)
    assert fit.residual_sd == pytest.approx(np.sqrt(within), abs=1e-7)
    assert fit.subject_sd == pytest.approx(np.sqrt(between - within / sessions), abs=1e-7)
    assert fit.coefficients.loc["x", "beta"] == pytest.approx(slope, abs=1e-9)


def test_without_subject_effect_it_is_least_squares() -> None:
    """If subjects do not differ more than sessions do, the fit is the ordinary one."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"subject": np.repeat(np.arange(30), 3), "x": rng.normal(size=90)})
    noise = rng.normal(size=(30, 3))
    noise -= noise.mean(axis=1, keepdims=True)
    data["y"] = data["x"] + noise.ravel()
    fit = mixed.fit_mixed(data, Model(outcome="y", predictor="x"))
    ordinary = regression.fit_linear(data, Model(outcome="y", predictor="x"))
    assert fit.subject_sd == 0
    np.testing.assert_allclose(
        fit.coefficients[["beta", "se"]], ordinary.coefficients[["beta", "se"]]
    )


def test_order_and_names_of_subjects(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Shuffled rows and renamed subjects give the same fit."""
    visits = inputs("visits")
    moved = visits.sample(frac=1, random_state=0)
    moved.index = [0] * len(moved)
    moved["subject"] = "sub-" + moved["subject"].astype(str)
    there, back = mixed.fit_mixed(visits, MODEL), mixed.fit_mixed(moved, MODEL)
    np.testing.assert_allclose(there.coefficients, back.coefficients, rtol=1e-6)
    assert there.subjects == back.subjects == 60


def test_recovers_planted_effect() -> None:
    """Intervals cover the planted slope at about the nominal rate."""
    rng = np.random.default_rng(3)
    hits = pd.Series([0, 0])
    for _ in range(60):
        subject = np.repeat(np.arange(50), 3)
        x = rng.normal(size=50)[subject] + rng.normal(size=150)
        y = 0.7 * x + 2 * rng.normal(size=50)[subject] + rng.normal(size=150)
        data = pd.DataFrame({"subject": subject, "x": x, "y": y})
        table = mixed.mixed_table(data, [Model(outcome="y", predictor="x")])
        hits += table["ci_low"].le(0.7) & table["ci_high"].ge(0.7)
    assert hits.min() >= 52


def test_reasons(inputs: Callable[[str], pd.DataFrame]) -> None:
    """One session is too few, absent columns are named, other models are fitted."""
    visits = inputs("visits")
    single = visits[visits["session"] == 1].assign(years=visits["age"] ** 2)
    (reason,) = mixed.mixed_table(single, [MODEL])["reason"]
    assert reason == "no subject has 2 complete sessions"
    table = mixed.mixed_table(visits, [replace(MODEL, outcome="edss"), MODEL])
    assert table["reason"].tolist() == ["columns ['edss'] are absent", "", ""]
    assert table["term"].tolist()[1:] == ["within", "between"]
    constant = visits.assign(volume=visits.groupby("subject")["volume"].transform("mean"))
    (reason,) = mixed.mixed_table(constant, [MODEL])["reason"]
    assert reason == "'volume_within' is the same in all 231 complete cases"
    (reason,) = mixed.mixed_table(visits[visits["subject"] <= 5], [MODEL])["reason"]
    assert reason == "5 subjects do not exceed the 5 terms that differ between them only"
    (reason,) = mixed.mixed_table(visits, [MODEL], subject="participant")["reason"]
    assert reason == "columns ['participant'] are absent"
