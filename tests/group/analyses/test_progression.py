"""Volume change and progression: planted losses, confirmation, small classes, missing scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import progression
from bids_app.group.progression import progression_of
from bids_app.group.study import Study
from bids_app.statistics.anova import analyse_covariance
from bids_app.statistics.design import Model
from bids_app.statistics.logistic import fit_logistic
from bids_app.statistics.regression import fit_linear
from tests.group.conftest import Declare, described

Change = Callable[[pd.DataFrame], pd.DataFrame]


def planted(loss_of_worse: float = 3.0, worse: int = 14, better: int = 8) -> Change:
    """Of 40 participants, some worsen by a point and lose more volume than the others (%)."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(5)
        number = table["participant_id"].str[-3:].astype(int).to_numpy()
        later = (table["visit"] == 1).to_numpy()
        step = np.select([number <= worse, number > 40 - better], [1.0, -1.0], 0.0)
        table["edss"] = 3.0 + later * step
        table["scanner"] = np.where((number % 3 == 0) & later, "new", "old")
        table["interval"] = np.where(later, 0.8 + number % 7 / 10, 0.0)
        lost = rng.normal(0.6, 0.8, 41)[number] + np.where(number <= worse, loss_of_worse, 0.0)
        first = table.groupby(["participant_id", "method"])["total_ml"].transform("first")
        table["total_ml"] = np.where(later, first * (1 - lost / 100), table["total_ml"])
        return table

    return change


def wide(study: Study, method: str = "thalnet T1w") -> pd.DataFrame:
    """One row per participant: change of a method, class and covariates."""
    rows = study.changes[study.changes["segmentation"] == method].set_index("participant_id")
    later, first = (each.set_index("participant_id") for each in (study.followup, study.baseline))
    change = later["edss"] - first["edss"]
    rows["class"] = np.select([change >= 1, change <= -1], ["worse", "better"], "stable")
    rows["worse"] = (change >= 1).astype("float64")
    rows["scanner_change"] = (later["scanner"] == "new").astype("float64")
    return rows


def test_a_planted_loss_is_recovered(declare: Declare) -> None:
    study = declare("", planted())
    result = progression.analyse(study)
    assert described(result)
    tables = {name: table.data for name, table in result.tables.items()}
    edss = tables["progression_classes"].set_index("outcome").loc["edss"]
    assert edss[["n", "n_worse", "n_stable", "n_better", "missing"]].tolist() == [40, 14, 18, 8, 0]
    pairs = tables["progression_groups_pairs"].query("by == 'edss' and method == 'thalnet T1w'")
    row = pairs.set_index(["first", "second"]).loc[("stable", "worse")]
    assert row["difference"] == pytest.approx(3.0, abs=0.6)
    assert row["ci_low"] < 3 < row["ci_high"]
    # Values are those of the statistics, of the same participants and covariates.
    data = wide(study)
    expected = analyse_covariance(data, "percent", "class", ["age", "interval"])
    tests = tables["progression_groups"].query("by == 'edss'").set_index("method")
    assert tests.loc["thalnet T1w", "f"] == pytest.approx(expected.f)
    eta = expected.terms["partial_eta_squared"]
    assert tests.loc["thalnet T1w", "partial_eta_squared"] == pytest.approx(eta[0])
    terms = tables["progression_groups_covariates"].query("by == 'edss'")
    ages = terms.set_index(["method", "term"]).loc[("thalnet T1w", "age")]
    assert (ages["f"], ages["partial_eta_squared"]) == pytest.approx(
        (expected.terms["f"][1], eta[1])
    )
    # Bonferroni over the three pairs.
    assert pairs["p_adj"].tolist() == pytest.approx((3 * pairs["p"]).clip(upper=1).tolist())


def test_models_are_those_of_the_statistics(declare: Declare) -> None:
    study = declare("", planted(0.5))
    tables = progression.analyse(study).tables
    data = wide(study)
    numeric = ("scanner_change", "age", "disease_duration", "interval")
    shared = {"numeric": numeric, "categorical": ("sex",)}
    regression = tables["progression_regression"].data.set_index(["outcome", "segmentation"])
    expected = fit_linear(data, Model(outcome="percent", predictor="worse", **shared))  # type: ignore[arg-type]
    row = regression.loc[("edss", "thalnet T1w")]
    assert row["beta"] == pytest.approx(expected.coefficients["beta"]["worse"])
    odds = tables["progression_logistic"].data.set_index(["outcome", "segmentation"])
    data["loss"] = -data["percent"]
    model = Model(outcome="worse", predictor="loss", **shared)  # type: ignore[arg-type]
    logistic = fit_logistic(data, model)
    row = odds.loc[("edss", "thalnet T1w")]
    assert row["odds_ratio"] == pytest.approx(logistic.coefficients["odds_ratio"]["loss"])
    assert row[["n", "events"]].tolist() == [40, 14]
    assert "+ Scanner change + Age + Sex + Disease duration + Interval." in (
        tables["progression_logistic"].caption
    )


def test_without_a_planted_loss_there_is_none(declare: Declare) -> None:
    result = progression.analyse(declare("", planted(0.0)))
    tests = result.tables["progression_groups"].data
    assert (tests.loc[tests["by"] == "edss", "p_adj"] > 0.05).all()
    assert "odds ratio" not in result.findings


def with_third_visit(scores: dict[str, float], years: float = 2.0) -> Change:
    """Add a visit after the follow-up of some participants."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = planted()(table)
        later = table[(table["visit"] == 1) & table["participant_id"].isin(scores)]
        third = later.assign(visit=2, interval=years, session_id="ses-03")
        third["edss"] = third["participant_id"].map(scores)
        return pd.concat([table, third], ignore_index=True)

    return change


def test_a_later_visit_confirms_or_refutes(declare: Declare) -> None:
    """Sustained, back to the first score, better still, and without a score."""
    scores = {"sub-001": 4.5, "sub-002": 3.0, "sub-003": np.nan, "sub-040": 1.5, "sub-039": 2.5}
    study = declare("", with_third_visit(scores))
    rule = study.plan.progression.outcomes[0]
    people = progression_of(study, rule).set_index("participant_id")
    found = people.loc[list(scores), ["progression", "confirmation"]]
    assert found.to_numpy().tolist() == [
        ["worse", "confirmed"],
        ["stable", "not confirmed"],
        ["worse", "no later visit"],
        ["better", "confirmed"],
        ["stable", "not confirmed"],
    ]
    assert people.loc["sub-020", "progression"] == "stable"
    assert pd.isna(people.loc["sub-020", "confirmation"])
    counts = progression.analyse(study).tables["progression_classes"].data.iloc[0]
    assert counts[["n_worse", "n_confirmed", "n_not_confirmed"]].tolist() == [13, 2, 2]
    assert counts["n_no_later_visit"] == 18


def test_a_visit_too_soon_confirms_nothing(declare: Declare) -> None:
    study = declare("", with_third_visit({"sub-002": 3.0}, years=1.1))
    people = progression_of(study, study.plan.progression.outcomes[0]).set_index("participant_id")
    assert people.loc["sub-002", ["progression", "confirmation"]].tolist() == [
        *("worse", "no later visit")
    ]


def test_small_classes_are_named_and_not_compared(declare: Declare) -> None:
    result = progression.analyse(declare("", planted(better=3)))
    groups = result.tables["progression_groups"]
    assert "edss: 3 are better, fewer than 5; the class is not compared." in groups.caption
    means = result.tables["progression_groups_means"].data.query("by == 'edss'")
    assert set(means["group"]) == {"stable", "worse"}
    few = progression.analyse(declare("", planted(worse=1, better=8)))
    assert "edss: 1 is worse, fewer than 5" in few.tables["progression_classes"].caption
    for name in ("progression_logistic", "progression_regression"):
        rows = few.tables[name].data.set_index("outcome").loc["edss"]
        assert set(rows["reason"]) == {"1 participants are worse, at least 5 are needed"}
        assert rows["p_adj"].isna().all()


def test_missing_scores_are_counted_and_named(declare: Declare) -> None:
    def without_some(table: pd.DataFrame) -> pd.DataFrame:
        table = planted()(table)
        table.loc[table["participant_id"].isin(["sub-020", "sub-021"]), "edss"] = np.nan
        return table

    result = progression.analyse(declare("", without_some))
    classes = result.tables["progression_classes"]
    assert (
        "edss: 2 of 40 participants with a follow-up lack it at one of the two" in classes.caption
    )
    assert classes.data.set_index("outcome").loc["edss", ["n", "missing"]].tolist() == [38, 2]


def test_an_absent_score_is_a_row_of_its_own(declare: Declare) -> None:
    study = declare("", lambda table: table.drop(columns="edss"))
    result = progression.analyse(study)
    assert result.impossible == {"edss": "no table has a column 'edss'"}
    assert set(result.tables["progression_classes"].data["outcome"]) == {"t25fw", "nhpt"}
    rules = study.plan.progression.outcomes[:1]
    only = replace(study.plan, progression=replace(study.plan.progression, outcomes=rules))
    reason = progression.ANALYSIS.attempt(replace(study, plan=only)).reason
    assert reason == "no table has a column 'edss'"
