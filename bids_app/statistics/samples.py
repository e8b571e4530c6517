"""Interval estimates, complete cases and checked columns, shared by all analyses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

# Relative differences up to this are rounding error, for example of sums in another order: no
# measurement of this field has ten significant digits.
ROUNDING = 1e-10
MINIMUM_PAIRS = 3


@dataclass(frozen=True)
class Interval:
    """A point estimate with its confidence interval.

    Attributes
    ----------
    estimate, low, high : float
        The estimate and the ends of its interval, in the unit of the quantity;
        NaN where it is undefined.
    """

    estimate: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """Return the interval as the three columns ``name``, ``name_ci_low``, ``name_ci_high``."""
        return {name: self.estimate, f"{name}_ci_low": self.low, f"{name}_ci_high": self.high}


def complete_cases(*samples: npt.ArrayLike) -> tuple[FloatArray, ...]:
    """Return the samples without the positions at which any of them is NaN.

    Parameters
    ----------
    *samples : array_like, each of shape (n,)
        Paired samples.

    Returns
    -------
    tuple of float64 arrays, each of shape (m,), m ≤ n

    Raises
    ------
    ValueError
        If the samples differ in length, are not one-dimensional or hold infinite values.
    """
    arrays = [np.asarray(sample, dtype=np.float64) for sample in samples]
    shapes = [array.shape for array in arrays]
    if any(array.ndim != 1 for array in arrays) or len(set(shapes)) != 1:
        raise ValueError(
            f"paired samples must be one-dimensional and of equal length, got {shapes}"
        )
    stacked = np.vstack(arrays)
    if np.isinf(stacked).any():
        raise ValueError("a sample holds infinite values")
    return tuple(stacked[:, ~np.isnan(stacked).any(axis=0)])


def is_constant(values: npt.ArrayLike) -> bool:
    """Return whether a sample varies by rounding error at most.

    Parameters
    ----------
    values : array_like, shape (n,)
        Finite values; n may be 0.

    Returns
    -------
    bool
        Whether the range is within `ROUNDING` of the largest magnitude.
    """
    array = np.asarray(values, dtype=np.float64)
    return array.size == 0 or bool(np.ptp(array) <= ROUNDING * np.abs(array).max())


def varies(column: pd.Series) -> bool:
    """Return whether a column holds two values, or numbers that differ by more than rounding."""
    values = column.dropna()
    if pd.api.types.is_numeric_dtype(values):
        return not is_constant(values)
    return values.nunique() > 1


def require_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ``KeyError`` naming every column of `columns` that `table` lacks."""
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise KeyError(f"columns {absent} are absent")


def require_unique(table: pd.DataFrame, keys: Sequence[str]) -> None:
    """Raise ``ValueError`` if two rows of `table` share the same values of `keys`."""
    repeated = table.duplicated(list(keys))
    if repeated.any():
        first = table.loc[repeated, list(keys)].iloc[0].to_dict()
        raise ValueError(f"{int(repeated.sum())} duplicate rows of {list(keys)}, first {first}")


def require_pairs(n: int) -> None:
    """Raise ``ValueError`` if there are fewer than `MINIMUM_PAIRS` complete pairs."""
    if n < MINIMUM_PAIRS:
        raise ValueError(f"{n} complete pairs, at least {MINIMUM_PAIRS} are needed")


def numeric_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as float64, missing entries as NaN.

    Parameters
    ----------
    table : DataFrame
    column : str

    Returns
    -------
    Series of float64
        Same index as `table`.

    Raises
    ------
    KeyError
        If the column is absent.
    ValueError
        If it holds text that is no number, or infinite values.
    """
    require_columns(table, [column])
    values = table[column]
    if values.dtype != np.float64:
        values = pd.to_numeric(values, errors="coerce").astype(np.float64)
        # Text would otherwise pass as missing.
        text = values.isna() & table[column].notna()
        if text.any():
            raise ValueError(f"column '{column}' holds text: {table.loc[text, column].iloc[0]!r}")
    if np.isinf(values.to_numpy()).any():
        raise ValueError(f"column '{column}' holds infinite values")
    return values


def winsor_limits(values: pd.Series, lower: float, upper: float) -> tuple[float, float]:
    """Return the two quantiles of a sample at which it is winsorised.

    Parameters
    ----------
    values : Series of float64
        The full sample; NaN are ignored.
    lower, upper : float
        Quantile levels, for example 0.01 and 0.99; quantiles are of type 7.

    Returns
    -------
    tuple of two float

    Raises
    ------
    ValueError
        If the levels are not 0 ≤ lower < upper ≤ 1.

    References
    ----------
    Hyndman & Fan 1996, Am Stat 50:361-365 (type 7).
    """
    if not 0 <= lower < upper <= 1:
        raise ValueError(f"quantile levels must satisfy 0 ≤ lower < upper ≤ 1: {lower}, {upper}")
    return float(values.quantile(lower)), float(values.quantile(upper))


def winsorise(values: pd.Series, lower: float, upper: float) -> pd.Series:
    """Clip a sample at two of its own quantiles, see `winsor_limits`; NaN stay NaN."""
    return values.clip(*winsor_limits(values, lower, upper))
