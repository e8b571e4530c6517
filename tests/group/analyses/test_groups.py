"""Volume change compared between groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import (
    groups,
)
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from bids_app.statistics.design import Model
from bids_app.statistics.regression import fit_linear
from tests.group.conftest import Declare, described


def test_diagnoses_are_compared_at_equal_age(study: Study) -> None:
    result = groups.analyse(study)
    # All follow-ups are a year after the first session, so time cannot be adjusted for.
    assert "group + age." in result.tables["groups"].caption
    tests, pairs = (
        result.tables[name].data.query("by == 'diagnosis'") for name in ("groups", "groups_pairs")
    )
    assert list(tests["n"]) == [40, 40]
    assert list(pairs["first"]) == ["PMS", "PMS"]


def new_scanners(table: pd.DataFrame) -> pd.DataFrame:
    """A third of the participants changed scanner."""
    number = table["participant_id"].str[-3:].astype(int)
    table["scanner"] = np.where((number % 3 == 0) & (table["visit"] == 1), "new", "old")
    return table


def test_change_is_compared_between_better_and_worse(declare: Declare) -> None:
    study = declare("", new_scanners)
    result = groups.analyse(study)
    assert described(result)
    tests = result.tables["groups"].data
    assert set(zip(tests["by"], tests["method"], strict=True)) == {
        (by, method)
        for by in ("diagnosis", "progression")
        for method in ("first T1w", "thalnet T1w")
    }
    assert (tests["reason"] == "").all()
    means = result.tables["groups_means"].data
    kinds = set(means.loc[means["by"] == "progression", "group"])
    assert kinds <= {"better", "stable", "worse"}
    assert len(kinds) > 1
    # Worse than at the first session, everything else being equal.
    regression = result.tables["groups_regression"]
    assert "+ scanner_change + age + sex + disease_duration." in regression.caption
    assert "constant: interval" in regression.caption
    data = study.changes[study.changes["segmentation"] == "thalnet T1w"]
    data = data.set_index("participant_id")
    later = study.followup.set_index("participant_id")
    first = study.baseline.set_index("participant_id")
    data["worse"] = (later["edss"] > first["edss"]).astype(float)
    data["new"] = (later["scanner"] == "new").astype(float)
    model = Model(
        outcome="percent",
        predictor="worse",
        numeric=("new", "age", "disease_duration"),
        categorical=("sex",),
    )
    row = regression.data.set_index("segmentation").loc["thalnet T1w"]
    expected = fit_linear(data, model).coefficients.loc["worse"]
    assert row["beta"] == pytest.approx(expected["beta"])
    assert row["p"] == pytest.approx(expected["p"])


def test_p_values_are_adjusted_over_methods_and_kinds(study: Study) -> None:
    result = groups.analyse(study)
    tests = result.tables["groups"].data.sort_values("p")
    # Benjamini-Hochberg by hand: p times tests over rank, at most the next.
    scaled = (tests["p"] * len(tests) / np.arange(1, len(tests) + 1))[::-1].cummin()[::-1]
    assert tests["p_adj"].tolist() == pytest.approx(scaled.tolist())
    assert (tests["p_adj"] > tests["p"]).any()
    for row in tests.itertuples():
        assert (f"{row.method} ({row.by})" in result.findings) == (row.p_adj < 0.05)


def test_groups_need_a_column(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="one of the columns"):
        groups.analyse(declare("[groups]\nby = ['site']\noutcome = 'nothing'"))


def test_a_constant_scanner_is_omitted(study: Study) -> None:
    caption = groups.analyse(replace(study)).tables["groups_regression"].caption
    assert "Omitted, absent or constant: scanner_change" in caption
