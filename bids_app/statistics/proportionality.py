"""Brant's test of proportional odds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from bids_app.statistics.design import Design
from bids_app.statistics.samples import FloatArray
from bids_app.statistics.separation import separating_terms


def brant_test(design: Design) -> pd.DataFrame:
    """Test whether the coefficients of a proportional-odds model are equal at all cut points.

    A binary logistic model is fitted at every cut point; the Wald test compares their
    coefficients, whose covariances between cut points follow from the fitted probabilities.

    Parameters
    ----------
    design : Design
        The outcome holds the categories 0, 1, …

    Returns
    -------
    DataFrame
        Rows ``all`` and one per term: ``chi2``, ``df``, ``p``. NaN if there are two categories
        only, or the categories on both sides of a cut point are separated.

    References
    ----------
    Brant 1990, Biometrics 46:1171-1178, section 4.
    """
    ranks = design.outcome.to_numpy(dtype=np.int64)
    cuts, terms = int(ranks.max()), design.terms.shape[1]
    table = pd.DataFrame(
        np.nan, index=["all", *design.terms.columns], columns=["chi2", "df", "p"], dtype=np.float64
    )
    above = [(ranks > cut).astype(np.float64) for cut in range(cuts)]
    if cuts < 2 or any(_is_separated(design, outcome) for outcome in above):
        return table
    beta, covariance = _binary_models(design.terms.to_numpy(), above)
    # Differences of the coefficients at each further cut point to those at the first.
    contrasts = np.hstack([np.tile(-np.eye(terms), (cuts - 1, 1)), np.eye((cuts - 1) * terms)])
    difference, spread = contrasts @ beta, contrasts @ covariance @ contrasts.T
    parts = {"all": np.arange(difference.size)}
    parts |= {
        str(name): np.arange(place, difference.size, terms)
        for place, name in enumerate(design.terms.columns)
    }
    for name, part in parts.items():
        chi2 = float(
            difference[part] @ np.linalg.solve(spread[np.ix_(part, part)], difference[part])
        )
        table.loc[name] = [chi2, part.size, stats.chi2.sf(chi2, part.size)]
    return table


def _is_separated(design: Design, outcome: FloatArray) -> bool:
    series = pd.Series(outcome, index=design.outcome.index)
    return bool(separating_terms(replace(design, outcome=series)))


def _binary_models(
    terms: FloatArray, outcomes: list[FloatArray]
) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """Return the coefficients of the terms at all cut points in turn, and their covariance."""
    # Standardised terms keep the Newton steps comparable; the tests do not depend on the scale.
    scaled = np.column_stack([np.ones(len(terms)), (terms - terms.mean(0)) / terms.std(0)])
    fits = [
        sm.Logit(outcome, scaled).fit(method="newton", disp=False, maxiter=100, tol=1e-12)
        for outcome in outcomes
    ]
    probability = [np.asarray(fit.predict()) for fit in fits]
    inverse = [np.asarray(fit.cov_params()) for fit in fits]
    blocks = [
        [
            # The higher of two cut points is exceeded less often.
            (inverse[i] @ (scaled.T * (probability[max(i, j)] - probability[i] * probability[j])))
            @ scaled
            @ inverse[j]
            for j in range(len(fits))
        ]
        for i in range(len(fits))
    ]
    size = scaled.shape[1]
    kept = np.arange(len(fits) * size) % size > 0
    beta = np.concatenate([np.asarray(fit.params) for fit in fits])
    return beta[kept], np.asarray(np.block(blocks))[np.ix_(kept, kept)]
