"""Norms, groups by progression, and variances of repeat scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.dataset.tables import Column
from bids_app.derivatives.data_dictionary import describe_columns
from bids_app.group.analyses import groups, normative, reliability
from bids_app.group.result import NotApplicableError, Result
from bids_app.group.study import Study
from bids_app.statistics.design import Model
from bids_app.statistics.normative import fit_normative
from bids_app.statistics.regression import fit_linear


def described(result: Result) -> bool:
    """Tell whether every column of every table is in the data dictionary."""
    columns = [name for table in result.tables.values() for name in table.data.columns]
    clinical = {"diagnosis": Column("participants.tsv", "diagnosis")}
    return all(entry["Description"] for entry in describe_columns(columns, clinical).values())


Declare = Callable[..., Study]


def with_controls(table: pd.DataFrame) -> pd.DataFrame:
    """Every other participant is healthy; patient 2 has lost a third of the volume."""
    number = table["participant_id"].str[-3:].astype(int)
    table["diagnosis"] = np.where(number % 2 == 1, "hc", "RRMS")
    table.loc[number == 2, "total_ml"] *= 0.66
    return table


def test_patients_are_tested_against_the_norm_of_the_healthy(declare: Declare) -> None:
    study = declare("[normative]\nscanner_sd = { thalnet = 0.1 }", with_controls)
    result = normative.analyse(study)
    assert described(result)
    summary = result.tables["normative_summary"].data.set_index("segmentation")
    assert (summary["n"] + summary["outliers"] == 20).all()
    assert summary["assessed"].tolist() == [20, 20]
    assert summary["scanner_sd"].to_dict() == {"first T1w": 0.0, "thalnet T1w": 0.1}
    singles = result.tables["normative"].data.set_index(["participant_id", "segmentation"])
    lost = singles.loc[("sub-002", "thalnet T1w")]
    assert lost["reduced"]
    first = study.baseline
    healthy = first[first["diagnosis"] == "hc"]
    named = {"volume": healthy["thalnet T1w"], "tiv": healthy["icv_ml"], "age": healthy["age"]}
    model = fit_normative(pd.DataFrame(named))
    assert summary.loc["thalnet T1w", "residual_sd"] == pytest.approx(model.residual_sd)
    width = lost["residual_ml_ci_high"] - lost["residual_ml_ci_low"]
    assert width == pytest.approx(2 * 1.96 * 0.1)
    assert 0 < summary["share_reduced_ci_low"].iloc[1] < summary["share_reduced"].iloc[1]


def test_no_norm_without_the_healthy_or_with_few(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="no participant has diagnosis in"):
        normative.analyse(declare(""))

    def few(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(diagnosis=np.where(table["participant_id"] < "sub-004", "HC", "MS"))

    with pytest.raises(NotApplicableError, match="3 complete cases do not determine 6"):
        normative.analyse(declare("", few))
    with pytest.raises(NotApplicableError, match="no table has a column 'age'"):
        normative.analyse(declare("", lambda table: table.drop(columns="age")))


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


def test_groups_need_a_column(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="one of the columns"):
        groups.analyse(declare("[groups]\nby = ['site']\noutcome = 'nothing'"))


def test_variances_of_repeat_scans_are_compared(declare: Declare) -> None:
    def repeat(table: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(0)
        again = table.assign(scan=table["scan"].str.replace("_T1w", "_run-2_T1w"))
        spread = np.where(again["method"] == "first", 1.0, 0.05)
        again["total_ml"] += rng.normal(0, 1, len(again)) * spread
        return pd.concat([table, again], ignore_index=True)

    study = declare("", repeat)
    result = reliability.analyse(study)
    assert described(result)
    tests = result.tables["measurement_error_tests"].data
    assert tests["n_first"].tolist() == [80]
    assert tests["p_median_adj"].iloc[0] < 1e-6
    errors = result.tables["measurement_error"].data.set_index("method")
    ratio = errors.loc["first T1w", "within_sd"] / errors.loc["thalnet T1w", "within_sd"]
    assert tests["sd_first"].iloc[0] / tests["sd_second"].iloc[0] == pytest.approx(ratio, rel=0.1)


def test_followup_without_any_change_of_scanner_leaves_it_out(study: Study) -> None:
    caption = groups.analyse(replace(study)).tables["groups_regression"].caption
    assert "Omitted, absent or constant: scanner_change" in caption
