"""Segmentations to review before their volumes are used."""

from __future__ import annotations

from bids_app.group.analysis import Analysis
from bids_app.group.cohort import SCAN
from bids_app.group.ratings import agreement_of_raters
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study

_COLUMNS = [*SCAN, "segmentation", "qc_reason", "confidence", "total_ml"]
_COLUMNS += ["total_low_ml", "total_high_ml"]
_REVIEWED = (
    "Segmentations were rated by eye; scans that a rater failed were excluded from all analyses."
)
_AGREEMENT = (
    "Cohen's κ of every two raters on the scans that both rated as pass, fail or artifact. A scan "
    "is excluded if one of them failed it."
)


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
    agreement = _agreement(study)
    return Result(
        tables={
            "qc": ResultTable(
                "Segmentations to review",
                f"{scans} of {all_scans} scans have a segmentation that should be reviewed before "
                f"its volume is used; they {consequence}. Expected Dice: self-estimated by the "
                "method.",
                order[_COLUMNS],
            ),
            **agreement,
        },
        findings=f"Quality control flagged {scans} of {all_scans} scans, which {consequence}."
        + _review(study),
        methods=_REVIEWED if len(study.cohort.ratings) else "",
        references=("cohen1960",) if agreement else (),
    )


def _agreement(study: Study) -> dict[str, ResultTable]:
    """Compare raters, if there are several."""
    if study.cohort.ratings["rater"].nunique() < 2:
        return {}
    table = agreement_of_raters(study.cohort.ratings, study.plan.confidence)
    return {"qc_agreement": ResultTable("Agreement of raters", _AGREEMENT, table)}


def _review(study: Study) -> str:
    """Summarise the ratings by eye; empty without any."""
    ratings = study.cohort.ratings
    if ratings.empty:
        return ""
    raters = ratings["rater"].nunique()
    return (
        f" By eye, {raters} rater{'' if raters == 1 else 's'} rated {ratings['scan'].nunique()} "
        f"scans; {study.cohort.failed_scans} failed and were excluded."
    )


ANALYSIS = Analysis("qc", "Quality control", analyse)
