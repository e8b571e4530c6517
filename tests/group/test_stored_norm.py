"""A norm travels to another study as coefficients, and is refused where it does not hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_app.errors import BadDataError, MissingInputError
from bids_app.group import parameter_file
from bids_app.group.analyses import normative
from bids_app.group.result import NotApplicableError
from bids_app.group.stored_norm import read_norms
from bids_app.group.study import Study
from tests.group.analyses.test_normative import with_controls
from tests.group.conftest import Declare, described


@pytest.fixture
def norm(declare: Declare, tmp_path: Path) -> Path:
    """The norm of the controls of the simulated study."""
    result = normative.analyse(declare("[normative]\nscanner_sd = { first = 0.2 }", with_controls))
    path = tmp_path / "norm.json"
    path.write_text(json.dumps(result.documents["norm"]))
    return path


@pytest.fixture
def other(declare: Declare, norm: Path) -> Study:
    """The same patients in a study that uses the stored norm."""
    study = declare("[normative]\nnorm = 'norm.json'", with_controls)
    assert study.plan.normative.norm == str(norm)
    return replace(study, norms=read_norms(norm))


def test_a_stored_norm_gives_the_results_of_its_own_study(declare: Declare, other: Study) -> None:
    keys = ["participant_id", "segmentation"]
    own = normative.analyse(declare("[normative]\nscanner_sd = { first = 0.2 }", with_controls))
    expected = own.tables["normative"].data.set_index(keys)
    result = normative.analyse(other)
    assert described(result)
    assert not result.documents
    stored = result.tables["normative"].data.set_index(keys)
    columns = ["expected_ml", "z_score", "percentile", "residual_ml_ci_low", "reduced"]
    aged = expected.index.intersection(stored.index)
    assert len(aged) > 30
    pd.testing.assert_frame_equal(stored.loc[aged, columns], expected.loc[aged, columns])
    # Everyone within its ages is compared, healthy or not; the others are counted.
    model = next(iter(other.norms.norms.values())).model if other.norms else None
    assert model is not None
    within = other.baseline["age"].between(*model.age_range).sum()
    summary = result.tables["normative_summary"].data
    assert summary["assessed"].tolist() == [within, within]
    assert summary["scanner_sd"].tolist() == [0.2, 0.0]
    if within < 40:
        assert f"{40 - within} of 40 are not aged" in summary["reason"].iloc[0]


def test_it_holds_no_value_of_a_participant(norm: Path, study: Study) -> None:
    text = norm.read_text()
    assert len(text) < 6000
    ages = study.baseline["age"]
    limits = json.loads(text)["Norms"]["first T1w"]["AgeRange"]
    assert all(float(limit).is_integer() for limit in limits)
    assert limits[0] <= ages.max() <= limits[1] + 20
    assert "sub-" not in text


def test_participants_of_another_age_are_refused(other: Study) -> None:
    table = other.cohort.table.copy()
    table.loc[table["participant_id"] == "sub-002", "age"] = 91.0
    aged = replace(other, cohort=replace(other.cohort, table=table))
    result = normative.analyse(aged)
    assert "sub-002" not in set(result.tables["normative"].data["participant_id"])
    assert "are not aged" in result.tables["normative_summary"].data["reason"].iloc[0]
    old = replace(other, cohort=replace(other.cohort, table=table.assign(age=91.0)))
    with pytest.raises(NotApplicableError, match="40 of 40 are not aged"):
        normative.analyse(old)


def test_other_method_weights_or_icv_are_refused(
    other: Study, norm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.loads(norm.read_text())
    norm.write_text(json.dumps(content | {"ICV": "freesurfer"}))
    with pytest.raises(NotApplicableError, match="intracranial volumes by freesurfer"):
        normative.analyse(replace(other, norms=read_norms(norm)))
    only = {"first T1w": content["Norms"]["first T1w"]}
    norm.write_text(json.dumps(content | {"Norms": only}))
    summary = normative.analyse(replace(other, norms=read_norms(norm))).tables["normative_summary"]
    reasons = summary.data.set_index("segmentation")["reason"]
    assert "no norm of this method, only of first T1w" in reasons["thalnet T1w"]
    monkeypatch.setattr(parameter_file, "weights_label", lambda: "others")
    summary = normative.analyse(other).tables["normative_summary"].data.set_index("segmentation")
    assert "holds for other weights of thalnet" in summary.loc["thalnet T1w", "reason"]
    assert summary.loc["first T1w", "assessed"] > 30


def test_damaged_norms_are_named(norm: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="Cannot read the norm"):
        read_norms(tmp_path / "absent.json")
    content = json.loads(norm.read_text())
    entry = content["Norms"]["first T1w"]
    broken = (
        {"ResidualSD": float("nan")},
        {"Covariance": [[1.0]]},
        {"Rule": "mine"},
        {"N": 3},
        {"Coefficients": {}},
    )
    for change in broken:
        text = json.dumps(content | {"Norms": {"first T1w": entry | change}})
        norm.write_text(text)
        with pytest.raises(BadDataError, match="is damaged"):
            read_norms(norm)
    for text, words in (("{", "not valid JSON"), ("[]", "holds no norm")):
        norm.write_text(text)
        with pytest.raises(BadDataError, match=words):
            read_norms(norm)
    assert np.isfinite(entry["ResidualSD"])
