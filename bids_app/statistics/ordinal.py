"""Proportional-odds models of categories of change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from statsmodels.miscmodels.ordinal_model import OrderedModel

from bids_app.statistics.design import Design, Model, ModelError, build_design
from bids_app.statistics.multiplicity import Family, adjust_family
from bids_app.statistics.proportionality import brant_test
from bids_app.statistics.samples import FloatArray
from bids_app.statistics.separation import category_bounds, separating_terms
from bids_app.statistics.wald import odds_ratios, wald_table

CATEGORIES = ("better", "stable", "worse")


@dataclass(frozen=True, kw_only=True)
class OrdinalFit:
    """A fitted proportional-odds model, logit P(Y ≤ j) = threshold_j - terms · beta.

    Attributes
    ----------
    counts : Series of int
        Cases by category, in order.
    coefficients : DataFrame
        One row per term: ``beta`` (log odds of a higher category), ``se``, ``ci_low``,
        ``ci_high``, ``z``, ``p``, ``odds_ratio``, ``odds_ratio_ci_low``, ``odds_ratio_ci_high``.
    thresholds, threshold_se : Series of float64
        Cut points between neighbouring categories, ``better|stable`` and so on, and their
        standard errors.
    log_likelihood : float
    proportionality : DataFrame
        Brant's test that the odds ratios are the same at every cut point, for all terms together
        (``all``) and for each: ``chi2``, ``df``, ``p``; NaN where a binary model at a cut point
        cannot be fitted, and with two categories, which have one cut point only.
    """

    counts: pd.Series
    coefficients: pd.DataFrame
    thresholds: pd.Series
    threshold_se: pd.Series
    log_likelihood: float
    proportionality: pd.DataFrame


def change_category(
    change: pd.Series, better_below: float = 0.0, worse_above: float = 0.0
) -> pd.Series:
    """Name the direction of a change in a score that is bad when high, such as EDSS.

    Parameters
    ----------
    change : Series of float64
        Follow-up minus baseline.
    better_below, worse_above : float
        Changes strictly beyond these are better or worse; with 0.75 a whole point is required.

    Returns
    -------
    Series of ordered category
        ``better`` < ``stable`` < ``worse``; missing where `change` is.

    Raises
    ------
    ValueError
        If `better_below` exceeds `worse_above`.
    """
    if better_below > worse_above:
        raise ValueError(f"better_below {better_below} exceeds worse_above {worse_above}")
    codes = np.select([change.isna(), change < better_below, change > worse_above], [-1, 0, 2], 1)
    dtype = pd.CategoricalDtype(list(CATEGORIES), ordered=True)
    return pd.Series(pd.Categorical.from_codes(codes.tolist(), dtype=dtype), index=change.index)


def fit_ordinal(data: pd.DataFrame, model: Model, confidence: float = 0.95) -> OrdinalFit:
    """Fit a proportional-odds model by maximum likelihood.

    The terms are standardised for the optimiser and the result is converted back;
    statsmodels' thresholds, stored as logarithms of increments, are converted too. Standard
    errors come from the observed information in closed form.

    Parameters
    ----------
    data : DataFrame
        One row per subject; the outcome is an ordered category.
    model : Model
        Its transform and covariance are not used.
    confidence : float
        Level of the Wald intervals.

    Returns
    -------
    OrdinalFit

    Raises
    ------
    ModelError
        If the outcome is no ordered category or only one category occurs, the categories
        are separated, the optimiser fails, or for a reason of `build_design`.

    References
    ----------
    McCullagh 1980, J R Stat Soc B 42:109-142; test of proportional odds: see `brant_test`.
    """
    levels, design = _ordered_design(data, model)
    separating = separating_terms(design)
    if separating:
        raise ModelError(f"the categories are perfectly separated by {separating}")
    thresholds, beta, log_likelihood = _maximise(design)
    se = _standard_errors(design, thresholds, beta)
    pairs = [f"{low}|{high}" for low, high in pairwise(levels)]
    cuts = len(pairs)
    coefficients = wald_table(beta, se[cuts:], design.terms.columns, confidence)
    return OrdinalFit(
        counts=design.outcome.value_counts().sort_index().set_axis(levels),
        coefficients=odds_ratios(coefficients),
        thresholds=pd.Series(thresholds, index=pairs),
        threshold_se=pd.Series(se[:cuts], index=pairs),
        log_likelihood=log_likelihood,
        proportionality=brant_test(design),
    )


def ordinal_table(
    data: pd.DataFrame, models: Sequence[Model], family: Family = "all", confidence: float = 0.95
) -> pd.DataFrame:
    """Fit many proportional-odds models of better, stable, worse.

    Parameters
    ----------
    data : DataFrame
        One row per subject; outcomes as `change_category` makes them.
    models : sequence of Model
    family : {'all', 'outcome'}
        Benjamini-Hochberg over all models that could be fitted, or by outcome.
    confidence : float

    Returns
    -------
    DataFrame
        One row per model: ``outcome``, ``predictor``, ``n``, ``n_better``, ``n_stable``,
        ``n_worse``, ``beta``, ``se``, ``ci_low``, ``ci_high``, ``z``, ``p``, ``p_adj``,
        ``family``, ``odds_ratio`` (with ``_ci_low``, ``_ci_high``),
        ``threshold_better_stable`` and ``threshold_stable_worse`` (each with ``_se``),
        ``log_likelihood``, ``brant_p`` (all terms) and ``brant_p_predictor`` (Brant's test of
        proportional odds), and ``reason``. A model that cannot be fitted is a row with its reason.
    """
    return tabulate_ordinal(fit_all_ordinal(data, models, confidence), family)


def fit_all_ordinal(
    data: pd.DataFrame, models: Sequence[Model], confidence: float = 0.95
) -> list[tuple[Model, OrdinalFit | str]]:
    """Fit many proportional-odds models; one that cannot be fitted is paired with the reason."""
    fits: list[tuple[Model, OrdinalFit | str]] = []
    for model in models:
        try:
            fits.append((model, fit_ordinal(data, model, confidence)))
        except ModelError as error:
            fits.append((model, str(error)))
    return fits


def ordinal_terms(fits: Sequence[tuple[Model, OrdinalFit | str]]) -> pd.DataFrame:
    """Report every term of the fitted models, with its odds ratio.

    Returns
    -------
    DataFrame
        One row per model and term: ``outcome``, ``predictor``, ``term``, ``beta``, ``se``,
        ``ci_low``, ``ci_high``, ``z``, ``odds_ratio`` (with ``_ci_low``, ``_ci_high``).
    """
    tables = [
        fit.coefficients.drop(columns="p")
        .rename_axis("term")
        .reset_index()
        .assign(outcome=model.outcome, predictor=model.predictor)
        for model, fit in fits
        if not isinstance(fit, str)
    ]
    columns = ["outcome", "predictor", "term", "beta", "se", "ci_low", "ci_high", "z"]
    columns += ["odds_ratio", "odds_ratio_ci_low", "odds_ratio_ci_high"]
    return (
        pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    )


def tabulate_ordinal(
    fits: Sequence[tuple[Model, OrdinalFit | str]], family: Family = "all"
) -> pd.DataFrame:
    """Report the results of `fit_all_ordinal` as `ordinal_table` does."""
    rows: list[dict[str, Any]] = []
    for model, fit in fits:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        if isinstance(fit, str):
            rows.append(row | {"reason": fit})
            continue
        coefficient = fit.coefficients.loc[model.predictor]
        row |= {f"n_{name}": int(fit.counts.get(name, 0)) for name in CATEGORIES}
        row |= {str(name): value for name, value in coefficient.items()}
        row |= {"n": int(fit.counts.sum()), "log_likelihood": fit.log_likelihood, "reason": ""}
        for pair in map(str, fit.thresholds.index):
            name = f"threshold_{pair.replace('|', '_')}"
            row |= {name: fit.thresholds[pair], f"{name}_se": fit.threshold_se[pair]}
        row["brant_p"] = fit.proportionality.loc["all", "p"]
        row["brant_p_predictor"] = fit.proportionality.loc[model.predictor, "p"]
        rows.append(row)
    columns = ["outcome", "predictor", "n", "n_better", "n_stable", "n_worse", "beta", "se"]
    columns += ["ci_low", "ci_high", "z", "p", "p_adj", "family", "odds_ratio"]
    columns += ["odds_ratio_ci_low", "odds_ratio_ci_high"]
    for name in ("threshold_better_stable", "threshold_stable_worse"):
        columns += [name, f"{name}_se"]
    columns += ["log_likelihood", "brant_p", "brant_p_predictor", "reason"]
    return adjust_family(pd.DataFrame(rows, columns=columns), family)


def _ordered_design(data: pd.DataFrame, model: Model) -> tuple[list[str], Design]:
    """Return the categories that occur, and the design with their ranks 0, 1, … as outcome."""
    if model.outcome not in data.columns:
        raise ModelError(f"columns {[model.outcome]} are absent")
    values = data[model.outcome]
    if not (isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered):
        raise ModelError(f"'{model.outcome}' is not an ordered category")
    codes = values.cat.codes.astype(np.float64).where(values.notna())
    ranked = data.assign(**{model.outcome: codes})
    design = build_design(ranked, replace(model, transform="identity"))
    # Categories without cases have no thresholds.
    present, ranks = np.unique(design.outcome.to_numpy(dtype=np.int64), return_inverse=True)
    levels = [str(values.dtype.categories[code]) for code in present]
    return levels, replace(design, outcome=pd.Series(ranks, index=design.outcome.index))


class _ProportionalOdds(OrderedModel):  # type: ignore[misc] # untyped
    """statsmodels' model; its logistic distribution costs more than all else of a fit."""

    def cdf(self, x: FloatArray) -> FloatArray:
        """Return what `scipy.stats.logistic` does, without its checks."""
        return np.asarray(special.expit(x))


def _maximise(design: Design) -> tuple[FloatArray, FloatArray, float]:
    """Return thresholds, coefficients and log-likelihood at its maximum."""
    terms = design.terms.to_numpy()
    # Standardised terms keep the Newton steps of coefficients and thresholds comparable.
    mean, sd = terms.mean(axis=0), terms.std(axis=0)
    outcome = pd.Series(pd.Categorical(design.outcome, ordered=True), index=design.terms.index)
    optimiser = _ProportionalOdds(outcome, (design.terms - mean) / sd, distr="logit")
    # A trial step may overflow; the optimiser then takes a shorter one.
    with np.errstate(over="ignore"):
        fit = optimiser.fit(method="newton", disp=False)
    if not fit.mle_retvals["converged"]:
        raise ModelError("the optimiser did not converge")
    parameters = np.asarray(fit.params)
    beta = parameters[: len(sd)] / sd
    thresholds = optimiser.transform_threshold_params(parameters)[1:-1] + mean @ beta
    return thresholds, beta, float(fit.llf)


def _standard_errors(design: Design, thresholds: FloatArray, beta: FloatArray) -> FloatArray:
    """Return the standard errors of thresholds and coefficients from the observed information."""
    ranks, terms = design.outcome.to_numpy(dtype=np.int64), design.terms.to_numpy()
    information = _information(ranks, terms, thresholds, beta)
    try:
        variance = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        variance = np.zeros(len(information))
    if not (variance > 0).all():
        raise ModelError("too few cases in a category, standard errors are undefined")
    return np.sqrt(variance)


def _information(
    ranks: npt.NDArray[np.int64],
    terms: FloatArray,
    thresholds: FloatArray,
    beta: FloatArray,
) -> FloatArray:
    """Return the observed information of (thresholds, beta), shape (cuts + p, cuts + p)."""
    upper, lower = category_bounds(ranks, terms, thresholds.size)
    parameters = np.concatenate([thresholds, beta])
    has_upper, has_lower = ranks < thresholds.size, ranks > 0
    above = np.where(has_upper, special.expit(upper @ parameters), 1)
    below = np.where(has_lower, special.expit(lower @ parameters), 0)
    probability = (above - below)[:, np.newaxis]
    density_above, density_below = above * (1 - above), below * (1 - below)
    gradient = (density_above[:, np.newaxis] * upper - density_below[:, np.newaxis] * lower) / (
        probability
    )
    curve_above = (density_above * (1 - 2 * above))[:, np.newaxis] / probability
    curve_below = (density_below * (1 - 2 * below))[:, np.newaxis] / probability
    hessian = upper.T @ (curve_above * upper) - lower.T @ (curve_below * lower)
    return np.asarray(gradient.T @ gradient - hessian)
