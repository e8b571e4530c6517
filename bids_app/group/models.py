"""Data and terms of the declared sets of models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from bids_app.group.analysis_file import ModelSet, Outcome
from bids_app.group.common_sample import compared_cases
from bids_app.group.levels import select
from bids_app.group.study import Study
from bids_app.statistics.design import Model, without_constant
from bids_app.statistics.ordinal import change_category
from bids_app.statistics.samples import numeric_column, varies, winsor_limits, winsorise


@dataclass(frozen=True)
class PreparedSet:
    """A set of models ready to be fitted.

    Attributes
    ----------
    data : DataFrame
        One row per participant (per session for mixed models): outcomes, covariates, and a
        column per segmentation with its volume or change of volume in mL.
    models : tuple of Model
        Every outcome by every segmentation, each without the optional covariates that are constant
        in its complete cases.
    omitted : tuple of str
        Optional covariates that are absent or constant in all cases.
    not_common : int
        Cases excluded because a segmentation lacks them.
    limits : mapping of str to (float, float)
        Volume changes at which those of each segmentation are winsorised, mL; empty if they are
        not.
    """

    data: pd.DataFrame
    models: tuple[Model, ...]
    omitted: tuple[str, ...]
    not_common: int = 0
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def covariates(self, outcome: str) -> list[str]:
        """Return the covariates of the models of an outcome, in the order of the first."""
        of_outcome = [model for model in self.models if model.outcome == outcome]
        names = [name for model in of_outcome for name in (*model.numeric, *model.categorical)]
        return list(dict.fromkeys(names))


def prepare(study: Study, models: ModelSet) -> PreparedSet:
    """Collect the data of a set of models and declare each of its models.

    Raises
    ------
    NotApplicableError
        If there is no follow-up session, or the subset or the common sample is empty.
    """
    selected = select(_data(study, models), models.subset, study.cohort.columns)
    segmentations = study.compared(models.without)
    data = compared_cases(selected, segmentations, study.plan.sample)
    omitted = tuple(name for name in models.optional if name not in data or not varies(data[name]))
    numeric = tuple(name for name in models.numeric if name not in omitted)
    declared = tuple(
        without_constant(
            data,
            Model(
                outcome=outcome_column(models, outcome),
                predictor=segmentation,
                numeric=numeric,
                categorical=tuple(name for name in models.categorical if name not in omitted),
                standardised=tuple(name for name in models.standardised if name in numeric),
                transform=outcome.transform,
                covariance=outcome.errors,
            ),
            models.optional,
        )
        for outcome in models.outcomes
        for segmentation in segmentations
    )
    return PreparedSet(data, declared, omitted, len(selected) - len(data), _limits(study, models))


def file_name(name: str) -> str:
    """Turn the name of a set into the name of its table."""
    return "models_" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def outcome_column(models: ModelSet, outcome: Outcome) -> str:
    """Name the column of an outcome in the data of its model: changes end in ``_change``."""
    changes = models.type in ("longitudinal", "ordinal")
    return f"{outcome.column}_change" if changes else outcome.column


def covariate_text(
    models: ModelSet, omitted: tuple[str, ...] = (), label: Callable[[str], str] = str
) -> str:
    """Write the labels of covariates as in a formula, z() around those that are standardised."""
    names = [name for name in (*models.numeric, *models.categorical) if name not in omitted]
    return " + ".join(
        f"z({label(name)})" if name in models.standardised else label(name) for name in names
    )


def _data(study: Study, models: ModelSet) -> pd.DataFrame:
    if models.type == "cross-sectional":
        return study.baseline
    if models.type == "mixed":
        return study.sessions
    return _change_data(study, models)


def _change_data(study: Study, models: ModelSet) -> pd.DataFrame:
    """Collect the columns of the first session and the changes, by participant with follow-up."""
    changes = study.changes_by_segmentation
    if models.winsorise is not None:
        low, high = models.winsorise
        changes = changes.apply(winsorise, lower=low, upper=high)
    later = study.followup.set_index("participant_id")
    later = later[later.index.isin(changes.index)]
    first = study.baseline.set_index("participant_id").loc[later.index]
    data = first.drop(columns=study.segmentations).join(changes)
    data["interval"] = later["interval"]
    for name in models.at_followup:
        if name in later:
            data[name] = later[name]
    for outcome in models.outcomes:
        if outcome.column in first:
            change = outcome_change(later, first, outcome.column)
            if models.type == "ordinal" and pd.api.types.is_numeric_dtype(change):
                change = change_category(change, outcome.better_below, outcome.worse_above)
            data[f"{outcome.column}_change"] = change
    return data.reset_index()


def _limits(study: Study, models: ModelSet) -> dict[str, tuple[float, float]]:
    """Return the limits of winsorising by segmentation; none if the set does not winsorise."""
    if models.winsorise is None or models.type not in ("longitudinal", "ordinal"):
        return {}
    changes = study.changes_by_segmentation
    return {str(name): winsor_limits(changes[name], *models.winsorise) for name in changes}


def outcome_change(later: pd.DataFrame, first: pd.DataFrame, column: str) -> pd.Series:
    """Return follow-up minus first session; text unchanged, so that its models report it."""
    try:
        return numeric_column(later, column) - numeric_column(first, column)
    except ValueError:
        return later[column]
