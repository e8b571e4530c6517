"""Segmentations to review before their volumes are used."""

from __future__ import annotations

from bids_app.group.analysis import Analysis
from bids_app.group.cohort import SCAN
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study

_COLUMNS = [*SCAN, "segmentation", "qc_reason", "confidence", "total_ml"]
_COLUMNS += ["total_low_ml", "total_high_ml"]


def analyse(study: Study) -> Result:
    """List the flagged segmentations, scans with the most flags first."""
    checked = study.cohort.table[study.cohort.table["qc"].notna()]
    if checked.empty:
        raise NotApplicableError("the volumes tables hold no quality check (column qc)")
    flagged = checked[checked["qc"] == "check"]
    # The column is a list separated by semicolons; among equals, low confidence comes first.
    reasons = flagged["qc_reason"].str.count(";") + 1
    keys = [flagged[key].fillna("") for key in SCAN]
    order = flagged.assign(
        reasons=reasons.groupby(keys).transform("sum"),
        least=flagged["confidence"].groupby(keys).transform("min"),
    ).sort_values(["reasons", "least", *SCAN], ascending=[False, *[True] * 4], kind="stable")
    scans, all_scans = (len(rows.drop_duplicates(SCAN)) for rows in (flagged, checked))
    excluded = study.plan.flagged == "exclude"
    consequence = "are excluded" if excluded else "are kept in all analyses"
    return Result(
        tables={
            "qc": ResultTable(
                "Segmentations to review",
                f"{scans} of {all_scans} scans have a segmentation that should be reviewed before "
                f"its volume is used; they {consequence}. Expected Dice: self-estimated by the "
                "method.",
                order[_COLUMNS],
            )
        },
        findings=f"Quality control flagged {scans} of {all_scans} scans, which {consequence}.",
    )


ANALYSIS = Analysis("qc", "Quality control", analyse)
