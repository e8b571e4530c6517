"""Individual participants and the normative model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import normative
from bids_app.group.result import NotApplicableError
from bids_app.statistics.normative import fit_normative
from tests.group.conftest import Declare, described


def with_controls(table: pd.DataFrame) -> pd.DataFrame:
    """Every other participant is healthy; patient 2 has lost a third of the volume."""
    number = table["participant_id"].str[-3:].astype(int)
    table["diagnosis"] = np.where(number % 2 == 1, "hc", "RRMS")
    table.loc[number == 2, "total_ml"] *= 0.66
    return table


def test_patients_are_compared_with_the_model_of_the_healthy(declare: Declare) -> None:
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
    model = fit_normative(pd.DataFrame(named), "prediction")
    assert summary.loc["thalnet T1w", "residual_sd"] == pytest.approx(model.residual_sd)
    width = lost["residual_ml_ci_high"] - lost["residual_ml_ci_low"]
    assert width == pytest.approx(2 * 1.96 * 0.1)
    assert 0 < summary["share_reduced_ci_low"].iloc[1] < summary["share_reduced"].iloc[1]


def test_participants_without_a_diagnosis_are_no_patients(declare: Declare) -> None:
    def unknown(table: pd.DataFrame) -> pd.DataFrame:
        table = with_controls(table)
        return table.assign(diagnosis=table["diagnosis"].mask(table["participant_id"] == "sub-002"))

    result = normative.analyse(declare("", unknown))
    assert result.tables["normative_summary"].data["assessed"].tolist() == [19, 19]
    assert "sub-002" not in set(result.tables["normative"].data["participant_id"])


def test_no_model_with_few_healthy_participants(declare: Declare) -> None:
    with pytest.raises(NotApplicableError, match="no participant has diagnosis in"):
        normative.analyse(declare(""))

    def few(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(diagnosis=np.where(table["participant_id"] < "sub-004", "HC", "MS"))

    with pytest.raises(NotApplicableError, match="3 complete cases do not determine 6"):
        normative.analyse(declare("", few))
    with pytest.raises(NotApplicableError, match="no table has a column 'age'"):
        normative.analyse(declare("", lambda table: table.drop(columns="age")))


def test_the_rule_is_that_of_the_analysis_file(declare: Declare) -> None:
    spread = {}
    for rule, words in (("prediction", "t(0.025, n - 6)"), ("opfer", "residual_sd with n - 1")):
        study = declare(f"[normative]\nrule = '{rule}'", with_controls)
        table = normative.analyse(study).tables["normative"]
        assert words in str(table.settings["Reduced"])
        rows = table.data[table.data["segmentation"] == "thalnet T1w"]
        spread[rule] = rows["residual_ml"] / rows["z_score"]
    assert np.ptp(spread["opfer"]) < 1e-9
    assert spread["prediction"].min() > spread["opfer"].max()
