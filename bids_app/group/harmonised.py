"""Volumes harmonised between scanners or sites, as the analysis file requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.group.harmonisation_plan import HARMONISED, MEASURED, HarmonisationPlan
from bids_app.statistics.design import ModelError
from bids_app.statistics.harmonisation import (
    Harmonisation,
    HarmonisationError,
    Preserved,
    fit_combat,
    fit_longitudinal_combat,
    require_separable,
)
from bids_app.statistics.samples import FloatArray, varies

# How the effects of batches are estimated by the methods that change volumes.
_FITS: Mapping[str, Callable[[pd.DataFrame, str, Preserved], Harmonisation]] = {
    "combat": fit_combat,
    "longitudinal combat": fit_longitudinal_combat,
}


def preserved(plan: HarmonisationPlan, rows: pd.DataFrame) -> Preserved:
    """Choose the covariates that the dataset has and that vary, and the time if it counts."""
    numeric = [*plan.numeric, *(["interval"] if plan.method == "longitudinal combat" else [])]
    candidates = (*numeric, *plan.categorical)
    varying = {name for name in candidates if name in rows and varies(rows[name])}
    return Preserved(
        batch=plan.batch,
        numeric=tuple(name for name in numeric if name in varying),
        categorical=tuple(name for name in plan.categorical if name in varying),
    )


def _fit(plan: HarmonisationPlan, rows: pd.DataFrame) -> Harmonisation | None:
    """Estimate the effects of batches; None for methods that do not change volumes."""
    # ComBat is for independent measurements.
    used = rows if plan.method == "longitudinal combat" else rows[rows["visit"] == 0]
    columns = preserved(plan, used)
    if plan.method in _FITS:
        return _FITS[plan.method](used, MEASURED, columns)
    require_separable(used, MEASURED, columns)
    return None


@dataclass(frozen=True)
class Harmonised:
    """Effects of batches by segmentation, and why there are none for others.

    Attributes
    ----------
    plan : HarmonisationPlan
    fits : mapping of str to Harmonisation
    reasons : mapping of str to str
    """

    plan: HarmonisationPlan
    fits: Mapping[str, Harmonisation]
    reasons: Mapping[str, str]

    def added_to(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add harmonised volumes to rows with ``segmentation`` and ``total_ml``, if requested."""
        if not self.plan.changes_volumes:
            return rows
        parts = [
            self.fits[str(name)].apply(of_segmentation, MEASURED)
            for name, of_segmentation in rows.groupby("segmentation", sort=False)
            if name in self.fits
        ]
        values = pd.concat(parts).reindex(rows.index) if parts else float("nan")
        return rows.assign(**{HARMONISED: values})


def harmonise(volumes: pd.DataFrame, plan: HarmonisationPlan) -> Harmonised:
    """Estimate the effects of batches on the volumes of each segmentation.

    Parameters
    ----------
    volumes : DataFrame
        One row per session and segmentation, with ``total_ml`` and clinical columns.
    plan : HarmonisationPlan

    Returns
    -------
    Harmonised
    """
    fits: dict[str, Harmonisation] = {}
    reasons: dict[str, str] = {}
    if plan.method == "none":
        return Harmonised(plan, fits, reasons)
    for name, rows in volumes.groupby("segmentation", sort=False):
        try:
            fit = _fit(plan, rows)
        except HarmonisationError as error:
            reasons[str(name)] = str(error)
            continue
        if fit:
            fits[str(name)] = fit
    return Harmonised(plan, fits, reasons)


def within_training(
    plan: HarmonisationPlan, rows: pd.DataFrame, value: str, training: npt.NDArray[np.intp]
) -> FloatArray:
    """Harmonise first sessions with effects that are estimated in the training set alone.

    Parameters
    ----------
    plan : HarmonisationPlan
    rows : DataFrame
        One row per participant.
    value : str
        Column of the volume, mL.
    training : int array
        Positions of the rows of the training set.

    Returns
    -------
    float64 array, shape (n,)
        Volumes of all rows.

    Raises
    ------
    ModelError
        If the training set does not determine the effects, or lacks a batch of other rows.
    """
    cases = rows.iloc[training]
    try:
        fit = fit_combat(cases, value, preserved(plan, cases))
    except HarmonisationError as error:
        raise ModelError(f"volumes of a training set cannot be harmonised: {error}") from error
    batches = rows[plan.batch].map(str, na_action="ignore")
    absent = sorted(set(batches.dropna()) - set(fit.shift))
    if absent:
        raise ModelError(f"a training set has no participant with the {plan.batch} '{absent[0]}'")
    return fit.apply(rows, value).to_numpy()
