"""Variability of volumes within and between scanners, from participants scanned repeatedly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from bids_app.statistics.comparison import pairwise_levene, pairwise_pitman_morgan
from bids_app.statistics.reliability import within_contrasts
from bids_app.statistics.samples import FloatArray, Interval, numeric_column, require_columns

Kind = Literal["intra-scanner", "inter-scanner"]
KINDS: tuple[Kind, ...] = ("intra-scanner", "inter-scanner")
VARIABILITY_COLUMNS = (
    *("method", "kind", "subjects", "scanners", "scans", "df", "deviation_sd"),
    *("deviation_sd_ci_low", "deviation_sd_ci_high", "absolute_median", "absolute_p95"),
    *("detectable_change", "detectable_percent", "reason"),
)
TEST_COLUMNS = (
    *("kind", "first", "second", "test", "n", "sd_first", "sd_second", "t", "f", "p", "p_adj"),
    "reason",
)


@dataclass(frozen=True, kw_only=True)
class ScannerVariability:
    """Variability of one method's volumes within scanners or between them.

    Attributes
    ----------
    residuals : Series of float64
        Deviations from the mean of subject and scanner (intra-scanner), or of the mean of a
        scanner from the mean of these means of the subject (inter-scanner), mL.
    subjects, scanners, scans : int
        That contribute.
    df : float
        Degrees of freedom of the standard deviation.
    sd : Interval
        With the χ² distribution, mL.
    mean : float
        Mean volume, mL.
    """

    residuals: pd.Series
    subjects: int
    scanners: int
    scans: int
    df: float
    sd: Interval
    mean: float

    @property
    def detectable_change(self) -> float:
        """Smallest detectable change: 95 % of differences of two measurements are smaller, mL."""
        return float(1.96 * np.sqrt(2) * self.sd.estimate)


def scanner_variability(
    scans: pd.DataFrame, kind: Kind, value: str = "volume", confidence: float = 0.95
) -> ScannerVariability:
    """Estimate the standard deviation within or between scanners.

    Parameters
    ----------
    scans : DataFrame
        One row per scan of one method: ``subject``, ``scanner`` and `value` (mL). Missing values
        are dropped. Nothing but the scanner may have changed between the scans of a subject.
    kind : {'intra-scanner', 'inter-scanner'}
        The former needs several scans of a subject on one scanner, the latter a subject on several
        scanners.
    value : str
    confidence : float

    Returns
    -------
    ScannerVariability
        With one subject, the inter-scanner standard deviation is that of the means of the scanners.
        Several subjects on the same scanners share their offsets; the degrees of freedom are then
        those of Satterthwaite's approximation for the sums of squares of scanners and residuals.

    Raises
    ------
    KeyError
        If a column is absent.
    ValueError
        If no subject has several scans on one scanner, or was on several scanners.

    References
    ----------
    Opfer et al. 2022, section "Intra- and inter-scanner variability"; Satterthwaite 1946,
    Biometrics Bull 2:110-114.
    """
    rows = _rows(scans, value)
    keys = ["subject", "scanner"] if kind == "intra-scanner" else ["subject"]
    if kind == "inter-scanner":
        means = rows.groupby(["subject", "scanner"], sort=False)["value"]
        sizes, rows = means.size(), means.mean().reset_index()
        rows = rows.assign(scans=sizes.to_numpy())
    else:
        rows = rows.assign(scans=1)
    rows = rows[rows.groupby(keys)["value"].transform("size") > 1]
    if rows.empty:
        raise ValueError(
            "no participant has several scans on one scanner"
            if kind == "intra-scanner"
            else "no participant was scanned on several scanners"
        )
    groups = rows.groupby(keys, sort=False)["value"]
    residuals = rows["value"] - groups.transform("mean")
    nominal = len(rows) - groups.ngroups
    df = float(nominal) if kind == "intra-scanner" else _satterthwaite(rows, residuals, nominal)
    variance = float((residuals**2).sum()) / nominal
    low, high = (stats.chi2.ppf((1 + side * confidence) / 2, df) for side in (1, -1))
    return ScannerVariability(
        residuals=residuals,
        subjects=rows["subject"].nunique(),
        scanners=rows["scanner"].nunique(),
        scans=int(rows["scans"].sum()),
        df=df,
        sd=Interval(*(float(np.sqrt(variance * df / part)) for part in (df, low, high))),
        mean=float(groups.mean().mean()),
    )


def variability_table(
    scans: pd.DataFrame, value: str = "volume", confidence: float = 0.95
) -> pd.DataFrame:
    """Report the variability of each method within and between scanners.

    Parameters
    ----------
    scans : DataFrame
        As for `scanner_variability`, with the column ``method``.
    value, confidence
        As there.

    Returns
    -------
    DataFrame
        Two rows per method, with the columns of `VARIABILITY_COLUMNS`: the standard deviation with
        its interval, 50th and 95th percentile of the absolute residuals, and the smallest
        detectable change in mL and in percent of the mean; or the ``reason``.
    """
    require_columns(scans, ["method", "subject", "scanner", value])
    rows: list[dict[str, Any]] = []
    for method, of_method in scans.groupby("method", sort=False):
        for kind in KINDS:
            row: dict[str, Any] = {"method": method, "kind": kind, "reason": ""}
            try:
                estimate = scanner_variability(of_method, kind, value, confidence)
            except ValueError as error:
                rows.append(row | {"reason": str(error)})
                continue
            row |= {
                "subjects": estimate.subjects,
                "scanners": estimate.scanners,
                "scans": estimate.scans,
            }
            row |= {"df": estimate.df, **estimate.sd.columns("deviation_sd")}
            absolute = estimate.residuals.abs()
            row |= {"absolute_median": absolute.median(), "absolute_p95": absolute.quantile(0.95)}
            row["detectable_change"] = estimate.detectable_change
            if estimate.mean > 0:
                row["detectable_percent"] = 100 * estimate.detectable_change / estimate.mean
            rows.append(row)
    return pd.DataFrame(rows, columns=list(VARIABILITY_COLUMNS))


def variability_tests(scans: pd.DataFrame, value: str = "volume") -> pd.DataFrame:
    """Compare the variability of every pair of methods within and between scanners.

    The test is that of Pitman and Morgan where both methods measured the same scans, and Levene's
    test centred at the median (Brown and Forsythe) where they have no scan in common.

    Parameters
    ----------
    scans : DataFrame
        As for `variability_table`, with the column ``scan``.
    value : str

    Returns
    -------
    DataFrame
        Columns of `TEST_COLUMNS`; p-values are adjusted by Bonferroni over the pairs of a kind.

    References
    ----------
    Pitman 1939, Biometrika 31:9-12; Morgan 1939, Biometrika 31:13-19; Brown & Forsythe 1974, J Am
    Stat Assoc 69:364-367. Opfer et al. 2022 used Levene's test, which has no power in pairs.
    """
    require_columns(scans, ["scan", "method", "subject", "scanner", value])
    wide = scans.pivot(index=["subject", "scanner", "scan"], columns="method", values=value)
    names = [str(name) for name in dict.fromkeys(scans["method"])]
    shared = {pair: wide.dropna(subset=list(pair)).reset_index() for pair in combinations(names, 2)}
    tables: list[pd.DataFrame] = []
    for kind in KINDS:
        contrasts = _CONTRASTS[kind]
        pairs = {
            pair: pd.DataFrame({name: contrasts(rows, name) for name in pair})
            for pair, rows in shared.items()
        }
        paired = pairwise_pitman_morgan(pairs).assign(test="Pitman–Morgan")
        alone = {name: contrasts(wide.reset_index(), name) for name in names}
        levene = pairwise_levene(alone).assign(test="Levene, median-centred")
        levene = levene.rename(columns={"f_median": "f", "p_median": "p"})
        levene["n"] = levene["n_first"] + levene["n_second"]
        apart = np.array([rows.empty for rows in shared.values()], dtype=bool)
        chosen = pd.concat([paired[~apart], levene[apart]]).sort_index()
        factor = chosen["p"].notna().sum()
        chosen["p_adj"] = (chosen["p"] * factor).clip(upper=1.0)
        tables.append(chosen.assign(kind=kind))
    return pd.concat(tables, ignore_index=True).reindex(columns=list(TEST_COLUMNS))


def _within_scanners(rows: pd.DataFrame, value: str) -> pd.Series:
    return within_contrasts(rows, value, ["subject", "scanner"])


def _between_scanners(rows: pd.DataFrame, value: str) -> pd.Series:
    means = rows.groupby(["subject", "scanner"], sort=False)[value].mean().reset_index()
    return within_contrasts(means, value, ["subject"])


_CONTRASTS: Mapping[Kind, Callable[[pd.DataFrame, str], pd.Series]] = {
    "intra-scanner": _within_scanners,
    "inter-scanner": _between_scanners,
}


def _rows(scans: pd.DataFrame, value: str) -> pd.DataFrame:
    require_columns(scans, ["subject", "scanner"])
    rows = scans[["subject", "scanner"]].assign(value=numeric_column(scans, value))
    return rows.dropna()


def _satterthwaite(rows: pd.DataFrame, residuals: pd.Series, nominal: int) -> float:
    """Approximate the degrees of freedom of the pooled variance between scanners."""
    dummies = pd.get_dummies(rows["scanner"], dtype=np.float64)
    centred = dummies - dummies.groupby(rows["subject"]).transform("mean")
    columns, outcome = centred.to_numpy(), residuals.to_numpy()
    solution, _, rank, _ = np.linalg.lstsq(columns, outcome)
    of_scanners = _squares(columns @ solution)
    remaining = max(_squares(outcome) - of_scanners, 0.0)
    parts = ((of_scanners, int(rank)), (remaining, nominal - int(rank)))
    weight = sum(squares**2 / df for squares, df in parts if df > 0)
    return (of_scanners + remaining) ** 2 / weight if weight > 0 else float(nominal)


def _squares(values: FloatArray) -> float:
    return float(values @ values)
