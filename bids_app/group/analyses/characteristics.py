"""Who the participants are: age, sex, scores and so on, of all and by diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study, level_name
from bids_app.statistics.description import describe_sample

_SETTINGS = {
    "Session": "first session of each participant; interval: to the follow-up",
    "Distribution": "SD with n - 1, quartiles of type 7",
    "Share": "of the participants whose value is known",
}


def analyse(study: Study) -> Result:
    """Describe the measured participants, those with a follow-up and those with a reference."""
    wanted = study.plan.characteristics.columns
    parts = []
    for population, people in _populations(study):
        present = [name for name in wanted if name in people and people[name].notna().any()]
        categorical = [name for name in present if _is_category(study, people, name)]
        numeric = [name for name in present if name not in categorical]
        named = people.assign(**{name: _levels(study, people[name]) for name in categorical})
        groups = [("all", named)]
        by_diagnosis = study.by_diagnosis(people.assign(key=people.index))
        if by_diagnosis is not None:
            for diagnosis, members in by_diagnosis.groupby("diagnosis"):
                groups.append((str(diagnosis), named.loc[members["key"]]))
        for diagnosis, members in groups:
            table = describe_sample(members, numeric, categorical)
            table.insert(0, "population", population)
            table.insert(1, "diagnosis", diagnosis)
            parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise NotApplicableError(f"no table has one of the columns {list(wanted)}")
    return Result(
        tables={
            "characteristics": ResultTable(
                "Characteristics of the participants",
                "At the first session: participants with volumes, those of them with a follow-up, "
                "and those with reference labels; all, and by diagnosis.",
                table,
                _SETTINGS,
            )
        },
        findings=_findings(table),
        references=("ibrahim2026",),
    )


def _populations(study: Study) -> Iterator[tuple[str, pd.DataFrame]]:
    first = study.baseline.drop(columns="interval")
    yield "measured", first
    if not study.followup.empty:
        interval = study.followup[["participant_id", "interval"]]
        yield "with follow-up", first.merge(interval, on="participant_id")
    if study.reference_dir is not None and not study.overlap[0].empty:
        labelled = first["participant_id"].isin(study.overlap[0]["participant_id"])
        yield "with reference", first[labelled].reset_index(drop=True)


def _is_category(study: Study, people: pd.DataFrame, name: str) -> bool:
    """Tell text, and numbers that the dataset or the analysis file calls levels, from measures."""
    known = study.cohort.columns.get(name)
    declared = name in {term for models in study.plan.model for term in models.categorical}
    text = not pd.api.types.is_numeric_dtype(people[name])
    return declared or text or bool(known and known.levels)


def _levels(study: Study, values: pd.Series) -> pd.Series:
    known = study.cohort.columns.get(str(values.name))
    meanings = known.levels if known else {}
    texts = values.map(level_name, na_action="ignore")
    return texts.map(lambda text: meanings.get(text, text), na_action="ignore")


def _findings(table: pd.DataFrame) -> str:
    everyone = table[(table["population"] == "measured") & (table["diagnosis"] == "all")]
    number = everyone["level"].isna()
    texts = [
        f"{row['variable']} {row['mean']:.2f} ± {row['sd']:.2f} (median {row['median']:.2f}, IQR "
        f"{row['q1']:.2f} to {row['q3']:.2f}, n = {row['n']})"
        for row in everyone[number].to_dict("records")
    ]
    texts += [
        f"{row['variable']} {row['level']} {row['count']:.0f} ({100 * row['share']:.0f} %)"
        for row in everyone[~number].to_dict("records")
    ]
    return f"At the first session: {', '.join(texts)}."
