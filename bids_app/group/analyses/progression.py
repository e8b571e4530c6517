"""Volume change and progression of disability, as in the DeepGRAI registry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from bids_app.derivatives.clinical_labels import column_label
from bids_app.group.adjusted_groups import SIGNIFICANT, compare_groups, tables_of
from bids_app.group.analysis import Analysis
from bids_app.group.analysis_file import ProgressionRule
from bids_app.group.common_sample import compared_rows
from bids_app.group.progression import Confirmation, progression_of, scanner_changed
from bids_app.group.result import Display, NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.group.unadjusted_groups import unadjusted_tables
from bids_app.statistics.design import Model
from bids_app.statistics.logistic import logistic_table
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.ordinal import CATEGORIES
from bids_app.statistics.regression import linear_table
from bids_app.statistics.samples import varies

# Smaller classes are counted, not compared.
FEWEST = 5
WORSE = "worse"


@dataclass(frozen=True)
class Classified:
    """Participants classified by the change of an outcome, with their changes of volume.

    Attributes
    ----------
    rule : ProgressionRule
    people : DataFrame
        As `progression_of` returns it.
    changes : DataFrame
        Changes to analyse, with ``group`` (class) and ``scanner_change``.
    """

    rule: ProgressionRule
    people: pd.DataFrame
    changes: pd.DataFrame

    @property
    def small(self) -> dict[str, int]:
        """Classes of fewer than `FEWEST` participants with a change, and their numbers."""
        members = self.changes.drop_duplicates("participant_id")["group"]
        counts = members.value_counts().reindex(list(CATEGORIES), fill_value=0)
        return {str(name): int(n) for name, n in counts.items() if n < FEWEST}

    @property
    def note(self) -> str:
        """Sentences on small classes, and on participants without a class."""
        texts = [
            f"{self.rule.column}: {n} {'is' if n == 1 else 'are'} {name}, fewer than {FEWEST}; "
            "the class is not compared."
            for name, n in self.small.items()
            if n
        ]
        missing = int(self.people["progression"].isna().sum())
        if missing:
            texts.append(
                f"{self.rule.column}: {missing} of {len(self.people)} participants with a "
                "follow-up lack it at one of the two sessions, and have no class."
            )
        return " ".join(texts)


def analyse(study: Study) -> Result:
    """Classify participants by each outcome, and relate the classes to the change of volume."""
    classified: dict[str, Classified] = {}
    impossible: dict[str, str] = {}
    changes = compared_rows(study.changes, "percent", study.plan.sample)
    for rule in study.plan.progression.outcomes:
        try:
            people = progression_of(study, rule)
        except NotApplicableError as error:
            impossible[rule.column] = str(error)
            continue
        classes = people[["participant_id", "progression"]]
        joined = changes.merge(classes, on="participant_id", how="left", suffixes=("_column", ""))
        scanner = joined["participant_id"].map(scanner_changed(study))
        joined = joined.assign(group=joined["progression"], scanner_change=scanner)
        classified[rule.column] = Classified(rule, people, joined)
    if not classified:
        raise NotApplicableError("; ".join(dict.fromkeys(impossible.values())) or "no outcome")
    counts = _counts(classified)
    tables = {
        "progression": ResultTable(
            "Participants by class", "", _individuals(classified), display=Display.FILE
        ),
        "progression_classes": ResultTable("Progression", _caption(study, classified), counts),
        **_comparisons(study, classified),
        "progression_logistic": _logistic(study, classified),
        "progression_regression": _regression(study, classified),
    }
    return Result(
        tables=tables,
        methods=_methods(study, classified),
        findings=_findings(counts, tables),
        references=("zivadinov2022", "benjamini1995"),
        of_change=True,
        impossible=impossible,
    )


def rule_text(rule: ProgressionRule) -> str:
    """State a rule in words.

    Examples
    --------
    >>> rule_text(ProgressionRule(column="t25fw", percent=20.0))
    't25fw higher by at least 20 %'
    """
    head = f"{rule.column} {rule.worse} by at least"
    if rule.percent is not None:
        return f"{head} {rule.percent:g} %"
    steps = [f"{step.by:g} from scores up to {step.up_to:g}" for step in rule.steps[:-1]]
    last = f"{rule.steps[-1].by:g}"
    return f"{head} {', '.join([*steps, f'{last} above' if steps else last])}"


def _caption(study: Study, classified: Mapping[str, Classified]) -> str:
    rules = "; ".join(rule_text(each.rule) for each in classified.values())
    years = study.plan.progression.confirmation_years
    notes = " ".join(each.note for each in classified.values() if each.note)
    return (
        f"Worse from the first session to the follow-up: {rules}; better: by as much in the other "
        f"direction. Changes that the first visit at least {years:g} years after the follow-up "
        f"does not confirm count as stable. {notes}"
    ).strip()


def _individuals(classified: Mapping[str, Classified]) -> pd.DataFrame:
    return pd.concat(
        [each.people.assign(outcome=name) for name, each in classified.items()], ignore_index=True
    )[
        [
            *("participant_id", "outcome", "score_first", "score_followup", "required"),
            *("progression", "confirmation"),
        ]
    ]


def _counts(classified: Mapping[str, Classified]) -> pd.DataFrame:
    """Count the classes of each outcome, and what later visits confirmed."""
    rows = []
    for name, each in classified.items():
        classes, confirmations = each.people["progression"], each.people["confirmation"]
        row = {"outcome": name, "n": int(classes.notna().sum())}
        row |= {f"n_{category}": int((classes == category).sum()) for category in CATEGORIES}
        row["missing"] = int(classes.isna().sum())
        for kind in Confirmation:
            row[f"n_{kind.replace(' ', '_')}"] = int((confirmations == kind).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def _comparisons(study: Study, classified: Mapping[str, Classified]) -> dict[str, ResultTable]:
    """Compare the classes of each outcome by analysis of covariance."""
    every = next(iter(classified.values())).changes
    wanted = study.plan.progression.covariates
    covariates = [name for name in wanted if name in every and varies(every[name])]
    grouped = {
        name: each.changes.assign(
            group=each.changes["group"].where(~each.changes["group"].isin(each.small))
        )
        for name, each in classified.items()
    }
    comparison = compare_groups(grouped, covariates, study.plan.confidence)
    notes = " ".join(each.note for each in classified.values() if each.note)
    prefix = "progression_groups"
    return tables_of(comparison, prefix, covariates, notes) | unadjusted_tables(grouped, prefix)


def _wide(each: Classified, value: pd.Series) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per participant with ``worse`` and a column per method, and the methods."""
    changes = each.changes.assign(value=value)
    names = list(dict.fromkeys(changes["segmentation"]))
    wide = changes.pivot(index="participant_id", columns="segmentation", values="value")
    clinical = changes.drop(columns=["segmentation", "value"]).drop_duplicates("participant_id")
    data = clinical.set_index("participant_id").join(wide)
    has_class = data["group"].notna()
    return data.assign(worse=(data["group"] == WORSE).astype("float64").where(has_class)), names


def _covariates(study: Study, data: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the plan's covariates of the models that vary: numeric and categorical."""
    wanted = study.plan.progression.regression
    present = [name for name in wanted if name in data and varies(data[name])]
    numeric = [name for name in present if pd.api.types.is_numeric_dtype(data[name])]
    return tuple(numeric), tuple(name for name in present if name not in numeric)


def _few(each: Classified) -> str:
    """Reason why the worse cannot be compared with the others; empty if they can."""
    classes = each.changes.drop_duplicates("participant_id")["group"].dropna()
    worse = int((classes == WORSE).sum())
    fewest, name = min((worse, WORSE), (len(classes) - worse, "not worse"))
    return f"{fewest} participants are {name}, at least {FEWEST} are needed" * (fewest < FEWEST)


def _omitted(study: Study, used: set[str]) -> str:
    left = [name for name in study.plan.progression.regression if name not in used]
    return f" Omitted, absent or constant: {', '.join(left)}." if left else ""


def _logistic(study: Study, classified: Mapping[str, Classified]) -> ResultTable:
    """Fit worse ~ loss of volume + covariates, by outcome and method."""
    tables, used = [], set[str]()
    for name, each in classified.items():
        data, methods = _wide(each, -each.changes["percent"])
        numeric, categorical = _covariates(study, data)
        used |= {*numeric, *categorical}
        models = [
            Model(outcome=WORSE, predictor=method, numeric=numeric, categorical=categorical)
            for method in methods
        ]
        few = _few(each)
        table = logistic_table(data, [] if few else models, confidence=study.plan.confidence)
        if few:
            table = table.reindex(range(len(methods))).assign(predictor=methods, reason=few)
        tables.append(table.assign(outcome=name))
    table = pd.concat(tables, ignore_index=True).rename(columns={"predictor": "segmentation"})
    table = table.assign(p_adj=adjust(table["p"].astype("float64")), family="all")
    return ResultTable(
        "Odds of progression",
        "Logistic model: worse (1) or not (0) ~ loss of volume in % of the first session"
        f"{_covariate_text(study, used)}.{_omitted(study, used)} Odds ratio: per 1 % of loss; "
        "adjusted p: Benjamini-Hochberg over all rows. Areas under the ROC curve: in the "
        "participants to whom the model was fitted, with the loss and with the covariates alone.",
        table,
        {"Interval": "Wald", "Loss": "minus percentage change"},
    )


def _covariate_text(study: Study, used: Collection[str]) -> str:
    """Write the covariates as in a formula."""
    names = (name for name in study.plan.progression.regression if name in used)
    return "".join(f" + {column_label(name)}" for name in names)


def _regression(study: Study, classified: Mapping[str, Classified]) -> ResultTable:
    """Fit percentage change ~ worse + covariates, by outcome and method."""
    tables, used = [], set[str]()
    for name, each in classified.items():
        data, methods = _wide(each, each.changes["percent"])
        numeric, categorical = _covariates(study, data)
        used |= {*numeric, *categorical}
        models = [
            Model(outcome=method, predictor=WORSE, numeric=numeric, categorical=categorical)
            for method in methods
        ]
        few = _few(each)
        table = linear_table(data, [] if few else models, confidence=study.plan.confidence)
        if few:
            table = table.reindex(range(len(methods))).assign(outcome=methods, reason=few)
        table = table.rename(columns={"outcome": "segmentation"})
        table.insert(0, "outcome", name)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(p_adj=adjust(table["p"].astype("float64")), family="all")
    return ResultTable(
        "Volume change in participants who worsened",
        "Percentage change ~ worse (1) or not (0)"
        f"{_covariate_text(study, used)}.{_omitted(study, used)} Beta: % of the first session; "
        "adjusted p: Benjamini-Hochberg over all rows.",
        table,
    )


def _methods(study: Study, classified: Mapping[str, Classified]) -> str:
    rules = "; ".join(rule_text(each.rule) for each in classified.values())
    return (
        f"Progression was defined as {rules}, if not refuted by a later visit. Percentage change "
        "of volume was compared between worse, stable and better participants by analysis of "
        f"covariance ({' + '.join(study.plan.progression.covariates)}) with Bonferroni adjustment "
        "of pairs, and related to progression by linear and logistic models with "
        f"{', '.join(study.plan.progression.regression)} as covariates where available."
    )


def _findings(counts: pd.DataFrame, tables: Mapping[str, ResultTable]) -> str:
    texts = [
        f"{row.outcome}: {row.n_worse} of {row.n} participants were worse, {row.n_better} better."
        for row in counts.itertuples()
    ]
    odds = tables["progression_logistic"].data
    texts += [
        f"{row.outcome}, {row.segmentation}: odds ratio {row.odds_ratio:.2f} "
        f"[{row.odds_ratio_ci_low:.2f}, {row.odds_ratio_ci_high:.2f}] per 1 % of loss (adjusted p "
        f"= {row.p_adj:.2g})."
        for row in odds[odds["p_adj"] < SIGNIFICANT].itertuples()
    ]
    return " ".join(texts)


ANALYSIS = Analysis("progression", "Progression", analyse)
