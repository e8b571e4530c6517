"""Sets of volumes that distinguish disabled patients: single thalami, regions, the whole brain."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bids_app.group.result import NotApplicableError
from bids_app.group.study import Study

_ONE_CLASS = (
    "thalnet's network has one class for white matter, cortex, brainstem and cerebellum, so that "
    "the region has no volume of its own"
)


@dataclass(frozen=True)
class InputSet:
    """A set of volumes that enter a model.

    Attributes
    ----------
    name : str
    columns : tuple of str
        Columns of `region_volumes`; empty if the region is not measured.
    reason : str
        Why it is not.
    """

    name: str
    columns: tuple[str, ...]
    reason: str = ""


REGIONS = (
    InputSet("global", ("deep_grey_ml", "ventricles_ml", "other_brain_ml")),
    InputSet("white matter", (), _ONE_CLASS),
    InputSet("grey matter", (), _ONE_CLASS),
    InputSet("subcortical grey matter", ("deep_grey_ml",)),
    InputSet("ventricles", ("ventricles_ml",)),
    InputSet("brainstem", (), _ONE_CLASS),
    InputSet("white matter, cortex, brainstem and cerebellum", ("other_brain_ml",)),
)
"""The global and the five regional inputs of Coll et al. 2024, and the class of three."""


def region_volumes(study: Study) -> tuple[pd.DataFrame, str]:
    """Collect the volumes of regions at the first session of each participant.

    Parameters
    ----------
    study : Study

    Returns
    -------
    volumes : DataFrame
        One row per participant: ``participant_id``, ``deep_grey_ml``, ``ventricles_ml`` and
        ``other_brain_ml``, the brain without them.
    source : str
        The segmentation that measured the most participants, whose volumes they are.

    Raises
    ------
    NotApplicableError
        If there are none.
    """
    measured = ["brain_ml", "deep_grey_ml", "ventricles_ml"]
    rows = study.measured[study.measured["visit"] == 0].dropna(subset=measured)
    if rows.empty:
        raise NotApplicableError(
            "the results have no volumes of regions (deep_grey_ml, ventricles_ml); thalnet and the "
            "average anatomy measure them, earlier versions of thalbids did not"
        )
    source = str(rows.groupby("segmentation", sort=False).size().idxmax())
    used = rows.loc[rows["segmentation"] == source, ["participant_id", *measured]]
    others = used["brain_ml"] - used["deep_grey_ml"] - used["ventricles_ml"]
    return used.drop(columns="brain_ml").assign(other_brain_ml=others), source
