"""Repeat scans of a session: which one counts, and which are repeats at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bids_app.dataset.choice import Candidate, Choice, choose
from bids_app.dataset.names import parse_name
from bids_app.derivatives.names import image_of_scan
from bids_app.group.cohort import SESSION

# Scans that differ in other entities show the head in another way, by another protocol, or another
# part of it.
_MAY_DIFFER = ("sub", "ses", "run")
# Why a scan counts where the rule does not separate it from another.
UNDECIDED = "is the first by name"


def rank_scans(scans: pd.DataFrame, output_dir: Path) -> list[Choice[str]]:
    """Rank the scans of each session by the rule of `bids_app.dataset.choice`.

    Parameters
    ----------
    scans : DataFrame
        One row per scan and segmentation, with ``qc``.
    output_dir : Path
        Results, with the images of the scans.

    Returns
    -------
    list of Choice
        One per session; the first scan counts.
    """
    flagged = (scans["qc"] == "check").groupby(scans["scan"]).sum()
    agents = agents_of(scans)
    candidates = {
        name: Candidate(
            item=name,
            path=output_dir / image_of_scan(name),
            flagged=int(count),
            contrast_agent=name in agents,
        )
        for name, count in zip(flagged.index.astype("str"), flagged, strict=True)
    }
    sessions = scans[["participant_id", "session_id", "scan"]].drop_duplicates()
    return [
        choose((candidates[name] for name in names), "repeat scans")
        for _, names in sessions.groupby(SESSION, dropna=False)["scan"]
    ]


def repeats_table(choices: Iterable[Choice[str]], scans: pd.DataFrame) -> pd.DataFrame:
    """List the sessions with several scans: which one counts, why, and which do not.

    Parameters
    ----------
    choices : iterable of Choice
        From `rank_scans`.
    scans : DataFrame
        The scans that were ranked.

    Returns
    -------
    DataFrame
        ``participant_id``, ``session_id``, ``scan``, ``choice`` and ``other_scans``.
    """
    several = [choice for choice in choices if len(choice.ranked) > 1]
    table = pd.DataFrame(
        {
            "scan": [choice.chosen for choice in several],
            "choice": [choice.decisive or UNDECIDED for choice in several],
            "other_scans": [", ".join(choice.ranked[1:]) for choice in several],
        },
        dtype="str",
    )
    sessions = scans[["scan", *SESSION]].drop_duplicates("scan")
    return table.merge(sessions, on="scan")[[*SESSION, "scan", "choice", "other_scans"]]


def agents_of(scans: pd.DataFrame) -> dict[str, str]:
    """Look up the contrast agents of scans, without those of images aligned to them.

    Parameters
    ----------
    scans : DataFrame
        One row per scan and segmentation, with ``contrast`` and ``contrast_agent``.
    """
    rows = scans.loc[scans["contrast_agent"].notna(), ["scan", "contrast", "contrast_agent"]]
    return {
        str(row.scan): str(row.contrast_agent)
        for row in rows.drop_duplicates().itertuples()
        if parse_name(str(row.scan)).suffix == row.contrast
    }


def kind_of_scan(scan: str, agents: Mapping[str, str]) -> str:
    """Write in what a scan differs from those that are no repeats of it.

    Parameters
    ----------
    scan : str
    agents : mapping of str to str
        From `agents_of`.

    Examples
    --------
    >>> kind_of_scan("sub-01_run-1_T1w", {}) == kind_of_scan("sub-01_run-2_T1w", {})
    True
    >>> kind_of_scan("sub-01_acq-mprage_ce-gad_run-1_T1w", {})
    'acq-mprage_ce-gad'
    """
    entities = parse_name(scan).entities
    if scan in agents:
        entities = {"ce": agents[scan]} | entities
    return "_".join(f"{key}-{entities[key]}" for key in entities if key not in _MAY_DIFFER)
