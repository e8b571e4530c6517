"""Methods compared on the participants common to all, or on all available for each."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import (
    agreement,
    change,
    clinical,
    flow,
    groups,
    normative,
    overlap,
    pbvc,
    sample_size,
    stratification,
    volumes,
)
from bids_app.group.common_sample import compared_rows, sample_note
from bids_app.group.result import NotApplicableError
from bids_app.statistics.design import Model
from bids_app.statistics.regression import fit_linear
from tests.group.conftest import Declare

# Of 40 participants, these have no volume by one of the methods, of whom the last has a reference.
LACKING = [f"sub-{i:03d}" for i in (11, 12, 13, 14, 15, 5)]


def incomplete(table: pd.DataFrame) -> pd.DataFrame:
    """Remove the volumes of `LACKING` by first."""
    lacks = table["participant_id"].isin(LACKING) & (table["method"] == "first")
    return table[~lacks].reset_index(drop=True)


@pytest.mark.parametrize(
    ("analysis", "table", "available", "common"),
    [
        (volumes, "volumes_summary", {40, 34}, {34}),
        (overlap, "overlap_summary", {8, 7}, {7}),
        (agreement, "agreement", {8, 7}, {7}),
        (change, "change_summary", {40, 34}, {34}),
        (pbvc, "pbvc", {40, 34}, {34}),
        (stratification, "stratification", {40, 34}, {34}),
    ],
)
def test_methods_have_the_same_participants(
    declare: Declare, analysis: ModuleType, table: str, available: set[int], common: set[int]
) -> None:
    for sample, expected in (("available", available), ("common", common)):
        result = analysis.analyse(declare(f'sample = "{sample}"', incomplete))
        assert set(result.tables[table].data["n"]) == expected


def test_the_other_tables_of_methods_have_the_same_participants(declare: Declare) -> None:
    trial = sample_size.analyse(declare('sample = "common"', incomplete)).tables["sample_size"].data
    assert set(trial.loc[trial["diagnosis"] == "all", "n"]) == {34}
    assert trial.groupby("diagnosis")["n"].nunique().eq(1).all()
    text = '[stratification]\nfolds = 3\n[normative]\ncontrols = ["PMS"]'
    study = declare(f'sample = "common"\n{text}', incomplete)
    tests = groups.analyse(study).tables["groups"].data
    assert set(tests.loc[tests["by"] == "diagnosis", "n"]) == {34}
    summary = normative.analyse(study).tables["normative_summary"].data
    assert summary["assessed"].nunique() == 1


def test_models_of_the_common_sample_are_those_of_its_participants(declare: Declare) -> None:
    study = declare('sample = "common"', incomplete)
    table = clinical.analyse(study).tables["models_cross-sectional"].data
    rows = table[(table["outcome"] == "edss") & (table["segmentation"] == "thalnet T1w")]
    kept = study.baseline[~study.baseline["participant_id"].isin(LACKING)]
    model = Model(
        outcome="edss",
        predictor="thalnet T1w",
        numeric=("age", "icv_ml"),
        categorical=("sex",),
        standardised=("icv_ml",),
        covariance="HC3",
    )
    expected = fit_linear(kept, model)
    assert rows["beta"].item() == pytest.approx(expected.coefficients["beta"]["thalnet T1w"])
    # The covariates alone, fitted to the same participants.
    alone = Model(outcome="edss", predictor="age", numeric=("icv_ml",), categorical=("sex",))
    baseline = fit_linear(kept.dropna(subset=["edss"]), alone)
    assert rows["r2_covariates"].item() == pytest.approx(baseline.r2)
    assert rows["r2_increment"].item() == pytest.approx(expected.r2 - baseline.r2)


def test_the_flow_counts_who_is_not_common(declare: Declare) -> None:
    study = declare('sample = "common"', incomplete)
    result = flow.analyse(study)
    table = result.tables["flow"].data
    lost = table[table["reason"] == "no result by every method"].set_index("step")
    assert lost.loc["Volume by every method", ["participants", "left_out"]].tolist() == [34, 6]
    assert lost.loc["Change by every method", ["participants", "left_out"]].tolist() == [34, 6]
    assert lost.loc["Reference and every method", ["participants", "left_out"]].tolist() == [7, 1]
    assert lost.loc["cross-sectional: edss", ["participants", "left_out"]].tolist() == [34, 6]
    assert "compared on the same participants" in result.methods
    usual = flow.analyse(declare("", incomplete))
    assert "every method" not in " ".join(usual.tables["flow"].data["step"])


def test_a_method_that_no_one_shares_with_the_others_is_a_reason() -> None:
    rows = pd.DataFrame(
        {"participant_id": ["a", "b"], "segmentation": ["x", "y"], "total_ml": [1.0, 2.0]}
    )
    with pytest.raises(NotApplicableError, match="no participant has total_ml by every method"):
        compared_rows(rows, "total_ml", "common")
    # A method without any value does not empty the sample.
    rows.loc[1, "total_ml"] = np.nan
    assert compared_rows(rows, "total_ml", "common")["segmentation"].tolist() == ["x"]


def test_differing_samples_are_noted_within_an_outcome_only() -> None:
    table = pd.DataFrame(
        {
            "outcome": ["edss", "edss", "sdmt", "sdmt"],
            "segmentation": list("abab"),
            "n": [9, 9, 5, 5],
        }
    )
    assert sample_note(table, "available") == ""
    assert sample_note(table, "common").startswith("Sample: participants with a result by every")
    table.loc[3, "n"] = 3
    assert sample_note(table, "available").startswith("n differs between methods (3 to 5)")
    assert sample_note(table.drop(columns="segmentation"), "common") == ""
