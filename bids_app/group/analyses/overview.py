"""Which method serves for what: the results of the other analyses in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from bids_app.group.analysis import Analysis
from bids_app.group.models import file_name, outcome_column
from bids_app.group.result import Display, NotApplicableError, Result, ResultTable
from bids_app.group.study import Study

SIGNIFICANT = 0.05
_METHODS = ("method", "segmentation")


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A quantity by which methods are compared for a purpose.

    Attributes
    ----------
    purpose, label : str
        What a method is wanted for, and the quantity in words.
    analysis, table, column : str
        Where the quantity is.
    best : {'highest', 'lowest', 'nearest 0'}
    rows : mapping of str to object
        Levels of other columns of the rows that count.
    supported : callable
        Maps the rows to whether a method serves the purpose at all.
    unsupported : str
        Reason if no method does.
    tests : str
        Table of the same analysis that compares pairs of methods in it; may be empty.
    test_rows : mapping of str to object
        Levels of its rows that count.
    p : str
        Its column of adjusted p-values.
    """

    purpose: str
    label: str
    analysis: str
    table: str
    column: str
    best: Literal["highest", "lowest", "nearest 0"]
    rows: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    supported: Callable[[pd.DataFrame], pd.Series] = lambda rows: rows["value"].notna()
    unsupported: str = ""
    tests: str = ""
    test_rows: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    p: str = "p_adj"


def _significant(rows: pd.DataFrame) -> pd.Series:
    return rows["p_adj"] < SIGNIFICANT


_NO_ASSOCIATION = f"no association with an adjusted p below {SIGNIFICANT:g}"
_EQUAL = "all methods are equal"
_CRITERIA = (
    Criterion(
        purpose="Share of participants measured",
        label="participants with a volume at the first session",
        analysis="volumes",
        table="volumes_summary",
        column="n",
        best="highest",
        rows=MappingProxyType({"measure": "total_ml"}),
    ),
    Criterion(
        purpose="Spatial agreement with the reference",
        label="mean Dice coefficient",
        analysis="overlap",
        table="overlap_summary",
        column="mean",
        best="highest",
        rows=MappingProxyType({"measure": "dice", "side": "bilateral"}),
        tests="overlap_differences",
    ),
    Criterion(
        purpose="Agreement of volumes with the reference",
        label="CCC",
        analysis="agreement",
        table="agreement",
        column="ccc",
        best="highest",
        tests="agreement_differences",
        test_rows=MappingProxyType({"measure": "ccc"}),
    ),
    Criterion(
        purpose="Volumes without bias",
        label="bias, mL",
        analysis="agreement",
        table="agreement",
        column="bias",
        best="nearest 0",
    ),
    Criterion(
        purpose="Reliability",
        label="within-subject SD of repeat scans, mL",
        analysis="reliability",
        table="measurement_error",
        column="within_sd",
        best="lowest",
        tests="measurement_error_tests",
    ),
    Criterion(
        purpose="Sensitivity to change",
        label="subjects per arm of a trial",
        analysis="sample_size",
        table="sample_size",
        column="sample_size",
        best="lowest",
        rows=MappingProxyType({"diagnosis": "all"}),
        supported=lambda rows: np.isfinite(rows["value"]),
        unsupported="no method shows atrophy",
    ),
    Criterion(
        purpose="Following brain volume",
        label="correlation of change with that of the brain",
        analysis="pbvc",
        table="pbvc",
        column="r",
        best="highest",
        supported=_significant,
        unsupported=_NO_ASSOCIATION,
        tests="pbvc_tests",
        p="williams_p_adj",
    ),
    Criterion(
        purpose="Stratification by disability",
        label="AUC beyond that of the covariates",
        analysis="stratification",
        table="stratification",
        column="auc_difference",
        best="highest",
        supported=_significant,
        unsupported=f"no method adds to the covariates with an adjusted p below {SIGNIFICANT:g}",
        tests="stratification_differences",
    ),
)


_COLUMNS = [
    *("purpose", "quantity", "method", "value", "ci_low", "ci_high", "n"),
    *("methods", "not_distinguished", "tested", "reason"),
]


def analyse(study: Study, results: Mapping[str, Result]) -> Result:
    """Name the best method for every purpose, and those that are not distinguished from it."""
    values, rows = [], []
    for criterion in (*_CRITERIA, *_associations(study)):
        result = results.get(criterion.analysis, Result())
        compared = _values(criterion, result)
        if len(compared) < 2:
            continue
        identity = {"purpose": criterion.purpose, "quantity": criterion.label}
        values.append(compared.assign(**identity))
        rows.append(identity | _conclusion(criterion, compared, _tests(criterion, result)))
    if not rows:
        raise NotApplicableError("no analysis compares two methods")
    table = pd.DataFrame(rows, columns=_COLUMNS)
    if (table["reason"] == _EQUAL).all():
        raise NotApplicableError("methods do not differ in what the analyses compare")
    every = pd.concat(values, ignore_index=True)[
        ["purpose", "quantity", "method", "n", "value", "ci_low", "ci_high", "rank"]
    ]
    return Result(
        tables={
            "overview": ResultTable(
                "Which method, for what",
                "The best method for each purpose, and the others of which it was not "
                f"distinguished: adjusted p of the pair at least {SIGNIFICANT:g}. From the tables "
                "below, where all methods and tests are listed.",
                table,
                {"Tested": "no: the quantity is not compared pair by pair"},
            ),
            "overview_values": ResultTable(
                "Which method, for what: all methods",
                "Rank 1 is the best.",
                every,
                display=Display.FOLDED,
            ),
        },
        findings=_findings(table),
    )


def _associations(study: Study) -> Iterator[Criterion]:
    """Yield a criterion for each outcome of progression and of the main linear models."""
    for rule in study.plan.progression.outcomes:
        yield Criterion(
            purpose=f"Loss with progression of {rule.column}",
            label="partial η² of the classes",
            analysis="progression",
            table="progression_groups",
            column="partial_eta_squared",
            best="highest",
            rows=MappingProxyType({"by": rule.column}),
            supported=_significant,
            unsupported=_NO_ASSOCIATION,
        )
    for kind in ("cross-sectional", "longitudinal"):
        sets = [models for models in study.plan.model if models.type == kind and models.main]
        models = next(iter(sets), None)
        if models is None:
            continue
        for outcome in models.outcomes:
            column = outcome_column(models, outcome)
            yield Criterion(
                purpose=f"Association with {column.replace('_', ' ')}",
                label="R² beyond that of the covariates",
                analysis="clinical",
                table=file_name(models.name),
                column="r2_increment",
                best="highest",
                rows=MappingProxyType({"outcome": column}),
                supported=_significant,
                unsupported=_NO_ASSOCIATION,
                tests="models_differences",
                test_rows=MappingProxyType(
                    {"model": models.name, "outcome": column, "measure": "r2"}
                ),
            )


def _rows(result: Result, table: str, levels: Mapping[str, object]) -> pd.DataFrame:
    """Select rows of a table; none if there is no such table."""
    if table not in result.tables:
        return pd.DataFrame()
    rows = result.tables[table].data
    for column, level in levels.items():
        if column not in rows:
            return pd.DataFrame()
        rows = rows[rows[column] == level]
    return rows


def _values(criterion: Criterion, result: Result) -> pd.DataFrame:
    """Collect the quantity by method, with its rank, and whether it supports the purpose."""
    rows = _rows(result, criterion.table, criterion.rows)
    column = criterion.column
    if column not in rows:
        return pd.DataFrame()
    rows = rows[rows[column].notna()]
    method = next(name for name in _METHODS if name in rows)
    absent = pd.Series(np.nan, rows.index)
    counts = ("n", "subjects", "patients")
    values = pd.DataFrame(
        {
            "method": rows[method],
            "n": rows[next(name for name in counts if name in rows)],
            "value": rows[column].astype("float64"),
            "ci_low": rows.get(f"{column}_ci_low", absent),
            "ci_high": rows.get(f"{column}_ci_high", absent),
            "p_adj": rows.get("p_adj", absent),
        }
    )
    order = {
        "highest": -values["value"],
        "lowest": values["value"],
        "nearest 0": values["value"].abs(),
    }[criterion.best]
    return values.assign(rank=order.rank(), supported=criterion.supported(values))


def _tests(criterion: Criterion, result: Result) -> pd.DataFrame:
    """Select the tests of pairs: ``first``, ``second`` and ``p_adj``."""
    rows = _rows(result, criterion.tests, criterion.test_rows)
    names = ["first", "second", criterion.p]
    if not set(names) <= set(rows.columns):
        return pd.DataFrame(columns=["first", "second", "p_adj"])
    tests = rows[names].set_axis(["first", "second", "p_adj"], axis="columns")
    return tests[tests["p_adj"].notna()]


def _conclusion(
    criterion: Criterion, values: pd.DataFrame, tests: pd.DataFrame
) -> dict[str, object]:
    """Name the best method, and those that tests do not distinguish from it."""
    row: dict[str, object] = {"methods": len(values), "reason": ""}
    served = values[values["supported"]]
    if served.empty:
        return row | {"reason": criterion.unsupported}
    if values["value"].nunique() == 1:
        return row | {"value": values["value"].iloc[0], "reason": _EQUAL}
    best = served.sort_values("rank", kind="stable").iloc[0]
    row |= {name: best[name] for name in ("method", "n", "value", "ci_low", "ci_high")}
    of_best = tests[(tests["first"] == best["method"]) | (tests["second"] == best["method"])]
    alike = of_best[of_best["p_adj"] >= SIGNIFICANT]
    others = alike["first"].where(alike["first"] != best["method"], alike["second"])
    return row | {
        "not_distinguished": ", ".join(others),
        "tested": "yes" if len(of_best) else "no",
    }


def _findings(table: pd.DataFrame) -> str:
    """State the purposes that one method serves better than all others."""
    clear = table[(table["tested"] == "yes") & (table["not_distinguished"] == "")]
    texts = [
        f"{row.method} was distinguished from all other methods in {row.quantity}"
        for row in clear.itertuples()
    ]
    return f"{'; '.join(texts)}." if texts else ""


ANALYSIS = Analysis("overview", "Which method, for what", analyse, of_results=True)
