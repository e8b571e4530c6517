"""Repeat scans of a session: which one counts, and which are repeats at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_app.dataset.choice import Candidate, choose
from bids_app.dataset.names import parse_name
from bids_app.derivatives.names import image_of_scan
from bids_app.group.cohort import SESSION

# Scans that differ in other entities show the head in another way, or another part of it.
_MAY_DIFFER = ("sub", "ses", "acq", "run")


def places(scans: pd.DataFrame, output_dir: Path) -> pd.Series:
    """Rank the scans of each session by the rule of `bids_app.dataset.choice`.

    Parameters
    ----------
    scans : DataFrame
        One row per scan and segmentation, with ``qc``.
    output_dir : Path
        Results, with the images of the scans.

    Returns
    -------
    Series of int
        For each row the place of its scan in its session; that in place 0 counts.
    """
    flagged = (scans["qc"] == "check").groupby(scans["scan"]).sum()
    places: dict[str, int] = {}
    sessions = scans[["participant_id", "session_id", "scan"]].drop_duplicates()
    for _, names in sessions.groupby(SESSION, dropna=False)["scan"]:
        candidates = [
            Candidate(item=name, path=output_dir / image_of_scan(name), flagged=int(flagged[name]))
            for name in map(str, names)
        ]
        ranked = choose(candidates, "repeat scans").ranked
        places |= {name: place for place, name in enumerate(ranked)}
    return scans["scan"].map(places)


def kind_of_scan(scan: str) -> str:
    """Write in what a scan differs from those that are no repeats of it.

    Examples
    --------
    >>> kind_of_scan("sub-01_run-1_T1w") == kind_of_scan("sub-01_run-2_T1w")
    True
    >>> kind_of_scan("sub-01_ce-gad_run-1_T1w")
    'ce-gad'
    """
    entities = parse_name(scan).entities
    return "_".join(f"{key}-{entities[key]}" for key in entities if key not in _MAY_DIFFER)
