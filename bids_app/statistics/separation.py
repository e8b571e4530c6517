"""Separation of categories, which leaves logistic models without finite coefficients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize

from bids_app.statistics.design import Design
from bids_app.statistics.samples import FloatArray

# Bounds of categories that are tried first.
_SOME_BOUNDS = 500


def category_bounds(
    ranks: npt.NDArray[np.int64], terms: FloatArray, cuts: int
) -> tuple[FloatArray, FloatArray]:
    """Return matrices that map (thresholds, beta) to the upper and lower bound of each case.

    Parameters
    ----------
    ranks : int64 array, shape (n,)
        Category of each case, from 0.
    terms : float64 array, shape (n, p)
    cuts : int
        Number of thresholds, one less than there are categories.

    Returns
    -------
    tuple of two float64 arrays, shape (n, cuts + p)
        Rows of cases without that bound, in the highest or lowest category, are zero.
    """
    cut_index = np.arange(cuts)
    upper = np.hstack([(ranks[:, np.newaxis] == cut_index).astype(np.float64), -terms])
    lower = np.hstack([(ranks[:, np.newaxis] - 1 == cut_index).astype(np.float64), -terms])
    upper[ranks == cuts] = 0
    lower[ranks == 0] = 0
    return upper, lower


def separating_terms(design: Design) -> list[str]:
    """Return the terms along which the likelihood increases without bound.

    Such a direction moves no case across a bound of its category and some away from one; it is
    the solution of a linear program, which reaches its bounds if the categories are separated
    and is zero but for rounding otherwise.

    Parameters
    ----------
    design : Design
        The outcome holds the categories 0, 1, …

    References
    ----------
    Albert & Anderson 1984, Biometrika 71:1-10.
    """
    terms = design.terms.to_numpy()
    terms = (terms - terms.mean(axis=0)) / terms.std(axis=0)
    ranks = design.outcome.to_numpy(dtype=np.int64)
    cuts = int(ranks.max())
    upper, lower = category_bounds(ranks, terms, cuts)
    moves = np.vstack([upper, -lower])
    # If some bounds leave no direction, all leave none, and large programs take long.
    some = moves[:: max(1, len(moves) // _SOME_BOUNDS)]
    if np.linalg.matrix_rank(some) == some.shape[1] and not _leads_on(_direction(some)):
        return []
    direction = _direction(moves)
    return design.terms.columns[direction[cuts:] > 1e-3].tolist() if _leads_on(direction) else []


def _direction(moves: FloatArray) -> FloatArray:
    """Return the absolute values of the best direction within (-1, 1).

    Parameters
    ----------
    moves : float64 array, shape (moves, parameters)
        How far each parameter moves a case from a bound of its category.
    """
    result = optimize.linprog(
        -moves.mean(axis=0), A_ub=-moves, b_ub=np.zeros(len(moves)), bounds=(-1, 1)
    )
    return np.abs(np.asarray(result.x, dtype=np.float64))


def _leads_on(direction: FloatArray) -> bool:
    return bool(direction.max() >= 0.5)
