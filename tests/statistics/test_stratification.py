"""Stratification by disability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import chi2

from bids_app.statistics import discrimination, stratification
from bids_app.statistics.cross_validation import assess
from bids_app.statistics.design import Model, ModelError
from bids_app.statistics.logistic import fit_logistic
from bids_app.statistics.paired import paired_table
from bids_app.statistics.roc import roc_area
from bids_app.statistics.samples import FloatArray
from bids_app.statistics.stratification_tables import stratification_table

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
    result = discrimination.classify(classes["disabled"], classes["probability"], classes.index)
    for name, value in expected["stratification"].items():
        interval = getattr(result, name)
        assert interval.estimate == pytest.approx(value, abs=1e-12), name
        assert interval.low < interval.estimate < interval.high


def test_interval_of_sensitivity_is_binomial() -> None:
    """With one scan per patient it is as wide as the binomial standard error implies."""
    rng = np.random.default_rng(1)
    disabled = np.arange(400) < 200
    probability = np.where(rng.random(400) < 0.7, disabled, ~disabled).astype(float)
    result = discrimination.classify(disabled, probability, np.arange(400))
    share = result.sensitivity.estimate
    width = 2 * 1.96 * np.sqrt(share * (1 - share) / 200)
    assert result.sensitivity.high - result.sensitivity.low == pytest.approx(width, rel=0.15)


def test_repeat_scans_do_not_narrow_the_interval() -> None:
    """Copies of every scan add no information: patients are resampled."""
    rng = np.random.default_rng(2)
    disabled = rng.random(100) < 0.4
    probability = np.clip(0.3 * disabled + rng.random(100) * 0.7, 0, 1)
    once = discrimination.classify(disabled, probability, np.arange(100))
    copies = discrimination.classify(
        np.tile(disabled, 5), np.tile(probability, 5), np.tile(np.arange(100), 5)
    )
    assert copies.auc.estimate == pytest.approx(once.auc.estimate)
    assert copies.auc.low == pytest.approx(once.auc.low, abs=1e-12)


def test_patients_are_never_divided() -> None:
    """All scans of a patient are in one fold; every fold is predicted once."""
    predicted = stratification.cross_validate(cohort(1.0), MODEL)
    assert (predicted.groupby(["repeat", "patient"])["fold"].nunique() == 1).all()
    assert sorted(predicted["fold"].unique()) == list(range(7))
    assert predicted["probability"].between(0, 1).all()
    folds = predicted.pivot_table(index="patient", columns="repeat", values="fold")
    assert folds.shape == (150, 5)
    assert (folds[0] != folds[1]).any()
    scans = stratification.averaged(predicted)
    assert (scans["disabled"] == (cohort(1.0)["edss"] >= 3)).all()
    first = predicted.loc[17, "probability"].mean()
    assert scans.loc[17, "probability"] == pytest.approx(first)


def test_signal_is_found_and_noise_is_not() -> None:
    """A strong effect gives a high AUC; without effect it is about one half."""
    table = pd.concat(stratification_table(cohort(effect), [MODEL]) for effect in (3.0, 0.0))
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
    table = pd.concat(stratification_table(data, [MODEL]) for data in (aged, sized))
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
    assert by_size["auc_difference_ci_low"] > 0.2
    # The interval of covariates alone is the one of a model of the covariates.
    (plain,) = stratification_table(aged, [Model(outcome="edss", predictor="age")]).to_dict(
        "records"
    )
    for end in ("", "_ci_low", "_ci_high"):
        assert by_age[f"auc_covariates{end}"] == pytest.approx(plain[f"auc{end}"], abs=1e-12)
    assert np.isnan([plain["auc_covariates"], plain["auc_difference"]]).all()


def test_threshold_is_inclusive_and_seeded() -> None:
    """EDSS 3.0 counts as disabled; the same seed divides the same way."""
    data = cohort(1.0)
    data["edss"] = np.where(data["edss"] > 3, 3.0, 2.5)
    first, again = (stratification.cross_validate(data, MODEL, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["disabled"].sum() == 5 * (data["edss"] == 3).sum()


def test_reasons() -> None:
    """What cannot be trained is a row with its reason."""
    data = cohort(1.0).assign(none=2.0)
    rare = data.assign(edss=np.where(data["subject"] < 3, 6.0, 1.0))
    (reason,) = stratification_table(rare, [MODEL])["reason"]
    assert reason == "3 disabled patients, at least 7 are needed, one for each fold"
    models = [
        Model(outcome="none", predictor="volume"),
        Model(outcome="edss", predictor="absent"),
        MODEL,
    ]
    table = stratification_table(data, models)
    assert table["reason"].tolist() == [
        "'none' is the same in all 300 complete cases",
        "columns ['absent'] are absent",
        "",
    ]
    with pytest.raises(ModelError, match="participant"):
        stratification.cross_validate(data, MODEL, patient="participant")
    with pytest.raises(ValueError, match="one class"):
        discrimination.classify([True, True], [0.2, 0.3], [1, 2])


def test_methods_are_compared_in_the_same_patients() -> None:
    """The areas are those of the table; one that adds noise to another is worse."""
    rng = np.random.default_rng(2)
    data = cohort(2.0)
    data = data.drop_duplicates("subject").assign(
        noisy=lambda rows: rows["volume"] + rng.normal(0, 4, len(rows))
    )
    noisy = replace(MODEL, predictor="noisy")
    predictions = stratification.predict_all(data, [MODEL, noisy])
    table = stratification_table(data, [MODEL, noisy]).set_index("predictor")
    predicted = {
        model.predictor: stratification.averaged(rows).set_index("patient")
        for model, rows in predictions
    }
    probability = pd.DataFrame({name: rows["probability"] for name, rows in predicted.items()})
    measures = discrimination.Discrimination(predicted["volume"]["disabled"])
    row = paired_table(probability, measures).iloc[0]
    # Of scores averaged over repetitions, not within folds as in the table.
    assert row["value_first"] == pytest.approx(table.loc["volume", "auc"], abs=0.02)
    assert row["value_second"] == pytest.approx(table.loc["noisy", "auc"], abs=0.02)
    assert row["ci_low"] > 0
    assert row["p"] < 0.05


def single(effect: float, patients: int = 150) -> pd.DataFrame:
    """Return one scan per patient."""
    return cohort(effect, patients).drop_duplicates("subject", ignore_index=True)


def test_areas_and_intervals_by_hand() -> None:
    """Areas within folds, their variance by patients, and the factor of overlapping training."""
    predicted = stratification.cross_validate(single(1.0), MODEL)
    made = assess(predicted)
    areas, variances = [], []
    for _, rows in predicted.groupby("repeat"):
        within = [
            roc_area(fold["disabled"], fold["probability"]) for _, fold in rows.groupby("fold")
        ]
        areas.append(np.mean([each.auc.estimate for each in within]))
        variances.append(np.sum([each.se**2 for each in within]) / 7**2)
    assert made["auc"].estimate == pytest.approx(np.mean(areas), abs=0.003)
    half = 1.96 * np.sqrt(np.mean(variances) * (1 + 7 / 6))
    assert made["auc"].high - made["auc"].estimate == pytest.approx(half, rel=0.1)
    called = predicted[predicted["disabled"]]["probability"] >= 0.5
    assert made["sensitivity"].estimate == pytest.approx(called.mean())
    both = (made["sensitivity"].estimate + made["specificity"].estimate) / 2
    assert made["balanced_accuracy"].estimate == pytest.approx(both)


def test_what_inputs_add_is_tested_by_likelihood_ratio() -> None:
    """As two fitted models; not by what covariates without information rank."""
    data = single(1.0).assign(disabled=lambda rows: (rows["edss"] >= 3).astype(float))
    full = fit_logistic(data, replace(MODEL, outcome="disabled"))
    alone = fit_logistic(data, Model(outcome="disabled", predictor="age"))
    expected = chi2.sf(2 * (full.log_likelihood - alone.log_likelihood), 1)
    table = stratification_table(data, [MODEL, replace(MODEL, predictor="age", numeric=())])
    assert table["p"].iloc[0] == pytest.approx(expected)
    assert table["p"].iloc[1] > 0.05
    assert table["p_adj"].iloc[0] == pytest.approx(2 * expected)
    # Several scans of a patient are not independent.
    assert np.isnan(stratification_table(cohort(1.0), [MODEL])["p"]).all()


def test_separated_classes_leave_no_doubt() -> None:
    disabled = np.arange(40) >= 20
    volume = np.arange(40.0)[:, np.newaxis]
    assert stratification.added_information(disabled, volume, volume[:, :0]) < 1e-9


def test_repeat_scans_do_not_narrow_cross_validated_intervals() -> None:
    data = single(1.0)
    twice = pd.concat([data, data], ignore_index=True)
    once, copies = (
        assess(stratification.cross_validate(each, replace(MODEL), repeats=2))["auc"]
        for each in (data, twice)
    )
    width = once.high - once.low
    assert copies.high - copies.low == pytest.approx(width, rel=0.1)


def test_permuted_labels_are_predicted_by_chance() -> None:
    """The mean area over permutations of a strong effect is 0.5; what leaks would raise it."""
    rng = np.random.default_rng(6)
    data = single(3.0)
    areas = []
    for _ in range(20):
        predicted = stratification.cross_validate(
            data.assign(edss=rng.permutation(data["edss"])), MODEL, repeats=1
        )
        areas.append(roc_area(predicted["disabled"], predicted["probability"]).auc.estimate)
    assert abs(np.mean(areas) - 0.5) < 3 * np.std(areas, ddof=1) / np.sqrt(20)
    assert np.mean(areas) == pytest.approx(0.5, abs=0.06)


def test_risk_is_calibrated_where_classes_are_unequal() -> None:
    """Balanced weights predict too many disabled; at the share of the training set they do not."""
    data = single(1.5, 600).assign(edss=lambda rows: rows["edss"] - 1.5)
    predicted = stratification.cross_validate(data, MODEL, repeats=1)
    share = predicted["disabled"].mean()
    assert share < 0.3
    assert predicted["probability"].mean() > share + 0.1
    assert predicted["risk"].mean() == pytest.approx(share, abs=0.02)
    row = stratification_table(data, [MODEL]).iloc[0]
    assert row["risk_intercept_ci_low"] < 0 < row["risk_intercept_ci_high"]
    assert row["risk_slope_ci_low"] < 1 < row["risk_slope_ci_high"]


def test_a_fold_has_no_part_in_its_own_predictions() -> None:
    """Extreme inputs of a patient change predictions of the other folds, not of its own.

    So neither its model, nor means and SDs, nor what `prepare` estimates comes from the fold.
    """
    rng = np.random.default_rng(8)
    data = cohort(1.0).assign(second=lambda rows: rng.normal(0, 1, len(rows)))
    model = replace(MODEL, numeric=("second", "age"))

    def centred(scans: pd.DataFrame, name: str, training: npt.NDArray[np.intp]) -> FloatArray:
        values = scans[name].to_numpy()
        return np.asarray(values - values[training].mean())

    def predict(scans: pd.DataFrame) -> pd.DataFrame:
        return stratification.cross_validate(
            scans, model, prepare=centred, inputs=["second"], repeats=1
        )

    before = predict(data)
    patient = before["patient"] == 17
    extreme = data.assign(
        volume=data["volume"].where(~patient, 500.0), second=data["second"].where(~patient, -90.0)
    )
    after = predict(extreme)
    pd.testing.assert_series_equal(before["fold"], after["fold"])
    own = (before["fold"] == before.loc[patient, "fold"].iloc[0]) & ~patient
    for column in ("probability", "covariates", "risk"):
        np.testing.assert_array_equal(before.loc[own, column], after.loc[own, column])
    others = before["fold"] != before.loc[patient, "fold"].iloc[0]
    assert (before.loc[others, "probability"] - after.loc[others, "probability"]).abs().max() > 0.1
    # Both inputs are absent from the model of the covariates alone.
    only = stratification.cross_validate(
        data, replace(MODEL, predictor="age", numeric=()), repeats=1
    )
    np.testing.assert_allclose(before["covariates"], only["probability"], atol=1e-12)
