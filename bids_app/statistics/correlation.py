"""Correlations of methods with one outcome, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.samples import (
    FloatArray,
    Interval,
    complete_cases,
    is_constant,
    numeric_column,
)


@dataclass(frozen=True)
class Correlation:
    """Pearson correlation.

    Attributes
    ----------
    n : int
        Complete pairs.
    r : Interval
        Coefficient with its interval by Fisher's z.
    p : float
        Two-sided p-value of the t test with n - 2 degrees of freedom.
    """

    n: int
    r: Interval
    p: float


@dataclass(frozen=True)
class DifferenceTest:
    """Test that two correlations of one sample that share a variable are equal.

    Attributes
    ----------
    statistic, p : float
        Test statistic and two-sided p-value.
    """

    statistic: float
    p: float


def pearson(x: npt.ArrayLike, y: npt.ArrayLike, confidence: float = 0.95) -> Correlation:
    """Correlate two paired samples.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Pairs with a NaN are dropped.
    confidence : float
        Level of the interval.

    Returns
    -------
    Correlation

    Raises
    ------
    ValueError
        If fewer than four pairs are complete or a sample is constant.

    References
    ----------
    Fisher 1921, Metron 1:3-32.
    """
    x, y = complete_cases(x, y)
    if x.size < 4:
        raise ValueError(f"{x.size} complete pairs, at least 4 are needed")
    if is_constant(x) or is_constant(y):
        raise ValueError("a sample is constant")
    result = stats.pearsonr(x, y)
    ends = result.confidence_interval(confidence)
    interval = Interval(float(result.statistic), float(ends.low), float(ends.high))
    return Correlation(n=x.size, r=interval, p=float(result.pvalue))


def williams_t(r_first: float, r_second: float, r_between: float, n: int) -> DifferenceTest:
    """Compare two dependent overlapping correlations by Williams' t.

    Parameters
    ----------
    r_first, r_second : float
        Correlation of each of two variables with the shared one.
    r_between : float
        Correlation of the two variables with each other.
    n : int
        Number of subjects.

    Returns
    -------
    DifferenceTest
        t statistic with n - 3 degrees of freedom; NaN if the correlations determine each
        other completely.

    Raises
    ------
    ValueError
        If n is below 4 or the three correlations contradict each other.

    References
    ----------
    Williams 1959, J R Stat Soc B 21:396-399; Steiger 1980, Psychol Bull 87:245-251,
    equation 7.
    """
    determinant = _determinant(r_first, r_second, r_between, n)
    mean = (r_first + r_second) / 2
    spread = 2 * (n - 1) / (n - 3) * determinant + mean**2 * (1 - r_between) ** 3
    # Two methods that are linear functions of each other leave nothing to test.
    if spread <= 0:
        return DifferenceTest(np.nan, np.nan)
    t = (r_first - r_second) * np.sqrt((n - 1) * (1 + r_between) / spread)
    return DifferenceTest(float(t), float(2 * stats.t.sf(abs(t), n - 3)))


def steiger_z(r_first: float, r_second: float, r_between: float, n: int) -> DifferenceTest:
    """Compare two dependent overlapping correlations by Steiger's Z.

    Parameters
    ----------
    r_first, r_second, r_between, n
        As for `williams_t`.

    Returns
    -------
    DifferenceTest
        Standard normal statistic of the difference of Fisher's z, with the covariance
        computed at the mean of the two correlations; NaN if a correlation is ±1.

    Raises
    ------
    ValueError
        If n is below 4 or the three correlations contradict each other.

    References
    ----------
    Steiger 1980, Psychol Bull 87:245-251, equation 14 with equation 3.
    """
    _determinant(r_first, r_second, r_between, n)
    mean_squared = ((r_first + r_second) / 2) ** 2
    # Fisher's z of ±1 is infinite.
    if max(abs(r_first), abs(r_second), abs(r_between)) >= 1:
        return DifferenceTest(np.nan, np.nan)
    covariance = (
        r_between * (1 - 2 * mean_squared)
        - 0.5 * mean_squared * (1 - 2 * mean_squared - r_between**2)
    ) / (1 - mean_squared) ** 2
    difference = np.arctanh(r_first) - np.arctanh(r_second)
    z = difference * np.sqrt((n - 3) / (2 - 2 * covariance))
    return DifferenceTest(float(z), float(2 * stats.norm.sf(abs(z))))


def meng_z(r_first: float, r_second: float, r_between: float, n: int) -> DifferenceTest:
    """Compare two dependent overlapping correlations by the Z of Meng, Rosenthal and Rubin.

    Parameters
    ----------
    r_first, r_second, r_between, n
        As for `williams_t`.

    Returns
    -------
    DifferenceTest
        Standard normal statistic of the difference of Fisher's z; NaN if a correlation is ±1.

    Raises
    ------
    ValueError
        If n is below 4 or the three correlations contradict each other.

    References
    ----------
    Meng, Rosenthal & Rubin 1992, Psychol Bull 111:172-175, equations 1 to 3.
    """
    _determinant(r_first, r_second, r_between, n)
    # Fisher's z of ±1 is infinite.
    if max(abs(r_first), abs(r_second), abs(r_between)) >= 1:
        return DifferenceTest(np.nan, np.nan)
    mean_of_squares = (r_first**2 + r_second**2) / 2
    f = min((1 - r_between) / (2 * (1 - mean_of_squares)), 1.0)
    h = (1 - f * mean_of_squares) / (1 - mean_of_squares)
    difference = np.arctanh(r_first) - np.arctanh(r_second)
    z = difference * np.sqrt((n - 3) / (2 * (1 - r_between) * h))
    return DifferenceTest(float(z), float(2 * stats.norm.sf(abs(z))))


def difference_interval(
    r_first: float, r_second: float, r_between: float, n: int, confidence: float = 0.95
) -> Interval:
    """Estimate the difference of two dependent overlapping correlations.

    Parameters
    ----------
    r_first, r_second, r_between, n
        As for `williams_t`.
    confidence : float
        Level of the interval.

    Returns
    -------
    Interval
        First minus second, its ends recovered from those of each correlation by Fisher's z and
        from the correlation of the two; without ends (NaN) if a correlation is ±1.

    Raises
    ------
    ValueError
        If n is below 4 or the three correlations contradict each other.

    References
    ----------
    Zou 2007, Psychol Methods 12:399-413, equation 15; covariance: Olkin & Siotani 1976.
    """
    _determinant(r_first, r_second, r_between, n)
    difference = r_first - r_second
    if max(abs(r_first), abs(r_second)) >= 1:
        return Interval(difference, np.nan, np.nan)
    half = stats.norm.ppf((1 + confidence) / 2) / np.sqrt(n - 3)
    (low1, high1), (low2, high2) = (
        np.tanh(np.arctanh(r) + np.array([-half, half])) for r in (r_first, r_second)
    )
    between = (r_between - r_first * r_second / 2) * (
        1 - r_first**2 - r_second**2 - r_between**2
    ) + r_between**3
    correlation = between / ((1 - r_first**2) * (1 - r_second**2))

    def reach(first: float, second: float) -> float:
        # Squares of nearly equal distances differ by rounding.
        squared = first**2 + second**2 - 2 * correlation * first * second
        return float(np.sqrt(max(squared, 0.0)))

    return Interval(
        difference,
        difference - reach(r_first - low1, high2 - r_second),
        difference + reach(high1 - r_first, r_second - low2),
    )


def correlation_table(
    table: pd.DataFrame, outcome: str, methods: Sequence[str], confidence: float = 0.95
) -> pd.DataFrame:
    """Correlate an outcome with each method.

    Parameters
    ----------
    table : DataFrame
        One row per subject; the column `outcome` (for example PBVC, %) and one column per
        method (for example thalamus change, %).
    outcome : str
    methods : sequence of str
    confidence : float

    Returns
    -------
    DataFrame
        One row per method: ``outcome``, ``method``, ``n``, ``r``, ``r_ci_low``,
        ``r_ci_high``, ``p``, ``p_adj`` (Benjamini-Hochberg over the methods), ``reason``.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a column holds text or infinite values.
    """
    y = numeric_column(table, outcome)
    rows: list[dict[str, object]] = []
    for method in methods:
        x = numeric_column(table, method)
        row: dict[str, object] = {"outcome": outcome, "method": method}
        try:
            result = pearson(x, y, confidence)
        except ValueError as error:
            rows.append(row | {"n": int((x.notna() & y.notna()).sum()), "reason": str(error)})
            continue
        row |= {"n": result.n, "p": result.p, "reason": ""}
        rows.append(row | result.r.columns("r"))
    columns = ["outcome", "method", "n", "r", "r_ci_low", "r_ci_high", "p", "p_adj", "reason"]
    correlations = pd.DataFrame(rows, columns=columns)
    return correlations.assign(p_adj=adjust(correlations["p"]))


def correlation_difference_table(
    table: pd.DataFrame, outcome: str, methods: Sequence[str], confidence: float = 0.95
) -> pd.DataFrame:
    """Compare the correlations of every pair of methods with an outcome.

    Parameters
    ----------
    table, outcome, methods
        As for `correlation_table`; each pair uses the subjects complete in both methods and
        the outcome.
    confidence : float
        Level of the intervals of the differences.

    Returns
    -------
    DataFrame
        One row per pair: ``outcome``, ``first``, ``second``, ``n``, ``r_first``,
        ``r_second``, ``r_between``, ``r_difference`` with ``_ci_low`` and ``_ci_high`` (Zou),
        ``williams_t``, ``steiger_z`` and ``meng_z``, each with ``_p`` and ``_p_adj``
        (Benjamini-Hochberg over the pairs) in place of the statistic, ``reason``.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If a column holds text or infinite values.
    """
    values = {name: numeric_column(table, name) for name in (outcome, *methods)}
    rows = [
        {"outcome": outcome, "first": first, "second": second}
        | _difference_columns(
            confidence, *complete_cases(values[outcome], values[first], values[second])
        )
        for first, second in combinations(methods, 2)
    ]
    columns = ["outcome", "first", "second", "n", "r_first", "r_second", "r_between"]
    columns += ["r_difference", "r_difference_ci_low", "r_difference_ci_high"]
    tests = {"williams": "t", "steiger": "z", "meng": "z"}
    for name, statistic in tests.items():
        columns += [f"{name}_{statistic}", f"{name}_p", f"{name}_p_adj"]
    differences = pd.DataFrame(rows, columns=[*columns, "reason"])
    adjusted = {f"{name}_p_adj": adjust(differences[f"{name}_p"]) for name in tests}
    return differences.assign(**adjusted)


def _difference_columns(
    confidence: float, y: FloatArray, x1: FloatArray, x2: FloatArray
) -> dict[str, object]:
    try:
        r1, r2, r12 = (pearson(*pair).r.estimate for pair in ((y, x1), (y, x2), (x1, x2)))
    except ValueError as error:
        return {"n": y.size, "reason": str(error)}
    t, z, meng = (test(r1, r2, r12, y.size) for test in (williams_t, steiger_z, meng_z))
    return {
        "n": y.size,
        "r_first": r1,
        "r_second": r2,
        "r_between": r12,
        "williams_t": t.statistic,
        "williams_p": t.p,
        "steiger_z": z.statistic,
        "steiger_p": z.p,
        "meng_z": meng.statistic,
        "meng_p": meng.p,
        **difference_interval(r1, r2, r12, y.size, confidence).columns("r_difference"),
        "reason": "",
    }


def _determinant(r_first: float, r_second: float, r_between: float, n: int) -> float:
    """Return the determinant of the correlation matrix after checking that it is one."""
    if n < 4:
        raise ValueError(f"{n} subjects, at least 4 are needed")
    determinant = 1 - r_first**2 - r_second**2 - r_between**2 + 2 * r_first * r_second * r_between
    if max(abs(r_first), abs(r_second), abs(r_between)) > 1 or determinant < -1e-12:
        raise ValueError(f"{r_first}, {r_second}, {r_between} are not correlations of one sample")
        # Rounding can make the determinant of a valid matrix negative.
    return max(determinant, 0.0)
