"""Random-intercept models of repeated sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics import mixed, regression
from bids_app.statistics.design import Model

MODEL = Model(
    outcome="sdmt",
    predictor="volume",
    numeric=("years", "age", "icv"),
    categorical=("sex",),
    standardised=("icv",),
)


def test_table_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package lme4, REML, three to five sessions, missing outcomes."""
    row = mixed.mixed_table(inputs("visits"), [MODEL]).iloc[0]
    assert row["reason"] == ""
    for name, value in expected["mixed"].items():
        assert row[name] == pytest.approx(value, abs=1e-6), name


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
    hits = 0
    for _ in range(60):
        subject = np.repeat(np.arange(50), 3)
        x = rng.normal(size=50)[subject] + rng.normal(size=150)
        y = 0.7 * x + 2 * rng.normal(size=50)[subject] + rng.normal(size=150)
        data = pd.DataFrame({"subject": subject, "x": x, "y": y})
        row = mixed.fit_mixed(data, Model(outcome="y", predictor="x")).coefficients.loc["x"]
        hits += row["ci_low"] <= 0.7 <= row["ci_high"]
    assert hits >= 52


def test_reasons(inputs: Callable[[str], pd.DataFrame]) -> None:
    """One session is too few, absent columns are named, other models are fitted."""
    visits = inputs("visits")
    single = visits[visits["session"] == 1].assign(years=visits["age"] ** 2)
    (reason,) = mixed.mixed_table(single, [MODEL])["reason"]
    assert reason == "no subject has 2 complete sessions"
    table = mixed.mixed_table(visits, [replace(MODEL, outcome="edss"), MODEL])
    assert table["reason"].tolist() == ["columns ['edss'] are absent", ""]
    (reason,) = mixed.mixed_table(visits, [MODEL], subject="participant")["reason"]
    assert reason == "columns ['participant'] are absent"
