"""Stratification by disability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics import stratification
from bids_app.statistics.design import Model, ModelError
from bids_app.statistics.paired import paired_table

MODEL = Model(outcome="edss", predictor="volume", numeric=("age",))


def cohort(effect: float, patients: int = 150) -> pd.DataFrame:
    """Return two scans per patient whose EDSS depends on the volume."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"subject": np.repeat(np.arange(patients), 2)})
    size = rng.normal(0, 1, patients)[data["subject"]]
    data["volume"] = 13 + size + rng.normal(0, 0.1, 2 * patients)
    data["age"] = rng.uniform(20, 60, patients)[data["subject"]]
    noise = rng.normal(0, 1, patients)[data["subject"]]
    data["edss"] = 3 - effect * size + noise
    return data


def test_measures_agree_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package pROC with ties; sensitivity and specificity by counting."""
    classes = inputs("classes")
    result = stratification.classify(classes["disabled"], classes["probability"], classes.index)
    for name, value in expected["stratification"].items():
        interval = getattr(result, name)
        assert interval.estimate == pytest.approx(value, abs=1e-12), name
        assert interval.low < interval.estimate < interval.high


def test_interval_of_sensitivity_is_binomial() -> None:
    """With one scan per patient it is as wide as the binomial standard error implies."""
    rng = np.random.default_rng(1)
    disabled = np.arange(400) < 200
    probability = np.where(rng.random(400) < 0.7, disabled, ~disabled).astype(float)
    result = stratification.classify(disabled, probability, np.arange(400))
    share = result.sensitivity.estimate
    width = 2 * 1.96 * np.sqrt(share * (1 - share) / 200)
    assert result.sensitivity.high - result.sensitivity.low == pytest.approx(width, rel=0.15)


def test_repeat_scans_do_not_narrow_the_interval() -> None:
    """Copies of every scan add no information: patients are resampled."""
    rng = np.random.default_rng(2)
    disabled = rng.random(100) < 0.4
    probability = np.clip(0.3 * disabled + rng.random(100) * 0.7, 0, 1)
    once = stratification.classify(disabled, probability, np.arange(100))
    copies = stratification.classify(
        np.tile(disabled, 5), np.tile(probability, 5), np.tile(np.arange(100), 5)
    )
    assert copies.auc.estimate == pytest.approx(once.auc.estimate)
    assert copies.auc.low == pytest.approx(once.auc.low, abs=1e-12)


def test_patients_are_never_divided() -> None:
    """All scans of a patient are in one fold; every fold is predicted once."""
    predicted = stratification.cross_validate(cohort(1.0), MODEL)
    assert (predicted.groupby("patient")["fold"].nunique() == 1).all()
    assert sorted(predicted["fold"].unique()) == list(range(7))
    assert predicted["probability"].between(0, 1).all()
    assert (predicted["disabled"] == (cohort(1.0)["edss"] >= 3)).all()


def test_signal_is_found_and_noise_is_not() -> None:
    """A strong effect gives a high AUC; without effect it is about one half."""
    table = pd.concat(
        stratification.stratification_table(cohort(effect), [MODEL]) for effect in (3.0, 0.0)
    )
    signal, noise = table["auc"]
    assert signal > 0.9
    assert noise == pytest.approx(0.5, abs=0.12)
    assert table["auc_ci_low"].iloc[1] < 0.5 < table["auc_ci_high"].iloc[1] + 0.05
    assert table["n"].tolist() == [300, 300]
    assert table["patients"].tolist() == [150, 150]


def test_volume_is_not_credited_with_its_covariates() -> None:
    """Disability by age alone: a high AUC, of which the volume adds nothing."""
    aged, sized = cohort(0.0), cohort(3.0)
    aged["edss"] = np.where(aged["age"] > 40, 4.0, 2.0)
    table = pd.concat(stratification.stratification_table(data, [MODEL]) for data in (aged, sized))
    assert table["auc"].gt(0.9).all()
    np.testing.assert_allclose(
        table["auc_difference"], table["auc"] - table["auc_covariates"], atol=1e-12
    )
    by_age, by_size = table.to_dict("records")
    assert by_age["auc_covariates"] > 0.95
    assert by_age["auc_difference"] == pytest.approx(0, abs=0.01)
    assert by_age["auc_difference_ci_low"] <= 0.001
    # Where the volume decides, age alone is worth no more than chance.
    assert by_size["auc_covariates"] == pytest.approx(0.5, abs=0.12)
    assert by_size["auc_difference_ci_low"] > 0.3
    # The interval of covariates alone is the one of a model of the covariates.
    (plain,) = stratification.stratification_table(
        aged, [Model(outcome="edss", predictor="age")]
    ).to_dict("records")
    for end in ("", "_ci_low", "_ci_high"):
        assert by_age[f"auc_covariates{end}"] == pytest.approx(plain[f"auc{end}"], abs=1e-12)
    assert np.isnan([plain["auc_covariates"], plain["auc_difference"]]).all()


def test_threshold_is_inclusive_and_seeded() -> None:
    """EDSS 3.0 counts as disabled; the same seed divides the same way."""
    data = cohort(1.0)
    data["edss"] = np.where(data["edss"] > 3, 3.0, 2.5)
    first, again = (stratification.cross_validate(data, MODEL, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["disabled"].sum() == (data["edss"] == 3).sum()


def test_reasons() -> None:
    """What cannot be trained is a row with its reason."""
    data = cohort(1.0).assign(none=2.0)
    rare = data.assign(edss=np.where(data["subject"] < 3, 6.0, 1.0))
    (reason,) = stratification.stratification_table(rare, [MODEL])["reason"]
    assert reason == "3 disabled patients for 7 folds"
    models = [
        Model(outcome="none", predictor="volume"),
        Model(outcome="edss", predictor="absent"),
        MODEL,
    ]
    table = stratification.stratification_table(data, models)
    assert table["reason"].tolist() == ["'none' is constant", "columns ['absent'] are absent", ""]
    with pytest.raises(ModelError, match="participant"):
        stratification.cross_validate(data, MODEL, patient="participant")
    with pytest.raises(ValueError, match="one class"):
        stratification.classify([True, True], [0.2, 0.3], [1, 2])


def test_methods_are_compared_in_the_same_patients() -> None:
    """The areas are those of the table; one that adds noise to another is worse."""
    rng = np.random.default_rng(2)
    data = cohort(2.0)
    data = data.drop_duplicates("subject").assign(
        noisy=lambda rows: rows["volume"] + rng.normal(0, 4, len(rows))
    )
    noisy = replace(MODEL, predictor="noisy")
    predictions = stratification.predict_all(data, [MODEL, noisy])
    table = stratification.stratification_table(data, [MODEL, noisy]).set_index("predictor")
    predicted = {model.predictor: rows.set_index("patient") for model, rows in predictions}
    probability = pd.DataFrame({name: rows["probability"] for name, rows in predicted.items()})
    measures = stratification.Discrimination(predicted["volume"]["disabled"])
    row = paired_table(probability, measures).iloc[0]
    assert row["value_first"] == pytest.approx(table.loc["volume", "auc"])
    assert row["value_second"] == pytest.approx(table.loc["noisy", "auc"])
    assert row["ci_low"] > 0
    assert row["p"] < 0.05
