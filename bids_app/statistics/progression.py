"""Progression of disability: classes of change of clinical scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bids_app.statistics.choices import Direction, Step
from bids_app.statistics.ordinal import CATEGORIES
from bids_app.statistics.samples import FloatArray

# Scores have at most three decimals; sums of them are rounded.
_TOLERANCE = 1e-9


def required_change(
    first: pd.Series, steps: Sequence[Step] = (), percent: float | None = None
) -> FloatArray:
    """Return the smallest change that counts, by first score.

    Parameters
    ----------
    first : Series of float64, shape (n,)
        Scores at the first session.
    steps : sequence of Step
        In order of their limits; the last also applies to scores above its limit.
    percent : float, optional
        Percent of the first score, instead of steps.

    Returns
    -------
    float64 array, shape (n,)
        In points; NaN where the first score is missing, or is not positive and percent are wanted.

    Examples
    --------
    Half points below 1 do not exist on the EDSS, but means of two raters do:

    >>> edss = (Step(0.5, 1.5), Step(5.0, 1.0), Step(10.0, 0.5))
    >>> required_change(pd.Series([0.0, 0.5, 1.0, 5.0, 5.5]), edss).tolist()
    [1.5, 1.5, 1.0, 1.0, 0.5]
    """
    scores = first.to_numpy(dtype=np.float64)
    if percent is not None:
        return np.where(scores > 0, np.abs(scores) * percent / 100, np.nan)
    place = np.searchsorted([step.up_to + _TOLERANCE for step in steps], scores)
    by = np.array([step.by for step in steps])[np.minimum(place, len(steps) - 1)]
    return np.where(np.isnan(scores), np.nan, by)


def classify_progression(
    first: pd.Series, later: pd.Series, required: FloatArray, worse: Direction = "higher"
) -> pd.Series:
    """Name the change of a score: worse or better by at least what is required, or stable.

    Parameters
    ----------
    first, later : Series of float64, shape (n,)
        Scores, the same index.
    required : float64 array, shape (n,)
        See `required_change`.
    worse : {'higher', 'lower'}
        Which scores are worse.

    Returns
    -------
    Series of ordered category
        ``better`` < ``stable`` < ``worse``; missing where a score is.
    """
    sign = 1 if worse == "higher" else -1
    change = sign * (later - first).to_numpy(dtype=np.float64)
    unknown = np.isnan(change) | np.isnan(required)
    with np.errstate(invalid="ignore"):
        is_worse, is_better = (each >= required - _TOLERANCE for each in (change, -change))
    codes = np.select([unknown, is_better, is_worse], [-1, 0, 2], 1)
    dtype = pd.CategoricalDtype(list(CATEGORIES), ordered=True)
    return pd.Series(pd.Categorical.from_codes(codes.tolist(), dtype=dtype), index=first.index)
