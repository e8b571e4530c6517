"""Segmentations that someone should look at before their volumes are used."""

from __future__ import annotations

from bids_app.group.cohort import SCAN
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study

_COLUMNS = [*SCAN, "segmentation", "qc_reason", "confidence", "total_ml"]
_COLUMNS += ["total_low_ml", "total_high_ml"]


def analyse(study: Study) -> Result:
    """List what the quality check flagged, the scans with the most flags first."""
    checked = study.cohort.table[study.cohort.table["qc"].notna()]
    if checked.empty:
        raise NotApplicableError("the volumes tables hold no quality check (column qc)")
    flagged = checked[checked["qc"] == "check"]
    # Reasons are separated by semicolons; scans with many come first, then those of low confidence.
    reasons = flagged["qc_reason"].str.count(";") + 1
    keys = [flagged[key].fillna("") for key in SCAN]
    order = flagged.assign(
        reasons=reasons.groupby(keys).transform("sum"),
        least=flagged["confidence"].groupby(keys).transform("min"),
    ).sort_values(["reasons", "least", *SCAN], ascending=[False, *[True] * 4], kind="stable")
    scans, all_scans = (len(rows.drop_duplicates(SCAN)) for rows in (flagged, checked))
    used = "are left out" if study.plan.flagged == "leave out" else "stay in all analyses"
    return Result(
        tables={
            "qc": ResultTable(
                "Look at these first",
                f"{scans} of {all_scans} scans have a mask that should be looked at before its "
                f"volume is used; they {used}. Confidence: the Dice coefficient that the method "
                "expects of itself.",
                order[_COLUMNS],
            )
        },
        findings=f"The quality check flagged {scans} of {all_scans} scans, which {used}.",
    )
