"""Calibration to reference labels."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bids_app.group.analyses import calibration
from bids_app.group.mapping import CALIBRATED
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from tests.group.conftest import Declare


def test_volumes_are_calibrated_and_the_calibration_evaluated(study: Study) -> None:
    result = calibration.analyse(study)
    table = result.tables["calibration"].data
    assert list(table["segmentation"]) == ["first T1w", "thalnet T1w"]
    assert (table["n"] == 8).all()
    assert set(result.tables["calibration_evaluation"].data["volumes"]) == {
        "as measured",
        "mapped",
    }
    assert "thalnet T1w: leave-one-out CCC" in result.findings
    assert table["weights"].nunique() == 1


def test_the_calibration_is_fitted_to_what_is_analysed(study: Study, declare: Declare) -> None:
    def flag(table: pd.DataFrame) -> pd.DataFrame:
        wrong = table["participant_id"].isin(["sub-001", "sub-002"]) & (table["method"] == "first")
        table.loc[wrong, "qc"] = "check"
        table.loc[wrong, "total_ml"] += 10
        return table

    kept = calibration.analyse(study).tables["calibration"].data.set_index("segmentation")
    spoilt = replace(declare("flagged = 'keep'", flag), reference_dir=study.reference_dir)
    table = calibration.analyse(spoilt).tables["calibration"].data.set_index("segmentation")
    assert table.loc["first T1w", "residual_sd"] > 2 * kept.loc["first T1w", "residual_sd"]
    plan = replace(spoilt.plan, flagged="exclude", segmentations=("first T1w",))
    excluded = replace(spoilt, plan=plan, calibrate=True)
    table = calibration.analyse(excluded).tables["calibration"].data
    assert table[["segmentation", "subjects", "n"]].to_numpy().tolist() == [["first T1w", 6, 6]]
    clean = replace(
        declare("", lambda rows: rows[~_flagged(flag(rows))]), reference_dir=study.reference_dir
    )
    expected = calibration.analyse(clean).tables["calibration"].data.set_index("segmentation")
    for name in ("calibration_intercept", "calibration_slope", "residual_sd"):
        assert table[name].iloc[0] == pytest.approx(expected.loc["first T1w", name], nan_ok=True)
    # Other segmentations have no calibration, and flagged volumes are predicted all the same.
    calibrated = excluded.table[CALIBRATED[0]].notna()
    assert calibrated.equals(excluded.table["segmentation"] == "first T1w")
    none = replace(spoilt, plan=replace(plan, segmentations=("other",)))
    with pytest.raises(NotApplicableError, match="none of the segmentations"):
        calibration.analyse(none)


def _flagged(rows: pd.DataFrame) -> pd.Series:
    return rows["qc"] == "check"
