"""Classifiers travel to another study as coefficients, and are refused where they do not hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bids_app.errors import BadDataError, MissingInputError
from bids_app.group import parameter_file
from bids_app.group.analyses import stratification
from bids_app.group.stored_classifier import read_classifiers
from bids_app.group.study import Study
from bids_app.statistics.roc import compare_roc_areas
from tests.group.analyses.test_stratification import planted
from tests.group.conftest import Declare

_FEW = "[stratification]\nthreshold = 2.5\nfolds = 3\n"


@pytest.fixture
def stored(declare: Declare, tmp_path: Path) -> Path:
    """The classifiers of the simulated study with a signal in the ventricles."""
    path = tmp_path / "classifiers.json"
    document = stratification.analyse(declare(_FEW, planted)).documents["classifiers"]
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def other(declare: Declare, stored: Path) -> Study:
    """Another study, which uses them."""
    study = declare(f"{_FEW}classifiers = 'classifiers.json'", planted)
    assert study.plan.stratification.classifiers == str(stored)
    return replace(study, classifiers=read_classifiers(stored))


def test_it_predicts_in_another_study(other: Study, stored: Path) -> None:
    """By hand from the numbers of the file, with DeLong's test against the covariates."""
    table = stratification.analyse(other).tables["stratification_external"].data
    table = table.set_index("input")
    assert set(table.index) == {
        *("first T1w", "thalnet T1w", "global", "subcortical grey matter", "ventricles"),
        "white matter, cortex, brainstem and cerebellum",
    }
    first = other.baseline
    volumes = other.measured[other.measured["segmentation"] == "first T1w"]
    volumes = volumes[volumes["visit"] == 0].set_index("participant_id")["ventricles_ml"]
    first = first.assign(ventricles_ml=first["participant_id"].map(volumes))
    entries = json.loads(stored.read_text())["Classifiers"]
    odds = {}
    for name in ("ventricles", "covariates"):
        entry = entries[name]
        terms = [*(first[column] for column in entry["Numeric"]), first["sex"] == "M"]
        scaled = (np.column_stack(terms).astype(float) - entry["Mean"]) / entry["Scale"]
        odds[name] = entry["Intercept"] + scaled @ entry["Coefficients"]
    test = compare_roc_areas(first["edss"] >= 2.5, odds["ventricles"], odds["covariates"])
    row = table.loc["ventricles"]
    assert row["auc"] == pytest.approx(test.first, abs=1e-12)
    assert row["auc_covariates"] == pytest.approx(test.second, abs=1e-12)
    assert row["p"] == pytest.approx(test.p)
    assert row["sensitivity"] == (odds["ventricles"] >= 0)[first["edss"] >= 2.5].mean()
    assert row["auc"] > 0.95


def test_it_predicts_where_too_few_are_left_to_train(other: Study) -> None:
    """Ten patients cannot train in seven folds, but are predicted."""
    keep = other.cohort.table["participant_id"].isin(f"sub-{number:03d}" for number in range(1, 21))
    table = other.cohort.table[keep].reset_index(drop=True)
    plan = replace(other.plan, stratification=replace(other.plan.stratification, folds=20))
    few = replace(other, plan=plan, cohort=replace(other.cohort, table=table))
    result = stratification.analyse(few)
    assert result.reason == ""
    assert result.tables["stratification"].data["auc"].isna().all()
    assert result.tables["stratification_external"].data["n"].tolist() == [20] * 6


def test_it_holds_no_value_of_a_patient(stored: Path) -> None:
    text = stored.read_text()
    assert len(text) < 6000
    assert "sub-" not in text


def test_where_it_does_not_hold_it_is_refused(
    other: Study, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.loads(stored.read_text())

    def analyse(**changes: object) -> tuple[str, dict[str, str]]:
        stored.write_text(json.dumps(content | changes))
        result = stratification.analyse(replace(other, classifiers=read_classifiers(stored)))
        external = result.tables.get("stratification_external")
        reasons = external.data.set_index("input")["reason"].to_dict() if external else {}
        return result.impossible.get("classifiers of another study", ""), reasons

    assert "intracranial volumes by freesurfer" in analyse(ICV="freesurfer")[0]
    assert "no table has a column 'msss'" in analyse(Outcome="msss")[0]
    reasons = analyse(Regions="thalnet FLAIR")[1]
    assert "regions measured by thalnet FLAIR" in reasons["global"]
    assert reasons["first T1w"] == ""
    only = {"first T1w": content["Classifiers"]["first T1w"]}
    assert "has no classifier for it" in analyse(Classifiers=only)[1]["thalnet T1w"]
    monkeypatch.setattr(parameter_file, "weights_label", lambda: "others")
    reasons = analyse()[1]
    assert all("other weights of thalnet" in reasons[name] for name in ("thalnet T1w", "global"))
    assert reasons["first T1w"] == ""


def test_damaged_files_are_named(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="Cannot read the classifiers"):
        read_classifiers(tmp_path / "absent.json")
    content = json.loads(stored.read_text())
    entry = content["Classifiers"]["first T1w"]
    for changes in ({"Scale": [1.0]}, {"Intercept": float("nan")}, {"ShareDisabled": 1.0}):
        broken = content | {"Classifiers": {"first T1w": entry | changes}}
        stored.write_text(json.dumps(broken))
        with pytest.raises(BadDataError, match="is damaged"):
            read_classifiers(stored)
    stored.write_text("{}")
    with pytest.raises(BadDataError, match="holds no classifiers"):
        read_classifiers(stored)
