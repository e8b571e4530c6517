"""Analysis of covariance and of repeated measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from bids_app.statistics import anova
from bids_app.statistics.design import ModelError

COVARIATES = ["age", "years"]


def tidy(wide: pd.DataFrame) -> pd.DataFrame:
    """Return one row per subject and method."""
    numbered = wide.assign(subject=range(len(wide)))
    return numbered.melt("subject", var_name="method", value_name="dice")


def test_covariance_agrees_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package car (type II F) and emmeans with Bonferroni."""
    values = expected["ancova"]
    registry = inputs("registry").set_axis([0, 1] * 60)
    result = anova.analyse_covariance(registry, "percent", "group", COVARIATES)
    assert result.n == values["n"]
    assert result.f == pytest.approx(values["f"], abs=1e-9)
    assert result.p == pytest.approx(values["p"], abs=1e-9)
    assert result.means["group"].tolist() == ["improved", "stable", "worse"]
    for name in ("mean", "se", "ci_low", "ci_high"):
        np.testing.assert_allclose(result.means[name], values[name], atol=1e-9)
    pairs = result.comparisons
    assert pairs[["first", "second"]].to_numpy().tolist()[0] == ["improved", "stable"]
    for name in ("difference", "t", "p_adj"):
        np.testing.assert_allclose(pairs[name], values[name], atol=1e-9)
    np.testing.assert_allclose(pairs["se"], values["difference_se"], atol=1e-9)
    np.testing.assert_allclose(pairs["ci_low"], values["difference_ci_low"], atol=1e-9)
    np.testing.assert_allclose(pairs["ci_high"], values["difference_ci_high"], atol=1e-9)


def test_terms_of_covariance(inputs: Callable[[str], pd.DataFrame]) -> None:
    """F of group and covariates: sums of squares lost by the model without the term."""
    registry = inputs("registry").dropna()
    result = anova.analyse_covariance(registry, "percent", "group", COVARIATES)
    formula = "percent ~ age + years + C(group)"
    expected = anova_lm(ols(formula, registry).fit(), typ=2)
    squares = expected["sum_sq"]
    terms = result.terms.set_index("term")
    assert terms.index.tolist() == ["group", *COVARIATES]
    for name, row in (("group", "C(group)"), ("age", "age"), ("years", "years")):
        assert terms.loc[name, "f"] == pytest.approx(expected.loc[row, "F"])
        assert terms.loc[name, "p"] == pytest.approx(expected.loc[row, "PR(>F)"])
        assert terms.loc[name, "df"] == expected.loc[row, "df"]
        assert terms.loc[name, "df_error"] == expected.loc["Residual", "df"]
        share = squares[row] / (squares[row] + squares["Residual"])
        assert terms.loc[name, "partial_eta_squared"] == pytest.approx(share)
    assert (terms.loc["group", "f"], terms.loc["group", "p"]) == (result.f, result.p)


def test_a_covariate_with_levels(inputs: Callable[[str], pd.DataFrame]) -> None:
    """A factor of three levels: its F, that of the group, and means at the shares of its levels."""
    registry = inputs("registry").dropna().reset_index(drop=True)
    registry["site"] = [("b", "a", "c")[number % 7 % 3] for number in registry.index]
    registry["percent"] -= (registry["site"] == "c") * 0.5
    result = anova.analyse_covariance(registry, "percent", "group", ["age"], categorical=["site"])
    fit = ols("percent ~ age + C(site) + C(group)", registry).fit()
    expected = anova_lm(fit, typ=2)
    terms = result.terms.set_index("term")
    assert terms.index.tolist() == ["group", "age", "site"]
    for name, row in (("group", "C(group)"), ("age", "age"), ("site", "C(site)")):
        assert terms.loc[name, "f"] == pytest.approx(expected.loc[row, "F"])
        assert terms.loc[name, "df"] == expected.loc[row, "df"]
    for _, row in result.means.iterrows():
        everyone = registry.assign(group=row["group"], age=registry["age"].mean())
        assert row["mean"] == pytest.approx(fit.predict(everyone).mean())


def test_adjustment_removes_a_confounder() -> None:
    """Groups that differ in follow-up time only have equal adjusted means."""
    rng = np.random.default_rng(0)
    group = np.repeat(["long", "short"], 100)
    years = np.where(group == "long", 3.0, 1.0) + rng.normal(0, 0.5, 200)
    data = pd.DataFrame({"group": group, "years": years})
    data["percent"] = -0.5 * years + rng.normal(0, 0.3, 200)
    assert stats.ttest_ind(data["percent"][:100], data["percent"][100:]).pvalue < 1e-6
    result = anova.analyse_covariance(data, "percent", "group", ["years"])
    assert result.p > 0.01
    # Two groups: the F test is the square of the only comparison.
    assert result.f == pytest.approx(result.comparisons["t"].iloc[0] ** 2)
    assert result.df == (1, 197)


def test_covariance_refusals(inputs: Callable[[str], pd.DataFrame]) -> None:
    """One group, no covariate, absent column: in words."""
    registry = inputs("registry")
    with pytest.raises(ModelError, match="'group' is the same in all"):
        anova.analyse_covariance(registry.assign(group="stable"), "percent", "group", ["age"])
    with pytest.raises(ModelError, match="needs a numeric covariate"):
        anova.analyse_covariance(registry, "percent", "group", [])
    with pytest.raises(ModelError, match="absent"):
        anova.analyse_covariance(registry, "percent", "diagnosis", ["age"])


def test_repeated_measures_agree_with_r(
    expected: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package car: Greenhouse-Geisser and Mauchly."""
    result = anova.analyse_repeated_measures(tidy(inputs("repeated")), "dice")
    assert (result.n, result.levels, result.df) == (18, 3, (2, 34))
    for name, value in expected["repeated_measures"].items():
        assert getattr(result, name) == pytest.approx(value, abs=1e-9), name


def test_corrections_and_effect_sizes_agree_with_r(
    expected_tests: dict[str, Any], inputs: Callable[[str], pd.DataFrame]
) -> None:
    """Package afex: Huynh-Feldt, partial and generalised eta squared."""
    result = anova.analyse_repeated_measures(tidy(inputs("repeated")), "dice")
    for name, value in expected_tests["repeated_measures"].items():
        assert getattr(result, name) == pytest.approx(value, abs=1e-9), name


def test_huynh_feldt_is_at_most_one() -> None:
    """Independent noise of eight methods: the estimate exceeds 1, and nothing is corrected."""
    rng = np.random.default_rng(0)
    result = anova.analyse_repeated_measures(tidy(pd.DataFrame(rng.normal(size=(60, 8)))), "dice")
    assert result.epsilon < result.epsilon_huynh_feldt == 1
    assert result.p_huynh_feldt == pytest.approx(result.p)


def test_two_methods_are_a_paired_t_test(inputs: Callable[[str], pd.DataFrame]) -> None:
    """F is t², epsilon 1, and there is no sphericity to test."""
    wide = inputs("repeated")[["a", "b"]]
    result = anova.analyse_repeated_measures(tidy(wide), "dice")
    t = stats.ttest_rel(wide["a"], wide["b"])
    assert result.f == pytest.approx(t.statistic**2)
    assert result.p == result.p_greenhouse_geisser == pytest.approx(t.pvalue)
    assert result.epsilon == result.epsilon_huynh_feldt == 1
    assert result.p_huynh_feldt == pytest.approx(t.pvalue)
    # η² from F and its degrees of freedom.
    assert result.partial_eta_squared == pytest.approx(result.f / (result.f + result.df[1]))
    assert np.isnan(result.mauchly_w)


def test_incomplete_scans_are_excluded(inputs: Callable[[str], pd.DataFrame]) -> None:
    """A subject that lacks one method does not count; subjects' offsets do not matter."""
    wide = inputs("repeated")
    wide.loc[0, "b"] = np.nan
    result = anova.analyse_repeated_measures(tidy(wide), "dice")
    assert result.n == 17
    offset = wide.add(np.arange(18.0), axis=0)
    shifted = anova.analyse_repeated_measures(tidy(offset), "dice")
    assert shifted.f == pytest.approx(result.f)
    assert shifted.mauchly_p == pytest.approx(result.mauchly_p)


def test_repeated_measures_refusals(inputs: Callable[[str], pd.DataFrame]) -> None:
    """Duplicates would be averaged silently; few subjects and no variation are refused."""
    scores = tidy(inputs("repeated"))
    with pytest.raises(ValueError, match="duplicate rows"):
        anova.analyse_repeated_measures(pd.concat([scores, scores]), "dice")
    with pytest.raises(ValueError, match="cannot be compared"):
        anova.analyse_repeated_measures(scores[scores["subject"] < 3], "dice")
    with pytest.raises(ValueError, match="cannot be compared"):
        anova.analyse_repeated_measures(scores[scores["method"] == "a"], "dice")
    with pytest.raises(ValueError, match="do not vary"):
        anova.analyse_repeated_measures(scores.assign(dice=scores["subject"]), "dice")
