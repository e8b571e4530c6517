"""Declared models: planted effects are found, and models that cannot be fitted give a reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bids_app.group.analyses import clinical
from bids_app.group.models import prepare
from bids_app.group.result import Result
from bids_app.group.study import Study
from bids_app.statistics.design import Model
from bids_app.statistics.regression import fit_linear
from tests.group.conftest import Declare

MODEL = """
[[model]]
name = "a"
type = "{type}"
outcomes = [{{ column = "edss" }}, {{ column = "sdmt" }}]
numeric = {numeric}
"""


def model(kind: str = "cross-sectional", numeric: str = '["age"]', more: str = "") -> str:
    return MODEL.format(type=kind, numeric=numeric) + more


def table_of(result: Result, name: str = "models_a") -> pd.DataFrame:
    return result.tables[name].data


def test_planted_effects_are_found(study: Study) -> None:
    table = table_of(clinical.analyse(study), "models_cross-sectional")
    assert (table["reason"] == "").all()
    assert set(table["segmentation"]) == {"first T1w", "thalnet T1w"}
    for outcome, effect in (("edss", -0.5), ("sdmt", 3.0)):
        rows = table[table["outcome"] == outcome]
        assert rows["ci_low"].lt(effect).all()
        assert rows["ci_high"].gt(effect).all()
        assert (rows["p_adj"] < 0.05).all()
    logarithmic = table["transform"] == "log"
    np.testing.assert_allclose(
        table.loc[logarithmic, "percent_per_ml"], 100 * np.expm1(table.loc[logarithmic, "beta"])
    )
    assert table.loc[~logarithmic, "percent_per_ml"].isna().all()


def test_a_declared_model_is_the_model_of_the_statistics(declare: Declare) -> None:
    study = declare(model(numeric='["age", "icv_ml"]', more='standardised = ["icv_ml"]'))
    row = table_of(clinical.analyse(study)).iloc[0]
    fit = fit_linear(
        study.baseline,
        Model(
            outcome="edss",
            predictor="first T1w",
            numeric=("age", "icv_ml"),
            categorical=(),
            standardised=("icv_ml",),
        ),
    )
    assert row["beta"] == pytest.approx(fit.coefficients.loc["first T1w", "beta"])
    assert row["n"] == fit.n


def test_changes_of_outcome_on_changes_of_volume(declare: Declare) -> None:
    study = declare(model("longitudinal"))
    prepared = prepare(study, study.plan.model[0])
    one = study.sessions[study.sessions["participant_id"] == "sub-005"]
    row = prepared.data.set_index("participant_id").loc["sub-005"]
    assert row["edss_change"] == np.diff(one["edss"])[0]
    assert row["thalnet T1w"] == pytest.approx(np.diff(one["thalnet T1w"])[0])
    assert row["age"] == one["age"].iloc[0]
    assert (table_of(clinical.analyse(study))["reason"] == "").all()


def test_winsorising_clips_the_changes_of_the_whole_sample(declare: Declare) -> None:
    more = 'winsorise = [0.05, 0.95]\nsubset = { diagnosis = ["rrms"] }'
    study = declare(model("longitudinal", more=more))
    prepared = prepare(study, study.plan.model[0])
    changes = study.changes.query("segmentation == 'first T1w'")["change_ml"]
    low, high = changes.quantile([0.05, 0.95])
    assert prepared.data["first T1w"].between(low, high).all()
    assert prepared.limits["first T1w"] == pytest.approx((low, high))
    table = clinical.fit_set(prepared, study.plan.model[0], 0.95).table
    limits = table.loc[table["segmentation"] == "first T1w", ["winsorised_low", "winsorised_high"]]
    assert limits.iloc[0].tolist() == pytest.approx([low, high])
    assert set(prepared.data["diagnosis"]) == {"RRMS"}


def test_categories_of_change(declare: Declare) -> None:
    study = declare(model("ordinal"))
    row = table_of(clinical.analyse(study)).iloc[0]
    change = np.sign(
        study.followup.set_index("participant_id")["edss"]
        - study.baseline.set_index("participant_id")["edss"]
    )
    assert [row["n_better"], row["n_stable"], row["n_worse"]] == [
        (change == sign).sum() for sign in (-1, 0, 1)
    ]


def test_mixed_models_need_two_sessions(declare: Declare) -> None:
    def first(table: pd.DataFrame) -> pd.DataFrame:
        return table[table["visit"] == 0]

    reasons = table_of(clinical.analyse(declare(model("mixed", numeric='["age"]'), first)))[
        "reason"
    ]
    assert reasons.str.contains("no subject has 2 complete sessions").all()
    table = table_of(clinical.analyse(declare(model("mixed", numeric='["age", "interval"]'))))
    assert table["term"].value_counts().to_dict() == {
        "within": len(table) // 2,
        "between": len(table) // 2,
    }
    between = table[(table["outcome"] == "sdmt") & (table["term"] == "between")]
    assert between["beta"].gt(0).all()
    assert table["df"].between(1, table["n"]).all()


def test_methods_can_be_excluded(declare: Declare) -> None:
    for name in ("First", "first T1w"):
        table = table_of(clinical.analyse(declare(model(more=f"without = ['{name}']"))))
        assert set(table["segmentation"]) == {"thalnet T1w"}


def test_optional_covariates_are_omitted_and_named(declare: Declare) -> None:
    text = model(numeric='["age", "steroids", "visit"]', more='optional = ["steroids", "visit"]')
    result = clinical.analyse(declare(text))
    settings = result.tables["models_a"].settings
    assert settings["OptionalCovariatesOmitted"] == ["steroids", "visit"]
    assert "Omitted, absent or constant: Steroids, Visit." in result.tables["models_a"].caption
    assert (table_of(result)["reason"] == "").all()


def test_captions_have_the_labels_and_settings_the_columns_of_covariates(declare: Declare) -> None:
    text = model(numeric='["age", "icv_ml"]', more="standardised = ['icv_ml']")
    result = clinical.analyse(declare(text))
    formula = "outcome ~ volume at the first session (mL) + Age + z({})"
    shown = result.tables["models_a"]
    assert shown.caption.startswith(formula.format("ICV"))
    assert f"({formula.format('ICV')})" in result.methods
    assert shown.settings["Model"] == formula.format("icv_ml").replace("Age", "age")


def separated(table: pd.DataFrame) -> pd.DataFrame:
    """The volume alone distinguishes better from worse."""
    later = table["visit"] == 1
    rank = table.groupby("participant_id")["participant_id"].transform(lambda s: int(s.iloc[0][4:]))
    up = rank % 2 == 0
    table.loc[later, "total_ml"] = np.where(up, 20.0, 5.0)[later]
    table.loc[~later, "total_ml"] = 12.0 + rank[~later] / 100
    table["edss"] = np.where(later & up, 4.0, np.where(later, 2.0, 3.0))
    return table


BAD = {
    "column absent": (
        model(),
        lambda table: table.drop(columns="edss"),
        "columns ['edss'] are absent",
    ),
    "text in a numeric column": (
        model(),
        lambda table: table.assign(
            edss=table["edss"].astype(object).where(table["visit"] > 0, "x")
        ),
        "'edss' holds text: 'x'",
    ),
    "text in a numeric column of a change": (
        model("longitudinal"),
        lambda table: table.assign(
            edss=table["edss"].astype(object).where(table["visit"] < 1, "x")
        ),
        "'edss_change' holds text: 'x'",
    ),
    "a constant covariate": (
        model(),
        lambda table: table.assign(age=40.0),
        "'age' is the same in all 40 complete cases",
    ),
    "n below the number of parameters": (
        model(),
        lambda table: table.assign(edss=table["edss"].where(table["participant_id"] < "sub-004")),
        "3 complete cases do not exceed the 3 parameters",
    ),
    "all values missing": (
        model(),
        lambda table: table.assign(edss=np.nan),
        "all values of ['edss'] are missing",
    ),
    "infinite values": (
        model(),
        lambda table: table.assign(edss=np.inf),
        "'edss' holds infinite values",
    ),
    "collinear covariates": (
        model(numeric='["age", "double"]'),
        lambda table: table.assign(double=2 * table["age"]),
        "collinear",
    ),
    "perfect separation": (model("ordinal"), separated, "perfectly separated"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_model_that_cannot_be_fitted_gives_a_reason(declare: Declare, case: str) -> None:
    text, change, sentence = BAD[case]
    good = '[[model]]\nname = "b"\ntype = "cross-sectional"\noutcomes = [{ column = "nhpt" }]\n'
    result = clinical.analyse(declare(text + good, change))
    rows = table_of(result).query("outcome.str.startswith('edss')")
    assert len(rows) == 2
    assert all(sentence in reason for reason in rows["reason"])
    assert rows["p_adj"].isna().all() if "p_adj" in rows else True
    assert table_of(result, "models_b")["beta"].notna().all()


@pytest.mark.parametrize(
    ("text", "change", "sentence"),
    [
        (
            model("longitudinal"),
            lambda table: table[table["visit"] == 0],
            "no participant has a follow-up session",
        ),
        (
            model(more="subset = { diagnosis = ['NMOSD'] }"),
            lambda table: table,
            "no participant has diagnosis in ['NMOSD']",
        ),
        (model(more="subset = { site = ['A'] }"), lambda table: table, "'site' is absent"),
    ],
)
def test_a_set_without_data_gives_a_reason(
    declare: Declare, text: str, change: Callable[..., pd.DataFrame], sentence: str
) -> None:
    result = clinical.analyse(declare(text, change))
    table = table_of(result)
    assert len(table) == 4
    assert all(sentence in reason for reason in table["reason"])
    # One row in the table of analyses, and no sentence in the methods section.
    assert sentence in result.impossible["a"]
    assert (result.methods, result.findings) == ("", "")
    assert result.reason.startswith("no model could be fitted")


def test_a_set_that_cannot_be_fitted_has_no_sentence(declare: Declare) -> None:
    text = model() + model().replace('"a"', '"b"').replace("edss", "t25fw")
    result = clinical.analyse(declare(text, lambda table: table.assign(edss=np.nan, sdmt=np.nan)))
    assert list(result.impossible) == ["a"]
    assert "all values of ['edss'] are missing" in result.impossible["a"]
    assert "T25FW" in result.methods
    assert "EDSS" not in result.methods
    assert "a: " not in result.findings
    assert result.reason == ""


def test_an_optional_covariate_that_is_constant_for_one_outcome_is_omitted_there(
    declare: Declare,
) -> None:
    """Treatment varies, but not among those whose score at the follow-up is known."""

    def treat(table: pd.DataFrame) -> pd.DataFrame:
        number = table["participant_id"].str[-3:].astype(int)
        table["double"] = (number <= 8).astype(float)
        table.loc[number <= 8, "sdmt"] = np.nan
        return table

    for kind in ("longitudinal", "cross-sectional", "ordinal"):
        text = model(kind, numeric='["age", "double"]', more='optional = ["double"]')
        study = declare(text, treat)
        table = table_of(clinical.analyse(study)).set_index(["outcome", "segmentation"])
        suffix = "" if kind == "cross-sectional" else "_change"
        omitted = table["omitted"].groupby("outcome").unique().map(list)
        assert omitted[f"sdmt{suffix}"] == ["double"], kind
        assert omitted[f"edss{suffix}"] == [""], kind
        assert (table["reason"] == "").all(), kind
        plain = table_of(clinical.analyse(declare(model(kind), treat)))
        plain = plain.set_index(["outcome", "segmentation"])
        rows = table.index.get_level_values("outcome") == f"sdmt{suffix}"
        for name in ("n", "beta", "se", "p"):
            assert table.loc[rows, name].tolist() == pytest.approx(plain.loc[rows, name].tolist())
