"""Volume change compared between diagnoses at equal age and follow-up time."""

from __future__ import annotations

import pandas as pd

from bids_app.analyses.result import NotApplicableError, Result, ResultTable
from bids_app.analyses.study import Study
from bids_app.statistics.anova import analyse_covariance
from bids_app.statistics.regression import ModelError

COVARIATES = ("age", "interval")


def analyse(study: Study) -> Result:
    """Fit percentage change ~ diagnosis + age + interval for every method."""
    changes = study.by_diagnosis(study.changes)
    if changes is None:
        raise NotApplicableError("no table has a column 'diagnosis'")
    covariates = [name for name in COVARIATES if name in changes and changes[name].nunique() > 1]
    adjusted = " + ".join(covariates)
    tests, means, pairs = [], [], []
    for name, rows in changes.groupby("segmentation", sort=False):
        row: dict[str, object] = {"method": name, "reason": ""}
        try:
            result = analyse_covariance(
                rows, "percent", "diagnosis", covariates, study.plan.confidence
            )
        except ModelError as error:
            tests.append(row | {"reason": str(error)})
            continue
        tests.append(
            row
            | {"n": result.n, "f": result.f, "df": result.df[0], "df_error": result.df[1]}
            | {"p": result.p}
        )
        means.append(result.means.assign(method=name))
        pairs.append(result.comparisons.assign(method=name))
    columns = ["method", "n", "f", "df", "df_error", "p", "reason"]
    tables = {
        "groups": ResultTable(
            "Change by diagnosis, adjusted",
            f"Analysis of covariance: percentage change ~ diagnosis + {adjusted}.",
            pd.DataFrame(tests, columns=columns),
        )
    }
    for file, title, parts in (
        ("groups_means", "Adjusted means", means),
        ("groups_pairs", "Adjusted means compared", pairs),
    ):
        if parts:
            table = pd.concat(parts, ignore_index=True)
            table = table[["method", *table.columns.drop("method")]]
            caption = f"At mean {adjusted}, % of the first session; p_adj: Bonferroni over "
            tables[file] = ResultTable(title, f"{caption}the pairs of a method.", table)
    significant = [str(row["method"]) for row in tests if _below(row.get("p"), 0.05)]
    return Result(
        tables=tables,
        methods="Percentage change was compared between diagnoses by analysis of covariance "
        f"({adjusted}), pairs of diagnoses with Bonferroni adjustment.",
        findings="Diagnoses differed in adjusted volume change by "
        + (", ".join(significant) or "no method")
        + " (p < 0.05).",
    )


def _below(p: object, level: float) -> bool:
    return isinstance(p, float) and p < level
