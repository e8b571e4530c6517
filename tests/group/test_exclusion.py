"""Reasons of exclusion and their labels."""

from __future__ import annotations

from bids_app.errors import Cause
from bids_app.group.exclusion import Excluded, Exclusion
from bids_app.group.stage import exclusions
from bids_app.run.outcome import Outcome


def test_labels_name_their_detail() -> None:
    assert Excluded(Cause.NO_ANCHOR, 2).label == "no anatomical image to measure"
    outside = Excluded(Exclusion.OUTSIDE_RANGE, 1, "0.5 to 2")
    assert outside.label == "no session 0.5 to 2 years after the first"
    assert Excluded(Exclusion.MISSING_VALUE, 1, "edss").label == "edss missing"


def test_a_failure_takes_precedence_over_nothing_to_measure() -> None:
    records = [
        Outcome(name="sub-01_ses-01", status="skipped", cause=Cause.NO_ANCHOR),
        Outcome(name="sub-01_ses-02", status="failed", cause=Cause.OUT_OF_MEMORY),
        Outcome(name="sub-01_ses-03", status="done"),
        Outcome(name="sub-02", status="unchanged"),
        Outcome(name="sub-03", status="failed"),
    ]
    assert exclusions(records) == {
        "sub-01": Cause.OUT_OF_MEMORY,
        "sub-02": Exclusion.RESULTS_MISSING,
        "sub-03": Exclusion.NOT_MEASURED,
    }
