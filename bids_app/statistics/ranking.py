"""Ranking of methods and its stability."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from bids_app.statistics.comparison import DIFFERENCE_DECIMALS
from bids_app.statistics.samples import FloatArray, complete_cases


def mean_scores(scores: FloatArray) -> FloatArray:
    """Return the mean of each column of `scores`, shape (n, methods) to (methods,)."""
    return np.asarray(scores.mean(axis=0))


def concordance_scores(volumes: FloatArray) -> FloatArray:
    """Return Lin's concordance of each column with the first, shape (n, 1 + k) to (k,).

    Moments have ddof 0; the coefficient of a constant method is 0, and NaN where it is also
    equal to a constant reference.

    References
    ----------
    Lin 1989, Biometrics 45:255-268.
    """
    centred = volumes - volumes.mean(axis=0)
    shared = 2 * (centred[:, 1:] * centred[:, :1]).mean(axis=0)
    variance = (centred**2).mean(axis=0)
    shift = volumes[:, 1:].mean(axis=0) - volumes[:, 0].mean()
    with np.errstate(invalid="ignore"):
        return np.asarray(shared / (variance[1:] + variance[0] + shift**2))


def rank_methods(
    samples: pd.DataFrame,
    methods: Sequence[str],
    *,
    statistic: Callable[[FloatArray], FloatArray] = mean_scores,
    higher_is_better: bool = True,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank methods and repeat the ranking in bootstrap samples of the subjects.

    Parameters
    ----------
    samples : DataFrame
        One row per subject, numeric columns only; subjects with a missing value are
        excluded, so that all methods are ranked on the same ones.
    methods : sequence of str
        Names of the scores that `statistic` returns, in its order.
    statistic : callable
        Maps samples, shape (n, columns), to one score per method; `mean_scores` by default,
        `concordance_scores` if the first column is the reference.
    higher_is_better : bool
        Whether the highest score has rank 1.
    confidence : float
    resamples, seed : int
        Number of bootstrap samples and the seed of their drawing. Samples with an undefined
        score do not count.

    Returns
    -------
    DataFrame
        One row per method, best first: ``method``, ``n``, ``score``, ``rank`` (scores that are
        equal to 10 decimals share the mean rank), ``rank_ci_low``, ``rank_ci_high``
        (percentiles), ``first`` and ``same`` (fraction of the bootstrap samples in which it is
        among the best, and in which it has this rank).

    Raises
    ------
    ValueError
        If no subject is complete, or the statistic does not return one defined score per
        method.

    References
    ----------
    Hall & Miller 2009, Ann Stat 37:3929-3959 (bootstrap of rankings).
    """
    values = np.column_stack(complete_cases(*(samples[column] for column in samples)))
    if len(values) == 0:
        raise ValueError("no subject is complete")
        # Ranks are ascending.
    sign = -1 if higher_is_better else 1
    scores = statistic(values)
    if scores.shape != (len(methods),):
        raise ValueError(f"{scores.size} scores for {len(methods)} methods")
    resampled = _resample_scores(values, statistic, resamples, seed)
    if not np.isfinite(scores).all() or len(resampled) == 0:
        raise ValueError("a score is undefined, so there are no ranks")
    # Equal scores summed in another order are ties.
    rank = stats.rankdata(sign * scores.round(DIFFERENCE_DECIMALS))
    ranks = stats.rankdata(sign * resampled.round(DIFFERENCE_DECIMALS), axis=1)
    low, high = np.quantile(ranks, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    table = pd.DataFrame({"method": list(methods), "n": len(values), "score": scores, "rank": rank})
    table["rank_ci_low"], table["rank_ci_high"] = low, high
    table["first"] = (ranks == ranks.min(axis=1, keepdims=True)).mean(axis=0)
    table["same"] = (ranks == rank).mean(axis=0)
    return table.sort_values("rank", kind="stable", ignore_index=True)


def _resample_scores(
    values: FloatArray, statistic: Callable[[FloatArray], FloatArray], resamples: int, seed: int
) -> FloatArray:
    """Return the scores in the bootstrap samples in which all are defined, (samples, methods)."""
    rng = np.random.default_rng(seed)
    scores = np.array(
        [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(resamples)]
    )
    # A resample of one subject only has no concordance.
    return np.asarray(scores[np.isfinite(scores).all(axis=1)])
