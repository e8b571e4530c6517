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
from bids_app.statistics.samples import FloatArray
from bids_app.statistics.separation import category_bounds, separating_terms
from bids_app.statistics.wald import wald_table

CATEGORIES = ("better", "stable", "worse")


@dataclass(frozen=True)
class OrdinalFit:
    """A fitted proportional-odds model, logit P(Y ≤ j) = threshold_j - terms · beta.

    Attributes
    ----------
    counts : Series of int
        Cases by category, in order.
    coefficients : DataFrame
        One row per term: ``beta`` (log odds of a higher category), ``se``, ``ci_low``,
        ``ci_high``, ``z``, ``p``.
    thresholds : Series of float64
        Cut points between neighbouring categories, ``better|stable`` and so on.
    log_likelihood : float
    """

    counts: pd.Series
    coefficients: pd.DataFrame
    thresholds: pd.Series
    log_likelihood: float


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
    McCullagh 1980, J R Stat Soc B 42:109-142.
    """
    levels, design = _ordered_design(data, model)
    separating = separating_terms(design)
    if separating:
        raise ModelError(f"the categories are perfectly separated by {separating}")
    thresholds, beta, log_likelihood = _maximise(design)
    se = _standard_errors(design, thresholds, beta)
    pairs = [f"{low}|{high}" for low, high in pairwise(levels)]
    return OrdinalFit(
        counts=design.outcome.value_counts().sort_index().set_axis(levels),
        coefficients=wald_table(beta, se, design.terms.columns, confidence),
        thresholds=pd.Series(thresholds, index=pairs),
        log_likelihood=log_likelihood,
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
        ``threshold_better_stable``, ``threshold_stable_worse``, ``log_likelihood`` and
        ``reason``. A model that cannot be fitted is a row with its reason.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        row: dict[str, Any] = {"outcome": model.outcome, "predictor": model.predictor}
        try:
            fit = fit_ordinal(data, model, confidence)
        except ModelError as error:
            rows.append(row | {"reason": str(error)})
            continue
        coefficient = fit.coefficients.loc[model.predictor]
        row |= {f"n_{name}": int(fit.counts.get(name, 0)) for name in CATEGORIES}
        row |= {str(name): value for name, value in coefficient.items()}
        odds = np.exp(coefficient[["beta", "ci_low", "ci_high"]])
        row |= {"odds_ratio": odds["beta"], "odds_ratio_ci_low": odds["ci_low"]}
        row |= {"odds_ratio_ci_high": odds["ci_high"], "n": int(fit.counts.sum())}
        for pair, threshold in fit.thresholds.items():
            row[f"threshold_{str(pair).replace('|', '_')}"] = threshold
        rows.append(row | {"log_likelihood": fit.log_likelihood, "reason": ""})
    columns = ["outcome", "predictor", "n", "n_better", "n_stable", "n_worse", "beta", "se"]
    columns += ["ci_low", "ci_high", "z", "p", "p_adj", "family", "odds_ratio"]
    columns += ["odds_ratio_ci_low", "odds_ratio_ci_high", "threshold_better_stable"]
    columns += ["threshold_stable_worse", "log_likelihood", "reason"]
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


def _maximise(design: Design) -> tuple[FloatArray, FloatArray, float]:
    """Return thresholds, coefficients and log-likelihood at its maximum."""
    terms = design.terms.to_numpy()
    # Standardised terms keep the Newton steps of coefficients and thresholds comparable.
    mean, sd = terms.mean(axis=0), terms.std(axis=0)
    outcome = pd.Series(pd.Categorical(design.outcome, ordered=True), index=design.terms.index)
    optimiser = OrderedModel(outcome, (design.terms - mean) / sd, distr="logit")
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
    """Return the standard errors of the coefficients from the observed information."""
    ranks, terms = design.outcome.to_numpy(dtype=np.int64), design.terms.to_numpy()
    information = _information(ranks, terms, thresholds, beta)
    try:
        variance = np.diag(np.linalg.inv(information))[len(thresholds) :]
    except np.linalg.LinAlgError:
        variance = np.zeros(len(beta))
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
