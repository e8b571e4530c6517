"""Functions that draw at random, against R on the same draws (``make_resampling.R``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from bids_app.statistics import (
    bootstrap,
    change,
    discrimination,
    normative,
    ranking,
    stratification,
)
from bids_app.statistics.design import Model
from tests.statistics.conftest import FOLDER

IntArray = npt.NDArray[np.int64]
Inputs = Callable[[str], pd.DataFrame]
CASES, RESAMPLES = 60, 200


class Drawn(np.random.Generator):
    """A generator that hands out the draws of R, row by row."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64())
        self.rows = np.loadtxt(FOLDER / "drawn.csv", delimiter=",", dtype=np.int64).ravel()

    def integers(  # type: ignore[override]
        self, low: int, high: int | None = None, size: int | tuple[int, ...] = 1, **_: object
    ) -> IntArray:
        assert (low if high is None else high) == CASES
        values, self.rows = np.split(self.rows, [int(np.prod(size))])
        return values.reshape(size)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every generator made from a seed hands out the draws of R."""
    monkeypatch.setattr(np.random, "default_rng", lambda _: Drawn())
    monkeypatch.setattr(bootstrap, "draw_places", bootstrap.draw_places.__wrapped__)
    monkeypatch.setattr(bootstrap, "_middles", bootstrap._middles.__wrapped__)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((FOLDER / "resampling.json").read_text())
    return results


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("case", ["median percentile", "mean percentile", "mean BCa"])
def test_bootstrap_agrees_with_r(expected: dict[str, Any], inputs: Inputs, case: str) -> None:
    statistic, method = case.split()
    interval = bootstrap.bootstrap_interval(
        inputs("scores")["a"],
        statistic,  # type: ignore[arg-type]
        method=method,  # type: ignore[arg-type]
        resamples=RESAMPLES,
    )
    assert_allclose(
        [interval.estimate, interval.low, interval.high],
        expected["bootstrap"][f"{statistic}_{method}"],
        rtol=1e-10,
    )


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("criterion", ["mean", "concordance"])
def test_ranking_agrees_with_r(expected: dict[str, Any], inputs: Inputs, criterion: str) -> None:
    scores = inputs("scores")[["a", "b", "c", "d"]]
    names, statistic = list(scores), ranking.mean_scores
    if criterion == "concordance":
        names, statistic = names[1:], ranking.concordance_scores
    table = ranking.rank_methods(scores, names, statistic=statistic, resamples=RESAMPLES)
    table = table.set_index("method").loc[names]
    for column, values in expected["ranking"][criterion].items():
        assert_allclose(table[column], values, rtol=1e-10, err_msg=column)


@pytest.mark.usefixtures("drawn")
def test_sample_size_interval_agrees_with_r(expected: dict[str, Any], inputs: Inputs) -> None:
    table = change.sample_size_table(inputs("rates")[:CASES], resamples=RESAMPLES)
    observed = table[["sample_size", "sample_size_ci_low", "sample_size_ci_high"]].iloc[0]
    assert_allclose(observed.astype(float), expected["sample_size"])


@pytest.mark.usefixtures("drawn")
def test_classification_intervals_agree_with_r(expected: dict[str, Any], inputs: Inputs) -> None:
    classes = inputs("classes")[:CASES]
    result = discrimination.classify(
        classes["disabled"], classes["probability"], classes.index, resamples=RESAMPLES
    )
    for name, values in expected["classification"].items():
        interval = getattr(result, name)
        observed = [interval.estimate, interval.low, interval.high]
        assert_allclose(observed, values, rtol=1e-10, err_msg=name)


def test_cross_validation_agrees_with_r(
    expected: dict[str, Any], inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ridge logistic regression in given folds, solved in R by Newton's method."""
    folds = inputs("folds")["fold"].to_numpy()

    class Given:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def split(self, *_: object) -> list[tuple[IntArray, ...]]:
            return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(4)]

    for name in ("StratifiedGroupKFold", "StratifiedKFold"):
        monkeypatch.setattr(stratification, name, Given)
    monkeypatch.setattr(stratification, "_folds", stratification._folds.__wrapped__)
    model = Model(outcome="sdmt", predictor="volume", numeric=("age",), categorical=("sex",))
    table = stratification.cross_validate(inputs("cohort"), model, threshold=45, folds=4, repeats=1)
    assert table["fold"].tolist() == folds.tolist()
    assert_allclose(table["probability"], expected["folds"], atol=1e-9)


def test_change_agrees_with_r(expected: dict[str, Any], inputs: Inputs) -> None:
    table = change.change_table(inputs("visits"), "volume", keys=["subject"])
    assert table["subject"].tolist() == expected["change"].pop("subject")
    for column, values in expected["change"].items():
        assert_allclose(table[column], values, rtol=1e-9, atol=1e-12, err_msg=column)


def test_scanner_residuals_agree_with_r(expected: dict[str, Any], inputs: Inputs) -> None:
    result = normative.scanner_residuals(inputs("repeats").rename(columns={"subject": "scanner"}))
    assert_allclose(result.intra, expected["scanners"]["intra"], atol=1e-12)
    assert_allclose(result.inter, expected["scanners"]["inter"], atol=1e-12)
