"""Volume change compared between groups of participants at equal age and follow-up time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.common_sample import compared_rows
from bids_app.group.models import outcome_change
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study, level_name
from bids_app.statistics.anova import analyse_covariance
from bids_app.statistics.design import Model, ModelError
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.ordinal import change_category
from bids_app.statistics.regression import linear_table
from bids_app.statistics.samples import varies

PROGRESSION = "progression"
SIGNIFICANT = 0.05
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
        ``p_adj`` (Benjamini-Hochberg over all rows) and ``reason``, which is empty if it was
        possible.
    means, pairs : list of DataFrame
        Adjusted means and their differences, one table per analysis.
    """

    tests: pd.DataFrame
    means: list[pd.DataFrame]
    pairs: list[pd.DataFrame]


def analyse(study: Study) -> Result:
    """Fit percentage change ~ group + covariates for every method and every kind of group."""
    plan = study.plan.groups
    changes = compared_rows(study.changes, "percent", study.plan.sample)
    changes = changes.merge(_progression(study), on="participant_id", how="left")
    kinds = [name for name in plan.by if name in changes and changes[name].notna().any()]
    if not kinds:
        raise NotApplicableError(f"no table has one of the columns {list(plan.by)}")
    covariates = [name for name in plan.covariates if name in changes and varies(changes[name])]
    comparison = _compare(changes, kinds, covariates, study.plan.confidence)
    adjusted = " + ".join(covariates)
    tables = _tables(comparison, adjusted)
    if PROGRESSION in kinds:
        tables["groups_regression"] = _regression(study, changes)
    tests = comparison.tests
    significant = [
        f"{row.method} ({row.by})" for row in tests[tests["p_adj"] < SIGNIFICANT].itertuples()
    ]
    return Result(
        tables=tables,
        methods=f"Percentage change was compared between groups ({', '.join(kinds)}) by analysis "
        f"of covariance ({adjusted}), pairs of groups with Bonferroni adjustment.",
        findings="Adjusted volume change differed between groups for "
        + (", ".join(significant) or "no method")
        + f" (adjusted p < {SIGNIFICANT:g}).",
        references=("zivadinov2022", "benjamini1995"),
        of_change=True,
        reason="" if tests["p"].notna().any() else str(tests["reason"].iloc[0]),
    )


def _compare(
    changes: pd.DataFrame, kinds: Sequence[str], covariates: Sequence[str], confidence: float
) -> GroupComparison:
    """Compare the groups of every kind by every method."""
    tests, means, pairs = [], [], []
    for kind in kinds:
        grouped = changes[changes[kind].notna()]
        grouped = grouped.assign(**{kind: grouped[kind].map(level_name)})
        for name, rows in grouped.groupby("segmentation", sort=False):
            row: dict[str, object] = {"by": kind, "method": name, "reason": ""}
            try:
                result = analyse_covariance(rows, "percent", kind, list(covariates), confidence)
            except ModelError as error:
                tests.append(row | {"reason": str(error)})
                continue
            row |= {"n": result.n, "f": result.f, "df": result.df[0], "df_error": result.df[1]}
            tests.append(row | {"p": result.p})
            means.append(result.means.assign(by=kind, method=name))
            pairs.append(result.comparisons.assign(by=kind, method=name))
    columns = ["by", "method", "n", "f", "df", "df_error", "p", "p_adj", "reason"]
    table = pd.DataFrame(tests, columns=columns)
    table["p_adj"] = adjust(table["p"].to_numpy(dtype=np.float64))
    return GroupComparison(table, means, pairs)


def _tables(comparison: GroupComparison, adjusted: str) -> dict[str, ResultTable]:
    """Tabulate the tests, the adjusted means and their differences."""
    tables = {
        "groups": ResultTable(
            "Change by group, adjusted",
            f"Analysis of covariance: percentage change ~ group + {adjusted}. Adjusted p: "
            "Benjamini-Hochberg over the methods and kinds of groups.",
            comparison.tests,
            {"Test": "F of equal adjusted means, common slopes of the covariates"},
        )
    }
    for name, title, parts in (
        ("groups_means", "Adjusted means", comparison.means),
        ("groups_pairs", "Adjusted means compared", comparison.pairs),
    ):
        if parts:
            table = pd.concat(parts, ignore_index=True)
            table = table[["by", "method", *table.columns.drop(["by", "method"])]]
            caption = (
                f"At mean {adjusted}, % of the first session; adjusted p: Bonferroni over the "
                "pairs of a method."
            )
            tables[name] = ResultTable(title, caption, table, _SETTINGS)
    return tables


def _progression(study: Study) -> pd.DataFrame:
    """Determine by participant whether the outcome worsened, and whether the scanner changed."""
    plan = study.plan.groups
    later = study.followup.set_index("participant_id")
    first = study.baseline.set_index("participant_id").loc[later.index]
    columns = pd.DataFrame(index=later.index)
    if plan.outcome in later:
        change = outcome_change(later, first, plan.outcome)
        if pd.api.types.is_numeric_dtype(change):
            category = change_category(change, plan.better_below, plan.worse_above)
            columns[PROGRESSION] = category.astype(object)
            columns["worse"] = (category == "worse").astype(float).where(category.notna())
    if "scanner" in later:
        changed = (later["scanner"] != first["scanner"]).astype(float)
        columns["scanner_change"] = changed.where(
            later["scanner"].notna() & first["scanner"].notna()
        )
    return columns.reset_index()


def _regression(study: Study, changes: pd.DataFrame) -> ResultTable:
    """Fit percentage change ~ worse outcome + the plan's covariates that vary, by method."""
    wide = changes.pivot(index="participant_id", columns="segmentation", values="percent")
    clinical = changes.drop(columns=["segmentation", "percent"]).drop_duplicates("participant_id")
    data = clinical.set_index("participant_id").join(wide)
    present = [name for name in study.plan.groups.regression if name in data and varies(data[name])]
    numeric = tuple(name for name in present if pd.api.types.is_numeric_dtype(data[name]))
    categorical = tuple(name for name in present if name not in numeric)
    models = [
        Model(outcome=str(name), predictor="worse", numeric=numeric, categorical=categorical)
        for name in wide
    ]
    table = linear_table(data, models, confidence=study.plan.confidence)
    omitted = [name for name in study.plan.groups.regression if name not in present]
    note = f" Omitted, absent or constant: {', '.join(omitted)}." if omitted else ""
    return ResultTable(
        "Volume change in participants who worsened",
        f"Percentage change ~ worse {study.plan.groups.outcome} (1) or not (0) + "
        f"{' + '.join(present)}.{note} Beta: % of the first session; adjusted p: "
        "Benjamini-Hochberg over the methods.",
        table.rename(columns={"outcome": "segmentation"}),
    )


ANALYSIS = Analysis("groups", "Change by group", analyse)
