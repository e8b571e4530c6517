"""Results of FSL's SIENA: percentage brain volume change between two sessions."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from bids_app.errors import BadDataError

_FINAL = re.compile(r"^finalPBVC\s+(\S+)", re.MULTILINE)
_LABELS = re.compile(r"(?:sub|ses)-[0-9a-zA-Z]+")


def read_siena(folder: Path) -> pd.DataFrame:
    """Read the final estimate of every ``report.siena`` below a folder.

    Parameters
    ----------
    folder : Path
        The path of each report names its participant and, last, the later session:
        ``sub-01/ses-01_to_ses-02/report.siena``, say.

    Returns
    -------
    DataFrame
        One row per report: ``participant_id``, ``session_id`` of the later session (missing if
        the path names none), ``pbvc`` (%).

    Raises
    ------
    BadDataError
        If a report has no final estimate, or two belong to one session.

    References
    ----------
    Smith et al. 2002, NeuroImage 17:479-489.
    """
    rows = []
    for path in sorted(folder.rglob("report.siena")):
        labels = _LABELS.findall(path.relative_to(folder).as_posix())
        subjects = [label for label in labels if label.startswith("sub-")]
        sessions = [label for label in labels if label.startswith("ses-")]
        found = _FINAL.search(path.read_text(encoding="utf-8", errors="replace"))
        try:
            value = float(found[1]) if found else None
        except ValueError:
            value = None
        if value is None or not subjects:
            raise BadDataError(
                f"{path} gives no brain volume change of a participant. Expected a line "
                "'finalPBVC <number> %' and sub-<label> in its path."
            )
        session = sessions[-1] if sessions else None
        rows.append({"participant_id": subjects[0], "session_id": session, "pbvc": value})
    table = pd.DataFrame(rows, columns=["participant_id", "session_id", "pbvc"])
    repeated = table.duplicated(["participant_id", "session_id"])
    if repeated.any():
        twice = " ".join(table.loc[repeated, ["participant_id", "session_id"]].iloc[0].dropna())
        raise BadDataError(f"{folder} holds two SIENA reports of {twice}. Keep one of them.")
    return table
