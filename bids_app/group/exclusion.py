"""Why participants do not reach a step of the flow diagram."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bids_app.errors import Cause


class Exclusion(StrEnum):
    """A reason for exclusion from the analyses; the value is its label, with room for a detail.

    Why sessions were not measured is a `bids_app.errors.Cause`.
    """

    NOT_SELECTED = "not selected"
    NOT_MEASURED = "not measured"
    RESULTS_MISSING = "results missing"
    FAILED_REVIEW = "failed visual quality control"
    FLAGGED = "first session excluded by quality control"
    SINGLE_SESSION = "a single session"
    OUTSIDE_RANGE = "no session {} years after the first"
    NOT_IN_BOTH = "not segmented in both sessions"
    TO_CHECK = "change to be checked"
    NOT_MEASURABLE = "change not measurable"
    NOT_COMMON = "no result by every method"
    MISSING_VALUE = "{} missing"


Reason = Exclusion | Cause


@dataclass(frozen=True)
class Excluded:
    """Participants excluded for one reason.

    Attributes
    ----------
    reason : Exclusion or Cause
    participants : int
    detail : str
        Range of years or column that the label names; empty where it names none.
    """

    reason: Reason
    participants: int
    detail: str = ""

    @property
    def label(self) -> str:
        """Reason in words, for tables and figures.

        >>> Excluded(Exclusion.MISSING_VALUE, 2, "edss").label
        'edss missing'
        """
        return self.reason.value.format(self.detail)
