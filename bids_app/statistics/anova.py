"""Analysis of covariance between groups and of variance within subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from bids_app.statistics.design import Model, ModelError, build_design
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.samples import FloatArray, numeric_column, require_columns, require_unique


@dataclass(frozen=True, kw_only=True)
class Ancova:
    """Groups compared at equal covariates.

    Attributes
    ----------
    n : int
        Complete cases.
    f, p : float
        F test that all adjusted means are equal.
    df : tuple of int
        Its numerator and denominator degrees of freedom.
    means : DataFrame
        Per group: ``group``, ``n``, adjusted ``mean`` at the mean covariates, ``se``,
        ``ci_low``, ``ci_high``.
    comparisons : DataFrame
        Per pair: ``first``, ``second``, ``difference`` (first - second), ``se``, ``ci_low``,
        ``ci_high`` (not adjusted), ``t``, ``p``, ``p_adj`` (Bonferroni).
    terms : DataFrame
        Tests of the group, then of each covariate, each given all others (type II, which equals
        type III without interactions): ``term``, ``f``, ``df``, ``df_error``, ``p``,
        ``partial_eta_squared``.
    """

    n: int
    f: float
    p: float
    df: tuple[int, int]
    means: pd.DataFrame
    comparisons: pd.DataFrame
    terms: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class RepeatedMeasures:
    """One-way repeated-measures analysis of variance.

    Attributes
    ----------
    n, levels : int
        Complete subjects and methods.
    f, p : float
        F test assuming sphericity.
    df : tuple of int
        Its degrees of freedom.
    partial_eta_squared, generalised_eta_squared : float
        Sum of squares of the methods over its sum with that of the error, and with those of the
        error and the subjects.
    epsilon, epsilon_huynh_feldt : float
        Estimates by Greenhouse and Geisser, and by Huynh and Feldt (at most 1); 1 for two methods.
    p_greenhouse_geisser, p_huynh_feldt : float
        p-values with both degrees of freedom multiplied by these.
    mauchly_w, mauchly_p : float
        Test of sphericity; NaN for two methods.
    """

    n: int
    levels: int
    f: float
    p: float
    df: tuple[int, int]
    partial_eta_squared: float
    generalised_eta_squared: float
    epsilon: float
    epsilon_huynh_feldt: float
    p_greenhouse_geisser: float
    p_huynh_feldt: float
    mauchly_w: float
    mauchly_p: float


def analyse_covariance(
    data: pd.DataFrame,
    outcome: str,
    group: str,
    covariates: Sequence[str],
    confidence: float = 0.95,
    categorical: Sequence[str] = (),
) -> Ancova:
    """Compare groups in an outcome, adjusted for covariates.

    Parameters
    ----------
    data : DataFrame
        One row per subject.
    outcome : str
        Numeric column, for example change of thalamus volume in percent.
    group : str
        Categorical column, for example disability progression, stable, improvement.
    covariates : sequence of str
        Numeric columns, at least one, for example age and follow-up time.
    confidence : float
        Level of the intervals.
    categorical : sequence of str
        Covariates with levels, for example sex. Adjusted means are those at the shares of the
        levels among all cases.

    Returns
    -------
    Ancova

    Raises
    ------
    ModelError
        If there is no numeric covariate, or for a reason of `regression.build_design`, a single
        group among them.

    References
    ----------
    Searle, Speed & Milliken 1980, Am Stat 34:216-221 (adjusted means); Cohen 1973, Educ Psychol
    Meas 33:107-112 (partial η²); used by the DeepGRAI registry for change by disability
    progression.
    """
    if not covariates:
        raise ModelError("an analysis of covariance needs a numeric covariate")
    first, *others = covariates
    # Repeated labels of rows would repeat the members of groups.
    data = data.reset_index(drop=True)
    model = Model(outcome=outcome, predictor=first, numeric=tuple(others))
    design = build_design(data, replace(model, categorical=(*categorical, group)))
    terms = sm.add_constant(design.terms)
    fit = sm.OLS(design.outcome, terms).fit()
    cases = data.loc[design.terms.index]
    members = cases[group].map(str)
    groups = sorted(members.unique())
    # The first group is the reference level: all its indicators are zero.
    at = np.tile(terms.mean().to_numpy(), (len(groups), 1))
    at[:, -(len(groups) - 1) :] = np.eye(len(groups))[:, 1:]
    omnibus = fit.f_test(at[1:] - at[0])
    means = _contrast_columns(fit, at, "mean", confidence)[["mean", "se", "ci_low", "ci_high"]]
    means.insert(0, "n", members.value_counts().reindex(groups).to_numpy())
    means.insert(0, "group", groups)
    return Ancova(
        n=len(members),
        f=float(omnibus.fvalue),
        p=float(omnibus.pvalue),
        df=(int(omnibus.df_num), int(omnibus.df_denom)),
        means=means,
        comparisons=_compare_groups(fit, at, groups, confidence),
        terms=_test_terms(
            fit,
            {group: at[1:] - at[0]},
            dict.fromkeys(covariates, 1)
            | {name: cases[name].map(str).nunique() - 1 for name in categorical},
        ),
    )


def analyse_repeated_measures(
    scores: pd.DataFrame, measure: str, keys: Sequence[str] = ("subject",)
) -> RepeatedMeasures:
    """Compare methods applied to the same subjects.

    Parameters
    ----------
    scores : DataFrame
        One row per scan and method: the columns `keys`, ``method`` and `measure`.
    measure : str
        Numeric column, for example ``dice``.
    keys : sequence of str
        Columns that together identify a scan; scans that lack a method are excluded.

    Returns
    -------
    RepeatedMeasures

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a scan has two scores by one method, a score is text or infinite, fewer than two
        methods or no more complete scans than methods remain, or the differences between
        methods do not vary.

    References
    ----------
    Greenhouse & Geisser 1959, Psychometrika 24:95-112; Huynh & Feldt 1976, J Educ Stat 1:69-82;
    Mauchly 1940, Ann Math Stat 11:204-209; generalised η²: Olejnik & Algina 2003, Psychol
    Methods 8:434-447; use: Opfer et al. 2022.
    """
    wide = _scores_by_method(scores, measure, keys)
    # The tests ignore the means of scans; without them, sums of squares lose no digits to them.
    means = wide.mean(axis=1)
    within = pd.DataFrame(wide.sub(means, axis=0).to_numpy())
    if np.allclose(within.std(ddof=0), 0, atol=1e-12):
        raise ValueError("the differences between methods do not vary")
    n, levels = within.shape
    # Its plotting libraries take seconds to import.
    import pingouin

    table = pingouin.rm_anova(within, correction=True, detailed=True, effsize="np2")
    row = table.iloc[0]
    between, error = levels * float(((means - means.mean()) ** 2).sum()), float(table["SS"].iloc[1])
    df = (int(row["DF"]), int(table["DF"].iloc[1]))
    # Two methods are always spherical, and pingouin corrects and tests nothing.
    huynh_feldt = float(pingouin.epsilon(within, correction="hf")) if levels > 2 else 1.0
    return RepeatedMeasures(
        n=n,
        levels=levels,
        f=float(row["F"]),
        p=float(row["p_unc"]),
        df=df,
        partial_eta_squared=float(row["np2"]),
        generalised_eta_squared=float(row["SS"] / (row["SS"] + error + between)),
        epsilon=float(row["eps"]),
        epsilon_huynh_feldt=huynh_feldt,
        p_greenhouse_geisser=float(row.get("p_GG_corr", row["p_unc"])),
        p_huynh_feldt=float(stats.f.sf(row["F"], huynh_feldt * df[0], huynh_feldt * df[1])),
        mauchly_w=float(row.get("W_spher", np.nan)),
        mauchly_p=float(row.get("p_spher", np.nan)),
    )


def _test_terms(
    fit: sm.regression.linear_model.RegressionResultsWrapper,
    groups: Mapping[str, FloatArray],
    covariates: Mapping[str, int],
) -> pd.DataFrame:
    """Test each term given the others: contrasts of the groups by name, and the covariates.

    Covariates are given with their numbers of columns, in the order of these.
    """
    contrasts = dict(groups)
    # The constant precedes the covariates.
    start = 1
    for name, columns in covariates.items():
        contrasts[name] = np.eye(len(fit.params))[start : start + columns]
        start += columns
    rows = []
    for name, contrast in contrasts.items():
        test = fit.f_test(contrast)
        f, df, df_error = float(test.fvalue), int(test.df_num), int(test.df_denom)
        rows.append((name, f, df, df_error, float(test.pvalue), f * df / (f * df + df_error)))
    return pd.DataFrame(rows, columns=["term", "f", "df", "df_error", "p", "partial_eta_squared"])


def _compare_groups(
    fit: sm.regression.linear_model.RegressionResultsWrapper,
    at: FloatArray,
    groups: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Compare each pair of adjusted means; rows of `at` are the terms of the groups' means."""
    pairs = list(combinations(range(len(groups)), 2))
    contrasts = np.array([at[i] - at[j] for i, j in pairs])
    comparisons = _contrast_columns(fit, contrasts, "difference", confidence)
    comparisons.insert(0, "second", [groups[j] for _, j in pairs])
    comparisons.insert(0, "first", [groups[i] for i, _ in pairs])
    comparisons["p_adj"] = adjust(comparisons["p"], procedure="bonferroni")
    return comparisons


def _scores_by_method(scores: pd.DataFrame, measure: str, keys: Sequence[str]) -> pd.DataFrame:
    """Return the scores of complete scans, shape (scans, methods)."""
    require_columns(scores, [*keys, "method", measure])
    require_unique(scores, [*keys, "method"])
    checked = scores.assign(**{measure: numeric_column(scores, measure)})
    wide = checked.pivot(index=list(keys), columns="method", values=measure).dropna()
    n, levels = wide.shape
    if levels < 2 or n <= levels:
        raise ValueError(f"{n} complete scans by {levels} methods cannot be compared")
    return wide


def _contrast_columns(
    fit: sm.regression.linear_model.RegressionResultsWrapper,
    contrasts: FloatArray,
    name: str,
    confidence: float,
) -> pd.DataFrame:
    result = fit.t_test(contrasts)
    interval = result.conf_int(1 - confidence)
    return pd.DataFrame(
        {
            name: np.atleast_1d(result.effect),
            "se": np.atleast_1d(result.sd).ravel(),
            "ci_low": interval[:, 0],
            "ci_high": interval[:, 1],
            "t": np.atleast_1d(result.tvalue).ravel(),
            "p": np.atleast_1d(result.pvalue),
        }
    )
