"""Distinction of disabled from other patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import (
    stratification,
)
from bids_app.group.result import NotApplicableError
from tests.group.conftest import Declare

_FEW = "[stratification]\nthreshold = 2.5\nfolds = 3"


def test_stratification(declare: Declare) -> None:
    study = declare(_FEW)
    result = stratification.analyse(study)
    table = result.tables["stratification"].data
    assert table["auc"].gt(0.5).all()
    assert list(table["patients"]) == [40, 40]
    assert set(result.figures) == {"stratification_calibration"}
    wide = replace(study, plan=replace(study.plan, confidence=0.5))
    narrower = stratification.analyse(wide).tables["stratification"].data
    assert (narrower["auc_ci_high"] < table["auc_ci_high"]).all()


def planted(table: pd.DataFrame) -> pd.DataFrame:
    """Let the ventricles grow with disability, and nothing else."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, (3, len(table)))
    return table.assign(
        brain_ml=1200 + 30 * noise[0],
        deep_grey_ml=40 + noise[1],
        ventricles_ml=20 + 5 * table["edss"] + noise[2],
    )


def test_a_planted_signal_is_found_in_its_region(declare: Declare) -> None:
    table = stratification.analyse(declare(_FEW, planted)).tables["stratification_regions"].data
    table = table.set_index("input")
    assert table["auc"].drop("ventricles").drop("global").dropna().max() < 0.85
    assert table["auc"].drop("global").idxmax() == "ventricles"
    assert table.loc["ventricles", "auc"] > 0.85
    assert table.loc["global", "auc"] > 0.85
    assert table.loc["ventricles", "auc_difference_ci_low"] > 0
    assert table.loc["ventricles", "p_adj"] < 0.01
    # One draw of noise may be significant, but not as much as what was planted.
    assert table["p"].drop("global").idxmin() == "ventricles"
    assert table["p"].drop(["global", "ventricles"]).min() > 1e4 * table.loc["ventricles", "p"]
    for region in ("white matter", "grey matter", "brainstem"):
        assert "one class for white matter, cortex, brainstem" in table.loc[region, "reason"]
        assert np.isnan(table.loc[region, "auc"])


def test_results_without_regions_say_so(declare: Declare) -> None:
    result = stratification.analyse(declare(_FEW, lambda table: table.assign(ventricles_ml=np.nan)))
    assert "stratification_regions" not in result.tables
    assert "no volumes of regions" in result.impossible["regional inputs"]
    assert result.tables["stratification"].data["auc"].notna().all()


def test_bad_input_is_a_sentence(declare: Declare) -> None:
    """No EDSS at all, and a class of four patients."""
    with pytest.raises(NotApplicableError, match="no table has a column 'edss'"):
        stratification.analyse(declare(_FEW, lambda table: table.drop(columns="edss")))
    empty = stratification.analyse(declare(_FEW, lambda table: table.assign(edss=np.nan)))
    assert empty.reason == "all values of ['edss'] are missing"
    assert not empty.figures

    def rare(table: pd.DataFrame) -> pd.DataFrame:
        ill = table["participant_id"].isin([f"sub-00{number}" for number in range(1, 5)])
        return table.assign(edss=np.where(ill, 6.0, 1.0))

    few = stratification.analyse(declare(_FEW, rare))
    assert few.reason == "4 disabled patients, at least 5 of each class are needed"
    assert "classifiers" not in few.documents


def test_a_patient_on_two_scanners_counts_once(declare: Declare) -> None:
    def moved(table: pd.DataFrame) -> pd.DataFrame:
        later = (table["visit"] == 1) & (table["participant_id"] == "sub-003")
        return table.assign(scanner_device=np.where(later, "B", "A"))

    table = stratification.analyse(declare(_FEW, moved)).tables["stratification"]
    assert "; 1 scanned on several scanners count once" in str(table.settings["Sessions"])
    assert list(table.data["patients"]) == [40, 40]
