"""Characteristics of the participants: age, sex, scores and more, of all and by diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bids_app.derivatives.columns import COLUMNS
from bids_app.group.analysis import Analysis
from bids_app.group.levels import level_meanings
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study
from bids_app.statistics.description import describe_sample

_SETTINGS = {
    "Session": "first session of each participant; interval: to the follow-up",
    "Distribution": "SD with n - 1, quartiles of type 7",
    "Share": "of the participants with a value",
}


def analyse(study: Study) -> Result:
    """Describe the measured participants, those with a follow-up and those with a reference."""
    parts = [
        part
        for population, people in _populations(study)
        for part in _describe(study, population, people)
    ]
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        columns = list(study.plan.characteristics.columns)
        raise NotApplicableError(f"no table has one of the columns {columns}")
    return Result(
        tables={
            "characteristics": ResultTable(
                "Characteristics of the participants",
                "At the first session: participants with volumes, those with a follow-up, and "
                "those with reference labels; all, and by diagnosis.",
                table,
                _SETTINGS,
            )
        },
        findings=_findings(table),
        references=("ibrahim2026",),
    )


def _describe(study: Study, population: str, people: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Describe all members of a population, then those with each diagnosis."""
    columns = study.plan.characteristics.columns
    present = [name for name in columns if name in people and people[name].notna().any()]
    categorical = [name for name in present if _is_category(study, people, name)]
    numeric = [name for name in present if name not in categorical]
    meanings = {name: level_meanings(people[name], study.cohort.columns) for name in categorical}
    named = people.assign(**meanings)
    groups = [("all", named)]
    by_diagnosis = study.by_diagnosis(people.assign(key=people.index))
    if by_diagnosis is not None:
        for diagnosis, members in by_diagnosis.groupby("diagnosis"):
            groups.append((str(diagnosis), named.loc[members["key"]]))
    for diagnosis, members in groups:
        table = describe_sample(members, numeric, categorical)
        table.insert(0, "population", population)
        table.insert(1, "diagnosis", diagnosis)
        yield table


def _populations(study: Study) -> Iterator[tuple[str, pd.DataFrame]]:
    first = study.baseline.drop(columns="interval")
    yield "measured", first
    if not study.followup.empty:
        interval = study.followup[["participant_id", "interval"]]
        yield "with follow-up", first.merge(interval, on="participant_id")
    overlap = pd.DataFrame() if study.reference_dir is None else study.compared_masks.overlap
    if not overlap.empty:
        labelled = first["participant_id"].isin(overlap["participant_id"])
        yield "with reference", first[labelled].reset_index(drop=True)


def _is_category(study: Study, people: pd.DataFrame, name: str) -> bool:
    """Whether a column holds text, or numbers declared as levels by dataset or analysis file."""
    column = study.cohort.columns.get(name)
    declared = name in {term for models in study.plan.model for term in models.categorical}
    text = not pd.api.types.is_numeric_dtype(people[name])
    return declared or text or bool(column and column.levels)


def _heading(variable: str) -> str:
    """Name a column in a sentence, with the unit if thalbids defines it."""
    return COLUMNS[variable].heading if variable in COLUMNS else variable.replace("_", " ")


def _findings(table: pd.DataFrame) -> str:
    everyone = table[(table["population"] == "measured") & (table["diagnosis"] == "all")]
    number = everyone["level"].isna()
    texts = [
        f"{_heading(row['variable'])} {row['mean']:.2f} ± {row['sd']:.2f} (median "
        f"{row['median']:.2f}, IQR {row['q1']:.2f} to {row['q3']:.2f}, n = {row['n']})"
        if row["n"] > 1
        else f"{_heading(row['variable'])} {row['mean']:.2f} (n = {row['n']})"
        for row in everyone[number].to_dict("records")
    ]
    texts += [
        f"{_heading(row['variable'])} {row['level']} {row['count']:.0f} "
        f"({100 * row['share']:.0f} %)"
        for row in everyone[~number].to_dict("records")
    ]
    return f"At the first session: {', '.join(texts)}."


ANALYSIS = Analysis("characteristics", "Characteristics", analyse)
