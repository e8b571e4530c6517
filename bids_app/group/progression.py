"""Progression of the participants: classes of the change of each outcome of the plan."""

from __future__ import annotations

from enum import StrEnum

import pandas as pd

from bids_app.group.analysis_file import ProgressionRule
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from bids_app.statistics.progression import classify_progression, required_change
from bids_app.statistics.samples import numeric_column


class Confirmation(StrEnum):
    """Whether a later visit confirms that an outcome is worse or better."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    NO_LATER_VISIT = "no later visit"


def progression_of(study: Study, rule: ProgressionRule) -> pd.DataFrame:
    """Classify the participants with a follow-up by the change of an outcome.

    A change that a later visit with the outcome does not confirm leaves its participant stable.

    Parameters
    ----------
    study : Study
    rule : ProgressionRule

    Returns
    -------
    DataFrame
        One row per participant with a follow-up: ``participant_id``, ``score_first``,
        ``score_followup``, ``required`` (smallest change that counts), ``progression`` (better,
        stable or worse; missing where a score is) and ``confirmation`` (missing where nothing has
        to be confirmed).

    Raises
    ------
    NotApplicableError
        If there is no follow-up, no such column, or nobody has both scores.
    """
    later = study.followup.set_index("participant_id")
    if later.empty:
        raise NotApplicableError("no participant has a follow-up session")
    if rule.column not in later:
        raise NotApplicableError(f"no table has a column '{rule.column}'")
    baseline = study.baseline.set_index("participant_id").loc[later.index]
    try:
        first, followup = (numeric_column(each, rule.column) for each in (baseline, later))
    except ValueError as error:
        raise NotApplicableError(str(error)) from error
    required = required_change(first, rule.steps, rule.percent)
    progression = classify_progression(first, followup, required, rule.worse).astype(object)
    if progression.isna().all():
        raise NotApplicableError(f"nobody has '{rule.column}' at the first session and follow-up")
    changed = progression.isin(["better", "worse"])
    confirming = _later_scores(study, rule).reindex(later.index)
    again = classify_progression(first, confirming, required, rule.worse).astype(object)
    confirmation = pd.Series(Confirmation.CONFIRMED.value, later.index).where(
        again == progression, Confirmation.NOT_CONFIRMED
    )
    confirmation = confirmation.where(confirming.notna(), Confirmation.NO_LATER_VISIT)
    confirmation = confirmation.astype("str").where(changed)
    reverted = confirmation == Confirmation.NOT_CONFIRMED
    return pd.DataFrame(
        {
            "score_first": first,
            "score_followup": followup,
            "required": required,
            "progression": progression.where(~reverted, "stable"),
            "confirmation": confirmation,
        }
    ).reset_index()


def _later_scores(study: Study, rule: ProgressionRule) -> pd.Series:
    """Return the outcome at the first visit that can confirm the follow-up, by participant.

    It is later than the follow-up by the plan's time; by any time where times are unknown.
    """
    chosen = study.followup[["participant_id", "visit", "interval"]]
    rows = study.sessions.merge(chosen, on="participant_id", suffixes=("", "_chosen"))
    waited = rows["interval"] - rows["interval_chosen"]
    enough = waited.isna() | (waited >= study.plan.progression.confirmation_years)
    scores = numeric_column(rows, rule.column)
    later = rows[(rows["visit"] > rows["visit_chosen"]) & enough & scores.notna()]
    first = later.sort_values("visit", kind="stable").drop_duplicates("participant_id")
    return numeric_column(first, rule.column).set_axis(first["participant_id"])


def scanner_changed(study: Study) -> pd.Series:
    """Return by participant with a follow-up whether the scanner changed: 1, 0 or missing.

    Without a column ``scanner``, the result is empty.
    """
    later = study.followup.set_index("participant_id")
    first = study.baseline.set_index("participant_id").loc[later.index]
    if "scanner" not in later:
        return pd.Series(dtype="float64", name="scanner_change")
    both = later["scanner"].notna() & first["scanner"].notna()
    changed = (later["scanner"] != first["scanner"]).astype("float64")
    return changed.where(both).rename("scanner_change")
