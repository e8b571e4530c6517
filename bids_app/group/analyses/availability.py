"""Participants and sessions in which each contrast is available, measured, and followed."""

from __future__ import annotations

import pandas as pd

from bids_app.contrasts import suffixes
from bids_app.group.analysis import Analysis
from bids_app.group.cohort import SESSION
from bids_app.group.result import NotApplicableError, Result, ResultTable
from bids_app.group.study import Study

ANY = "any"
_KEYS = [*SESSION, "contrast"]
_SETTINGS = {
    "Available": "an image of the contrast in the dataset, or a map made from its images",
    "Measured": "a volume of both thalami by at least one method",
    "Followed": "measured in two sessions or more of a participant, on the same contrast",
    "Shares": "of the participants with an image or a volume of any contrast",
}


def analyse(study: Study) -> Result:
    """Count participants and sessions of each contrast, and of any."""
    table = availability_table(study.cohort.images, study.cohort.table)
    if table.empty:
        raise NotApplicableError("no contrast is available or measured")
    return Result(
        tables={
            "availability": ResultTable(
                "Availability of contrasts",
                "Participants and sessions with images of each contrast, with thalamus volumes "
                "measured on it, and those in which it can be followed: measured in two sessions "
                "or more. Shares of all participants with images.",
                table,
                _SETTINGS,
            )
        },
        findings=_findings(table),
        references=("zivadinov2022",),
    )


def availability_table(images: pd.DataFrame, volumes: pd.DataFrame) -> pd.DataFrame:
    """Count the participants and sessions in which a contrast is available, measured and followed.

    Parameters
    ----------
    images : DataFrame
        ``participant_id``, ``session_id`` and ``contrast`` of the images of the dataset.
    volumes : DataFrame
        The same columns and ``total_ml``, one row per scan, method and contrast. Masks fused from
        several contrasts do not count.

    Returns
    -------
    DataFrame
        One row per contrast, in the order of ``bids_app.contrasts``, and one for any.
    """
    single = volumes["total_ml"].notna() & volumes["contrast"].isin(suffixes())
    measured = _sessions(volumes.loc[single, _KEYS])
    # A map made from the images of a session is available as much as one that the dataset has.
    available = _sessions(pd.concat([images[_KEYS], measured]))
    visits = measured.groupby(["participant_id", "contrast"])["session_id"].transform("size")
    kinds = {"available": available, "measured": measured, "followed": measured[visits > 1]}
    participants = available["participant_id"].nunique()
    present = set(available["contrast"])
    contrasts = [name for name in suffixes() if name in present]
    rows = []
    for contrast in [*contrasts, *([ANY] if contrasts else [])]:
        row: dict[str, object] = {"contrast": contrast}
        for kind, sessions in kinds.items():
            of_contrast = sessions
            if contrast != ANY:
                of_contrast = sessions[sessions["contrast"] == contrast]
            subjects = of_contrast["participant_id"].nunique()
            row[f"participants_{kind}"] = subjects
            row[f"share_{kind}"] = subjects / participants
            row[f"sessions_{kind}"] = len(of_contrast.drop_duplicates(SESSION))
        rows.append(row)
    return pd.DataFrame(rows)


def _sessions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each session and contrast once; a dataset without sessions has one unnamed one."""
    return rows.fillna({"session_id": ""}).drop_duplicates(ignore_index=True)


def _findings(table: pd.DataFrame) -> str:
    texts = [
        f"{row['contrast']} {row['participants_followed']} ({100 * row['share_followed']:.1f} %)"
        for row in table.to_dict("records")
    ]
    return f"Participants measured in two sessions or more: {', '.join(texts)}."


ANALYSIS = Analysis("availability", "Availability of contrasts", analyse)
