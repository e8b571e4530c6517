"""One intracranial volume per participant, by one method, for all of its visits.

A skull does not change between visits; the difference of two measurements of it is error, which
would enter every model and proportion as if it were anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bids_app.contrasts import suffixes
from bids_app.derivatives.names import LONGITUDINAL
from bids_app.group.clinical import IDENTITY
from bids_app.group.result import NotApplicableError

# In the analysis file: the method that measured the most participants.
AUTOMATIC = "auto"
# Visits that deviate more from their participant, in percent, are flagged.
MOST_DEVIATION = 2.0


@dataclass(frozen=True)
class IntracranialVolumes:
    """Intracranial volumes of a cohort.

    Attributes
    ----------
    method : str
        The method that measured them; empty if none did.
    participants : Series of float64
        Median over the visits of each participant, mL.
    visits : DataFrame
        One row per session in which it was measured: ``participant_id``, ``session_id``,
        ``session_icv_ml``, the participant's ``icv_ml``, ``icv_deviation`` of the first from the
        second (%), and ``icv_check``, ``check`` or ``ok``.
    """

    method: str
    participants: pd.Series
    visits: pd.DataFrame

    @property
    def to_check(self) -> pd.DataFrame:
        """Visits that deviate from their participant by more than `MOST_DEVIATION`."""
        return self.visits[self.visits["icv_check"] == "check"]

    @property
    def source(self) -> str:
        """Its origin, as it follows "intracranial volume" in a sentence."""
        measured = f"by {self.method}" if self.method else "by no method"
        return f"{measured}, median over the sessions of each participant"


def intracranial_volumes(rows: pd.DataFrame, method: str) -> IntracranialVolumes:
    """Determine the intracranial volume of each participant.

    That of a session is the median over its scans of the first contrast, in the order of
    ``bids_app.contrasts``, on which the method measured one; longitudinal measurements count as
    those of a further scan.

    Parameters
    ----------
    rows : DataFrame
        One row per scan, method and contrast: ``participant_id``, ``session_id``, ``method``,
        ``contrast`` and ``icv_ml``, the volume as it was measured (NaN if it was not).
    method : str
        Whose volumes are used; `AUTOMATIC` for the method that measured the most participants,
        the first of the table among equals.

    Returns
    -------
    IntracranialVolumes

    Raises
    ------
    NotApplicableError
        If the method that is named measured none.
    """
    measured = rows[rows["icv_ml"].notna()]
    measured = measured.assign(method=measured["method"].str.removesuffix(LONGITUDINAL))
    chosen = _choose(measured, method)
    order = {contrast: place for place, contrast in enumerate(suffixes())}
    used = measured[measured["method"] == chosen]
    used = used.assign(place=used["contrast"].map(order).fillna(len(order)))
    by_session = used.groupby(list(IDENTITY), dropna=False, sort=False)
    first = used[used["place"] == by_session["place"].transform("min")]
    # Ensembles rank equally: without a single contrast, the session has their median.
    visits = first.groupby(list(IDENTITY), dropna=False, sort=False)["icv_ml"].median()
    table = visits.rename("session_icv_ml").reset_index()
    participants = table.groupby("participant_id")["session_icv_ml"].median().rename("icv_ml")
    table["icv_ml"] = table["participant_id"].map(participants)
    table["icv_deviation"] = 100 * (table["session_icv_ml"] - table["icv_ml"]) / table["icv_ml"]
    deviates = table["icv_deviation"].abs() > MOST_DEVIATION
    table["icv_check"] = deviates.map({True: "check", False: "ok"})
    return IntracranialVolumes(chosen, participants, table)


def _choose(measured: pd.DataFrame, method: str) -> str:
    """Return the method of the plan, or the one that measured the most participants."""
    counts = measured.groupby("method", sort=False)["participant_id"].nunique()
    if method != AUTOMATIC:
        if method not in counts:
            present = ", ".join(map(str, counts.index)) or "none"
            raise NotApplicableError(
                f"'{method}', named as the source of the intracranial volume (icv), measured "
                f"none; methods that did: {present}"
            )
        return method
    return "" if counts.empty else str(counts.idxmax())
