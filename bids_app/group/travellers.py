"""Scans of participants between which nothing changed but the scanner."""

from __future__ import annotations

import pandas as pd

from bids_app.group.repeats import agents_of, kind_of_scan
from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study
from bids_app.statistics.scanners import scanner_variability


def repeated_scans(study: Study) -> pd.DataFrame:
    """Select the scans of each participant within the time in which nothing changes.

    Scans that differ in protocol or contrast agent are those of another ``subject``, since they
    are no repeats of each other.

    Parameters
    ----------
    study : Study

    Returns
    -------
    DataFrame
        One row per scan and segmentation: ``scan``, ``method`` (the segmentation), ``subject``,
        ``scanner`` and ``volume`` (mL).

    Raises
    ------
    NotApplicableError
        If no scan has a scanner, or none is a repeat of another.
    """
    scans, limit = study.scans, study.plan.scanners.within_years
    if "scanner" not in scans or scans["scanner"].isna().all():
        raise NotApplicableError("neither a clinical table nor a JSON file names a scanner")
    agents = agents_of(scans)
    kinds = scans["scan"].map(lambda scan: kind_of_scan(scan, agents))
    # The first session is at 0, also where times are unknown.
    years = scans["interval"].where(scans["visit"] > 0, 0.0).fillna(float("inf"))
    table = pd.DataFrame(
        {
            "scan": scans["scan"],
            "method": scans["segmentation"],
            "subject": scans["participant_id"].str.cat(kinds, " "),
            "scanner": scans["scanner"],
            "volume": study.harmonisation.added_to(scans)[study.plan.harmonisation.column],
        }
    )[years <= limit].dropna()
    again = table.groupby(["method", "subject"])["scan"].transform("size") > 1
    if not again.any():
        raise NotApplicableError(
            f"no participant was scanned twice within {limit:g} years (scanners.within_years)"
        )
    return table[again].reset_index(drop=True)


def inter_scanner_sd(study: Study) -> dict[str, float]:
    """Estimate the inter-scanner standard deviation of each segmentation, where it is possible.

    Returns
    -------
    dict of str to float
        By segmentation, mL; without those that no participant has on several scanners.
    """
    try:
        scans = repeated_scans(study)
    except NotApplicableError:
        return {}
    deviations: dict[str, float] = {}
    for method, rows in scans.groupby("method", sort=False):
        try:
            deviations[str(method)] = scanner_variability(rows, "inter-scanner").sd.estimate
        except ValueError:
            continue
    return deviations
