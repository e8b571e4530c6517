"""Harmonisation against two libraries, planted offsets, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.harmonisation import cross_sectional, longitudinal, summary
from bids_app.statistics.harmonisation import (
    HarmonisationError,
    Preserved,
    batch_effect,
    fit_combat,
    fit_longitudinal_combat,
)

_COLUMNS = Preserved(batch="site", numeric=("age",), categorical=("sex",))

# Of the first rows of `visits`, by libraries.
NEUROCOMBAT = [12.125835, 13.049702, 13.854293, 12.455438, 13.223401]
LONGCOMBAT = [11.97478, 12.51618, 13.05759, 12.78146, 13.27121]


def visits(count: int = 3) -> pd.DataFrame:
    """Thirty subjects at two sites, which they change between visits; exact decimals."""
    rows = [
        (f"s{k}", visit, "AB"[(k + visit * (k % 3)) % 2], 30 + k % 17, "FM"[k // 3 % 2])
        for k in range(30)
        for visit in range(count)
    ]
    table = pd.DataFrame(rows, columns=["participant_id", "interval", "site", "age", "sex"])
    number = np.arange(len(table))
    noise = (number * 7919 % 101 - 50) / 100
    table["volume"] = (
        13
        - 0.02 * table["age"]
        + (table["site"] == "B") * 0.7
        + noise * np.where(table["site"] == "B", 1.5, 1)
        + (table["participant_id"].str[1:].astype(int) * 31 % 23) / 20
    )
    return table


def test_combat_gives_the_values_of_neurocombat() -> None:
    """neuroCombat 0.2.12, eb=False, categorical_cols=['sex'], continuous_cols=['age']."""
    first = visits(1)
    harmonised = fit_combat(first, "volume", _COLUMNS).apply(first, "volume")
    assert harmonised.iloc[:5].tolist() == pytest.approx(NEUROCOMBAT, abs=1e-5)
    assert harmonised.mean() == pytest.approx(first["volume"].mean())


def test_longitudinal_combat_gives_the_values_of_longcombat() -> None:
    """longcombat-py 0.1.1, eb=False, formula 'age + sex + interval', ranef '(1|participant_id)'."""
    table = visits()
    columns = Preserved(batch="site", numeric=("age", "interval"), categorical=("sex",))
    harmonised = fit_longitudinal_combat(table, "volume", columns).apply(table, "volume")
    assert harmonised.iloc[:5].tolist() == pytest.approx(LONGCOMBAT, abs=1e-4)


def test_site_offsets_are_removed_and_groups_are_not() -> None:
    effects = summary([cross_sectional(seed) for seed in range(24)])
    assert effects["cv_before"] > 5.5
    assert effects["cv_after"] < 3
    assert effects["difference"] == pytest.approx(-1.0, rel=0.1)
    assert effects["null_rejected"] <= 4 / 24
    changes = summary([longitudinal(seed) for seed in range(6)])
    assert changes["cv_after"] < 3
    assert changes["difference"] == pytest.approx(-0.1, abs=0.025)


def test_batches_are_tested_given_the_covariates() -> None:
    first = visits(1)
    before = batch_effect(first, "volume", _COLUMNS)
    harmonised = first.assign(volume=fit_combat(first, "volume", _COLUMNS).apply(first, "volume"))
    after = batch_effect(harmonised, "volume", _COLUMNS)
    assert before["p"] < 0.01
    assert after["f"] < 0.001
    assert after["cv_between"] < 0.01 * before["cv_between"]
    # Without covariates it is the analysis of variance of the batches.
    alone = batch_effect(first, "volume", Preserved(batch="site", subject=_COLUMNS.subject))
    batches = [rows["volume"].to_numpy() for _, rows in first.groupby("site")]
    variance = stats.f_oneway(*batches)
    assert (alone["f"], alone["p"]) == pytest.approx((variance.statistic, variance.pvalue))
    assert (alone["df"], alone["df_error"]) == (len(batches) - 1, len(first) - len(batches))
    means = np.array([values.mean() for values in batches])
    assert alone["cv_between"] == pytest.approx(100 * means.std(ddof=1) / means.mean())


@pytest.mark.parametrize(
    ("change", "numeric", "message"),
    [
        ({"site": "A"}, ("age",), "all complete cases have the site 'A'"),
        ({}, ("age", "site"), "covariate 'site' is what is harmonised"),
        ({"copy": lambda t: (t["site"] == "B") * 1.0}, ("copy",), "'copy' is confounded"),
        (
            {"time": lambda t: (t["site"] == "B") + 0.05 * (t["age"] % 3)},
            ("time",),
            "'time' is confounded with the site: 9",
        ),
        ({"double": lambda t: 2 * t["age"]}, ("age", "double"), "are determined by the site"),
        (
            {"site": lambda t: t["site"].mask(t["participant_id"].isin(["s1", "s2"]), "C")},
            ("age",),
            "site 'C' has 2 participants",
        ),
        ({"age": np.nan}, ("age",), "no case is complete"),
        ({"age": 40.0}, ("age",), "the covariate 'age' is constant"),
        ({"age": "old"}, ("age",), "holds text"),
    ],
)
def test_what_cannot_be_separated_is_refused(
    change: dict[str, object], numeric: tuple[str, ...], message: str
) -> None:
    table = visits(1).assign(**change)
    with pytest.raises(HarmonisationError, match=message):
        fit_combat(table, "volume", Preserved(batch="site", numeric=numeric))


def test_the_same_participant_at_two_sites_needs_the_longitudinal_form() -> None:
    with pytest.raises(HarmonisationError, match="expected 'longitudinal combat'"):
        fit_combat(visits(2), "volume", _COLUMNS)
    with pytest.raises(HarmonisationError, match="expected 'combat'"):
        fit_longitudinal_combat(visits(1), "volume", _COLUMNS)


def test_unknown_sites_and_missing_covariates_have_no_harmonised_volume() -> None:
    first = visits(1)
    fit = fit_combat(first, "volume", _COLUMNS)
    others = first.head(3).assign(site=["A", "Z", "B"])
    others.loc[2, "age"] = np.nan
    assert fit.apply(others, "volume").notna().tolist() == [True, False, False]
