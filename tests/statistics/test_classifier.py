"""Classifiers as numbers that travel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_app.statistics.classifier import fit_classifier
from bids_app.statistics.design import Model, ModelError
from bids_app.statistics.roc import roc_area

MODEL = Model(outcome="edss", predictor="volume", numeric=("age",), categorical=("sex",))


def patients(count: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"volume": rng.normal(13, 1, count), "age": rng.uniform(20, 60, count)})
    data["sex"] = np.where(np.arange(count) % 3 == 0, "M", "F")
    data["edss"] = 3 - (data["volume"] - 13) + rng.normal(0, 1, count)
    return data


def test_it_predicts_what_scikit_learn_does() -> None:
    data = patients()
    terms = np.column_stack([data["volume"], data["age"], data["sex"] == "M"]).astype(float)
    regression = LogisticRegression(class_weight="balanced", solver="newton-cholesky", tol=1e-10)
    pipeline = make_pipeline(StandardScaler(), regression).fit(terms, data["edss"] >= 3)
    classifier = fit_classifier(data, MODEL, 3.0)
    expected = pipeline.predict_proba(terms)[:, 1]
    np.testing.assert_allclose(classifier.probability(data), expected, rtol=1e-8)
    assert classifier.levels == {"sex": ("F", "M")}
    assert (classifier.n, classifier.share) == (60, (data["edss"] >= 3).mean())
    # A standard deviation of volume multiplies the odds by the exponential of its coefficient.
    larger = data.assign(volume=data["volume"] + classifier.scale[0])
    steps = logit(classifier.probability(larger)) - logit(expected)
    np.testing.assert_allclose(steps, classifier.coefficients[0])


def test_what_it_cannot_predict_is_missing() -> None:
    data = patients()
    classifier = fit_classifier(data, MODEL, 3.0)
    changed = data.astype({"sex": "object"})
    changed.loc[0, "sex"], changed.loc[1, "volume"], changed.loc[2, "sex"] = "X", np.nan, None
    probability = classifier.probability(changed)
    assert probability.isna().tolist() == [True] * 3 + [False] * 57
    with pytest.raises(KeyError, match="age"):
        classifier.probability(data.drop(columns="age"))


def test_a_class_of_four_is_refused() -> None:
    data = patients().assign(edss=lambda rows: np.where(rows.index < 4, 6.0, 1.0 + rows.index / 60))
    with pytest.raises(ModelError, match="4 disabled patients, at least 5 of each class"):
        fit_classifier(data, MODEL, 3.0)


def test_trained_on_permuted_labels_it_predicts_others_by_chance() -> None:
    """DeLong's interval of the area among patients of no training set holds 0.5 as it states."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(100):
        mixed = patients(160).assign(edss=lambda rows: rng.permutation(rows["edss"]))
        trained, others = mixed.iloc[:80], mixed.iloc[80:]
        probability = fit_classifier(trained, MODEL, 3.0).probability(others)
        area = roc_area((others["edss"] >= 3).astype(float), probability).auc
        held += area.low <= 0.5 <= area.high
    # 95 of 100, with its binomial standard error of 2.2.
    assert held >= 90
