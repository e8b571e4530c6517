"""Measurement error from repeat scans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import (
    reliability,
)
from tests.group.conftest import Declare, described


def test_measurement_error_from_repeat_scans(declare: Declare) -> None:
    def repeat(table: pd.DataFrame) -> pd.DataFrame:
        again = table[table["visit"] == 0].copy()
        again["scan"] = again["scan"].str.replace("_T1w", "_run-2_T1w")
        again["total_ml"] += np.random.default_rng(0).normal(0, 0.3, len(again))
        return pd.concat([table, again], ignore_index=True)

    text = '[[model]]\nname = "a"\ntype = "cross-sectional"\noutcomes = [{ column = "sdmt" }]\n'
    tables = reliability.analyse(declare(text, repeat)).tables
    error = tables["measurement_error"].data.set_index("method")
    assert list(error["subjects"]) == [40, 40]
    assert list(error["df"]) == [40, 40]
    assert error["within_sd_ci_low"].lt(0.3 / np.sqrt(2)).all()
    assert error["within_sd_ci_high"].gt(0.3 / np.sqrt(2)).all()
    corrected = tables["models_corrected"].data
    assert (corrected["beta_corrected"].abs() > corrected["beta"].abs()).all()


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
    assert tests["n"].tolist() == [80]
    assert tests["p_adj"].iloc[0] < 1e-6
    assert tests["t"].iloc[0] > 0
    errors = result.tables["measurement_error"].data.set_index("method")
    ratio = errors.loc["first T1w", "within_sd"] / errors.loc["thalnet T1w", "within_sd"]
    assert tests["sd_first"].iloc[0] / tests["sd_second"].iloc[0] == pytest.approx(ratio, rel=0.1)
