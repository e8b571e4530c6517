"""Volumes harmonised between sites by the analysis file, before and after, without a leak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.errors import BadDataError
from bids_app.group.analyses import harmonisation, normative, stratification, volumes
from bids_app.group.analysis_file import read_analysis_file
from bids_app.group.harmonised import within_training
from bids_app.group.models import prepare
from bids_app.group.result import NotApplicableError
from bids_app.statistics.design import ModelError
from tests.group.conftest import Declare, described

_COMBAT = "[harmonisation]\nmethod = 'combat'\n"
# Without the covariates that the forty participants of two sites cannot all have.
_FEW = f"{_COMBAT}categorical = ['sex']\n"


def two_scanners(table: pd.DataFrame) -> pd.DataFrame:
    """Every other participant is on scanner B, whose volumes are 2 mL larger."""
    number = table["participant_id"].str[-3:].astype(int)
    table = table.assign(scanner=np.where(number % 2 == 1, "A", "B"))
    table.loc[table["scanner"] == "B", "total_ml"] += 2.0
    return table


def test_volumes_are_harmonised_and_described_before_and_after(declare: Declare) -> None:
    study = declare(_FEW, two_scanners)
    result = harmonisation.analyse(study)
    assert described(result)
    effects = result.tables["harmonisation"].data.set_index(["segmentation", "state"])
    for name in study.segmentations:
        before, after = (effects.loc[(name, state)] for state in ("measured", "harmonised"))
        assert before["p_adj"] < 0.01
        assert after["p"] > 0.9
        assert after["cv_between"] < 0.1 < before["cv_between"]
    shifts = result.tables["harmonisation_batches"].data.set_index(["segmentation", "batch"])
    removed = shifts["batch_shift"].unstack()
    assert (removed["B"] - removed["A"]).tolist() == pytest.approx([2.0, 2.0], abs=1.0)
    # All analyses use them; the table of volumes has both.
    table = volumes.analyse(study).tables["volumes"].data
    assert {"total_ml", "total_harmonised_ml"} <= set(table)
    first = study.baseline.set_index("scanner")["thalnet T1w"].groupby("scanner").mean()
    assert abs(first["A"] - first["B"]) < 1
    assert "harmonised by ComBat" in result.methods


def test_without_a_method_differences_are_tested_and_nothing_changes(declare: Declare) -> None:
    study = declare("", two_scanners)
    assert study.volumes is study.measured
    result = harmonisation.analyse(study)
    assert set(result.tables["harmonisation"].data["state"]) == {"measured"}
    assert result.methods == ""
    with pytest.raises(NotApplicableError, match="several values of 'scanner'"):
        harmonisation.analyse(declare("", lambda table: table.assign(scanner="A")))


def test_participants_at_two_sites_are_harmonised_in_the_longitudinal_form(
    declare: Declare,
) -> None:
    def moving(table: pd.DataFrame) -> pd.DataFrame:
        number = table["participant_id"].str[-3:].astype(int)
        there = (number + table["visit"] * (number % 3 == 0)) % 2 == 1
        return table.assign(
            scanner=np.where(there, "A", "B"), total_ml=table["total_ml"] + 2.0 * ~there
        )

    study = declare(_FEW.replace("'combat'", "'longitudinal combat'"), moving)
    changes = study.followed[study.followed["segmentation"] == "thalnet T1w"]
    assert changes["change_ml"].abs().max() < 1.3
    raw = declare("", moving).followed
    assert raw.loc[raw["segmentation"] == "thalnet T1w", "change_ml"].abs().max() > 1.5

    def always_later(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(scanner=np.where(table["visit"] == 0, "A", "B"))

    late = declare(_FEW.replace("'combat'", "'longitudinal combat'"), always_later)
    reasons = set(late.harmonisation.reasons.values())
    assert all("'interval' is confounded with the scanner" in reason for reason in reasons)
    assert len(reasons) == 1


def test_a_scanner_for_each_diagnosis_is_refused(declare: Declare) -> None:
    def by_diagnosis(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(scanner=np.where(table["diagnosis"] == "PMS", "A", "B"))

    reasons = declare(_COMBAT, by_diagnosis).harmonisation.reasons
    assert all("diagnosis RRMS' is confounded with the scanner" in r for r in reasons.values())
    assert len(reasons) == 2
    single = declare(_COMBAT, lambda table: table.assign(scanner="A")).harmonisation.reasons
    assert all("all complete cases have the scanner 'A'" in r for r in single.values())


def test_the_batch_is_no_preserved_covariate(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"{_COMBAT}batch = 'site'\ncategorical = ['site']")
    with pytest.raises(BadDataError, match="preserves the covariate 'site', which is its batch"):
        read_analysis_file(path)


def test_the_site_as_covariate_enters_every_model(declare: Declare) -> None:
    text = "[harmonisation]\nmethod = 'covariate'\ncategorical = ['sex']\n"
    study = declare(text, two_scanners)
    assert study.volumes is study.measured
    prepared = prepare(study, study.plan.model[0])
    assert all(model.categorical == ("sex", "scanner") for model in prepared.models)


def test_stratification_estimates_effects_in_each_training_set(declare: Declare) -> None:
    study = declare(f"{_FEW}[stratification]\nfolds = 3\nthreshold = 2.5", two_scanners)
    result = stratification.analyse(study)
    table = result.tables["stratification"]
    assert "training set" in str(table.settings["Harmonisation"])
    assert table.data["auc"].notna().all()
    # Values of the test set change nothing in the training set.
    sessions = study.sessions_by("total_ml")
    first = sessions[sessions["visit"] == 0].reset_index(drop=True)
    training = np.arange(30)
    plan = study.plan.harmonisation
    expected = within_training(plan, first, "thalnet T1w", training)
    other = first.copy()
    other.loc[30:, "thalnet T1w"] += 5.0
    changed = within_training(plan, other, "thalnet T1w", training)
    assert changed[:30].tolist() == expected[:30].tolist()
    assert (changed[30:] > expected[30:] + 3).all()
    with pytest.raises(ModelError, match="training set cannot be harmonised"):
        within_training(plan, first, "thalnet T1w", np.flatnonzero(first["scanner"] == "A"))


def test_norms_of_harmonised_volumes_stay_in_their_study(declare: Declare) -> None:
    def healthy(table: pd.DataFrame) -> pd.DataFrame:
        number = table["participant_id"].str[-3:].astype(int)
        return two_scanners(table).assign(diagnosis=np.where(number % 4 < 2, "HC", "RRMS"))

    assert normative.analyse(declare("", healthy)).documents
    assert not normative.analyse(declare(_FEW, healthy)).documents
