"""Logistic regressions of many training sets at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bids_app.statistics.ridge import fit_ridge_logistic


@pytest.mark.parametrize("strength", [0.0, 0.5, 30.0])
def test_each_training_set_is_fitted_as_by_scikit_learn(strength: float) -> None:
    """From no association to classes that are separated; one term is the same in all cases."""
    rng = np.random.default_rng(0)
    terms = rng.normal([13.0, 45.0, 1500.0, 7.0], [1.5, 10.0, 120.0, 0.0], (60, 4))
    positive = rng.normal(size=60) < strength * (terms[:, 0] - 12.5)
    train = np.arange(60) % 3 != np.arange(3)[:, np.newaxis]
    fit = fit_ridge_logistic(terms[np.newaxis], positive, train)
    probability = fit.probability(terms[np.newaxis])
    for members, predicted, slopes in zip(train, probability, fit.coefficients, strict=True):
        scaler = StandardScaler().fit(terms[members])
        expected = LogisticRegression(
            class_weight="balanced", solver="newton-cholesky", tol=1e-12
        ).fit(scaler.transform(terms[members]), positive[members])
        np.testing.assert_allclose(slopes, expected.coef_[0], rtol=1e-6, atol=1e-9)
        by_library = expected.predict_proba(scaler.transform(terms))[:, 1]
        np.testing.assert_allclose(predicted, by_library, rtol=1e-6)


def test_terms_may_depend_on_the_training_set() -> None:
    rng = np.random.default_rng(1)
    terms, positive = rng.normal(size=(2, 40, 2)), np.arange(40) % 2 == 0
    train = rng.random((2, 40)) < 0.8
    both = fit_ridge_logistic(terms, positive, train)
    for number in range(2):
        alone = fit_ridge_logistic(terms[number : number + 1], positive, train[number : number + 1])
        np.testing.assert_allclose(both.coefficients[number], alone.coefficients[0])
