"""Design matrices: coding of terms and complete cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bids_app.statistics.design import Model, ModelError, build_design, without_constant

DATA = pd.DataFrame(
    {
        "edss": [1.0, 2.0, 3.0, 4.5, 6.0, np.nan],
        "volume": [15.0, 14.2, 13.1, 14.0, 11.5, 12.0],
        "age": [30.0, 50.0, 40.0, 20.0, 60.0, 45.0],
        "sex": ["M", "F", "F", "M", "F", "F"],
    },
    index=list("abcdef"),
)


def test_categories_are_coded_from_their_first_level_and_covariates_standardised() -> None:
    model = Model(
        outcome="edss",
        predictor="volume",
        numeric=("age",),
        categorical=("sex",),
        standardised=("age",),
        transform="log",
    )
    design = build_design(DATA, model)
    assert list(design.terms) == ["volume", "age", "sex_M"]
    assert design.terms.index.tolist() == list("abcde")
    assert design.terms["sex_M"].tolist() == [1, 0, 0, 1, 0]
    assert design.terms["age"].mean() == pytest.approx(0)
    assert design.terms["age"].std() == pytest.approx(1)
    np.testing.assert_allclose(design.outcome, np.log([1, 2, 3, 4.5, 6]))


@pytest.mark.parametrize(
    ("predictor", "message"), [("none", "are absent"), ("edss", "are used more than once")]
)
def test_columns_that_do_not_fit_are_named(predictor: str, message: str) -> None:
    with pytest.raises(ModelError, match=rf"'{predictor}'.* {message}"):
        build_design(DATA, Model(outcome="edss", predictor=predictor))


def test_optional_covariates_that_do_not_vary_in_the_sample_are_excluded() -> None:
    data = DATA.assign(
        steroids=[0.0, 0.0, 0.0, np.nan, 0.0, 1.0],
        site=["A", "A", "A", "A", "A", "B"],
        dose=[np.nan] * 5 + [3.0],
    )
    model = Model(
        outcome="edss",
        predictor="volume",
        numeric=("age", "steroids", "dose"),
        categorical=("sex", "site"),
        standardised=("age", "steroids"),
    )
    # All of them vary, but not where the outcome is known, or they are known there in no case.
    fewer = without_constant(data, model, ("steroids", "site", "dose", "age"))
    expected = Model(
        outcome="edss",
        predictor="volume",
        numeric=("age",),
        categorical=("sex",),
        standardised=("age",),
    )
    assert fewer == expected
    # The case that lacks only what is excluded is complete.
    assert list(build_design(data, fewer).terms.index) == list("abcde")
    assert without_constant(data, model, ()) is model
    assert without_constant(data.drop(columns="site"), model, ("site",)) is model
