"""Volume change of groups of participants compared at equal covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bids_app.group.levels import level_name
from bids_app.group.result import ResultTable
from bids_app.statistics.anova import Ancova, analyse_covariance
from bids_app.statistics.design import ModelError
from bids_app.statistics.multiplicity import adjust

SIGNIFICANT = 0.05
_TESTS = ["by", "method", "n", "f", "df", "df_error", "p", "p_adj", "partial_eta_squared", "reason"]
_TERMS = ["by", "method", "term", "f", "df", "df_error", "p", "p_adj", "partial_eta_squared"]
_SETTINGS = {
    "Means": "at the mean of each covariate over the complete cases",
    "Interval": "t with the residual degrees of freedom, not adjusted for the number of pairs",
}


@dataclass(frozen=True)
class GroupComparison:
    """Analyses of covariance of every kind of group by every method.

    Attributes
    ----------
    tests : DataFrame
        One row per analysis: ``by``, ``method``, ``n``, ``f``, ``df``, ``df_error``, ``p``,
        ``p_adj`` (Benjamini-Hochberg over all rows), ``partial_eta_squared`` and ``reason``, which
        is empty if it was possible.
    terms : DataFrame
        One row per analysis and covariate: its test given all other terms; ``p_adj`` over the
        rows of a covariate.
    means, pairs : DataFrame
        Adjusted means and their differences by analysis.
    """

    tests: pd.DataFrame
    terms: pd.DataFrame
    means: pd.DataFrame
    pairs: pd.DataFrame


def compare_groups(
    changes: Mapping[str, pd.DataFrame], covariates: Sequence[str], confidence: float
) -> GroupComparison:
    """Compare groups in percentage change by every method.

    Parameters
    ----------
    changes : mapping of str to DataFrame
        By kind of group the rows of changes: ``segmentation``, ``percent``, the covariates and
        the ``group``, which is missing in rows that do not count.
    covariates : sequence of str
        Numeric columns, and others, whose levels are compared.
    confidence : float

    Returns
    -------
    GroupComparison
    """
    tests: list[dict[str, object]] = []
    terms, means, pairs = [], [], []
    for kind, table in changes.items():
        grouped = table[table["group"].notna()]
        grouped = grouped.assign(group=grouped["group"].map(level_name))
        for name, rows in grouped.groupby("segmentation", sort=False):
            key = {"by": kind, "method": str(name)}
            try:
                result = _covariance(rows, covariates, confidence)
            except ModelError as error:
                tests.append({**key, "reason": str(error)})
                continue
            of_group, of_covariates = result.terms.iloc[0], result.terms.iloc[1:]
            row = {column: of_group[column] for column in of_group.index.drop("term")}
            tests.append({**key, **row, "n": result.n, "reason": ""})
            terms.append(of_covariates.assign(**key))
            means.append(result.means.assign(**key))
            pairs.append(result.comparisons.assign(**key))
    table = pd.DataFrame(tests, columns=_TESTS)
    of_terms = _stack(terms).reindex(columns=_TERMS)
    return GroupComparison(
        table.assign(p_adj=adjust(table["p"].astype("float64"))),
        of_terms.assign(p_adj=adjust(of_terms["p"].astype("float64"), of_terms["term"].tolist())),
        _stack(means),
        _stack(pairs),
    )


def _covariance(rows: pd.DataFrame, covariates: Sequence[str], confidence: float) -> Ancova:
    numeric = [name for name in covariates if pd.api.types.is_numeric_dtype(rows[name])]
    categorical = [name for name in covariates if name not in numeric]
    return analyse_covariance(rows, "percent", "group", numeric, confidence, categorical)


def tables_of(
    comparison: GroupComparison, prefix: str, covariates: Sequence[str], notes: str = ""
) -> dict[str, ResultTable]:
    """Tabulate the tests, those of the covariates, the adjusted means and their differences.

    Parameters
    ----------
    comparison : GroupComparison
    prefix : str
        Name of the first table, with which those of the others begin.
    covariates : sequence of str
    notes : str
        Sentences for the caption of the tests.
    """
    adjusted = " + ".join(covariates)
    caption = (
        f"Analysis of covariance: percentage change ~ group + {adjusted}. Adjusted p: "
        "Benjamini-Hochberg over the methods and kinds of groups."
    )
    tables = {
        prefix: ResultTable(
            "Change by group, adjusted",
            f"{caption} {notes}".strip(),
            comparison.tests,
            {"Test": "F of equal adjusted means, common slopes of the covariates"},
        )
    }
    if comparison.means.empty:
        return tables
    at = f"At mean {adjusted}, % of the first session; adjusted p: Bonferroni over the pairs of a"
    return tables | {
        f"{prefix}_covariates": ResultTable(
            "Change by group: covariates",
            "Each covariate given the group and the other covariates; adjusted p: "
            "Benjamini-Hochberg over the rows of a covariate.",
            comparison.terms,
        ),
        f"{prefix}_means": ResultTable(
            "Adjusted means", f"{at} method.", comparison.means, _SETTINGS
        ),
        f"{prefix}_pairs": ResultTable(
            "Adjusted means compared", f"{at} method.", comparison.pairs, _SETTINGS
        ),
    }


def _stack(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables of analyses, their names first."""
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    return table[["by", "method", *table.columns.drop(["by", "method"])]]
