"""What holds for any data: the order of rows does not matter, and units only where they should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_app.statistics.anova import analyse_covariance, analyse_repeated_measures
from bids_app.statistics.design import Model
from bids_app.statistics.mixed import fit_mixed
from bids_app.statistics.normative import assess_subjects, fit_normative
from bids_app.statistics.ordinal import change_category, fit_ordinal
from bids_app.statistics.ranking import concordance_scores, rank_methods
from bids_app.statistics.reliability import measurement_error

ANY = settings(max_examples=10, deadline=None)
SEEDS, FACTORS = st.integers(0, 10_000), st.floats(0.01, 1000)


def visits(seed: int) -> pd.DataFrame:
    """Four visits of 25 subjects, or four scans: volume, age, outcome, direction of change."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(25), 4)
    volume = 13 + rng.normal(0, 1.5, 25)[subject] + rng.normal(0, 0.4, 100)
    outcome = -0.5 * volume + rng.normal(0, 1, 25)[subject] + rng.normal(0, 1, 100)
    return pd.DataFrame(
        {
            "subject": subject,
            "method": np.tile(list("abcd"), 25),
            "group": np.array(["PMS", "RRMS", "HC"])[subject % 3],
            "age": rng.uniform(20, 65, 25)[subject],
            "tiv": rng.normal(1500, 120, 100),
            "volume": volume,
            "outcome": outcome,
            "change": change_category(pd.Series(np.round(rng.normal(0.2 * volume - 2.6, 1)))),
        }
    )


def numbers(table: pd.DataFrame) -> list[float]:
    """Return what every analysis finds, in one list."""
    model = Model(outcome="outcome", predictor="volume", numeric=("age",))
    mixed = fit_mixed(table, model)
    ordinal = fit_ordinal(table, Model(outcome="change", predictor="volume", numeric=("age",)))
    covariance = analyse_covariance(table, "outcome", "group", ["volume"])
    repeated = analyse_repeated_measures(table, "volume")
    error = measurement_error(table, keys=("subject",)).within_sd
    norm = fit_normative(table)
    wide = table.pivot(index="subject", columns="method", values="volume")
    ranks = rank_methods(wide, list("bcd"), statistic=concordance_scores, resamples=5)
    return [
        *mixed.coefficients.loc["volume", ["beta", "se", "p"]],
        mixed.subject_sd,
        *ordinal.coefficients.loc["volume", ["beta", "se", "p"]],
        *ordinal.thresholds,
        covariance.f,
        *covariance.means["mean"],
        repeated.f,
        repeated.epsilon,
        error.estimate,
        error.low,
        *assess_subjects(table.sort_index(), norm, 0.0)["z"],
        *ranks.set_index("method").loc[list("bcd"), "score"],
    ]


@ANY
@given(SEEDS)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    table = visits(seed)
    shuffled = table.sample(frac=1, random_state=seed)
    assert numbers(shuffled) == pytest.approx(numbers(table), rel=1e-5, abs=1e-7)


@ANY
@given(SEEDS, FACTORS)
def test_units_of_volume(seed: int, factor: float) -> None:
    """Slopes per mL follow the unit, p-values, F, z and ranks do not know it."""
    table = visits(seed)
    scaled = table.assign(volume=factor * table["volume"])
    model = Model(outcome="outcome", predictor="volume", numeric=("age",))
    for fit, of in (
        (fit_mixed, model),
        (fit_ordinal, Model(outcome="change", predictor="volume", numeric=("age",))),
    ):
        one, other = (fit(data, of).coefficients.loc["volume"] for data in (table, scaled))
        assert other["beta"] * factor == pytest.approx(one["beta"], rel=1e-5)
        assert other["p"] == pytest.approx(one["p"], rel=1e-4, abs=1e-9)
    one, other = (analyse_repeated_measures(data, "volume") for data in (table, scaled))
    assert [other.f, other.epsilon] == pytest.approx([one.f, one.epsilon])
    one, other = (measurement_error(data).within_sd for data in (table, scaled))
    assert other.high == pytest.approx(factor * one.high)
    one, other = (assess_subjects(data, fit_normative(data), 0.0)["z"] for data in (table, scaled))
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-8)


@ANY
@given(SEEDS)
def test_a_reversed_scale_mirrors_the_ordinal_model(seed: int) -> None:
    """Better for worse turns the sign of every coefficient and nothing else."""
    table = visits(seed)
    mirrored = table["change"].cat.reorder_categories(["worse", "stable", "better"])
    model = Model(outcome="change", predictor="volume", numeric=("age",))
    one, other = fit_ordinal(table, model), fit_ordinal(table.assign(change=mirrored), model)
    signs = other.coefficients["beta"].to_numpy()
    np.testing.assert_allclose(signs, -one.coefficients["beta"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(other.coefficients["se"], one.coefficients["se"], rtol=1e-5)
    assert other.log_likelihood == pytest.approx(one.log_likelihood)
