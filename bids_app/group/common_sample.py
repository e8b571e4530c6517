"""Participants on whom methods are compared: those of each method, or those common to all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from bids_app.group.result import NotApplicableError

Sample = Literal["available", "common"]

TEXTS: dict[Sample, str] = {
    "available": "all participants available for each method",
    "common": "participants with a result by every method of the table",
}
# Columns that divide the rows of a table into sets of methods.
_SETS = ["model", "outcome", "measure", "side", "diagnosis", "by", "volumes"]
_METHODS = ("method", "segmentation")


def compared_rows(
    rows: pd.DataFrame,
    measure: str,
    sample: Sample,
    keys: Sequence[str] = ("participant_id",),
) -> pd.DataFrame:
    """Select the rows on which methods are compared.

    Parameters
    ----------
    rows : DataFrame
        One row per ``segmentation`` and participant (or whatever `keys` identify).
    measure : str
        Column in which the methods are compared.
    sample : {'available', 'common'}
    keys : sequence of str

    Returns
    -------
    DataFrame
        All rows; with ``common`` those of the participants who have the measure by every
        segmentation that has it at all.

    Raises
    ------
    NotApplicableError
        If no participant is common to all.
    """
    if sample == "available":
        return rows
    measured = rows[rows[measure].notna()]
    counts = measured.groupby(list(keys), dropna=False)["segmentation"].transform("nunique")
    common = measured[counts == measured["segmentation"].nunique()]
    if common.empty:
        raise NotApplicableError(f"no participant has {measure} by every method")
    return common


def compared_cases(
    cases: pd.DataFrame, segmentations: Sequence[str], sample: Sample
) -> pd.DataFrame:
    """Select the cases on which methods are compared.

    Parameters
    ----------
    cases : DataFrame
        One row per participant, and a column per segmentation.
    segmentations : sequence of str
        Those that are compared; without any value they do not count.
    sample : {'available', 'common'}

    Returns
    -------
    DataFrame
        All cases; with ``common`` those with a value by every segmentation.

    Raises
    ------
    NotApplicableError
        If no case is common to all.
    """
    if sample == "available":
        return cases
    measured = [name for name in segmentations if name in cases and cases[name].notna().any()]
    common = cases.dropna(subset=measured)
    if common.empty:
        raise NotApplicableError(f"no participant has a value by all of {measured}")
    return common


def sample_note(table: pd.DataFrame, sample: Sample) -> str:
    """Describe the sample of a table of methods, as far as a reader has to know it.

    Parameters
    ----------
    table : DataFrame
    sample : {'available', 'common'}

    Returns
    -------
    str
        A sentence; empty for other tables, and where every method has the same number of
        participants anyway.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["first T1w", "thalnet T1w"], "n": [60, 31]})
    >>> sample_note(table, "available")
    'n differs between methods (31 to 60); sample = "common" in the analysis file compares \
them on the same participants.'
    """
    method = next((name for name in _METHODS if name in table), None)
    if method is None or "n" not in table:
        return ""
    if sample == "common":
        return f"Sample: {TEXTS[sample]}."
    fitted = table[table["n"] > 0]
    sets = [name for name in _SETS if name in table and name != method]
    groups = fitted.groupby(sets, dropna=False)["n"] if sets else [("", fitted["n"])]
    spans = [(n.min(), n.max()) for _, n in groups if n.nunique() > 1]
    if not spans:
        return ""
    low, high = max(spans, key=lambda span: span[1] - span[0])
    return (
        f'n differs between methods ({low:.0f} to {high:.0f}); sample = "common" in the analysis '
        "file compares them on the same participants."
    )
