"""A classifier of disability as numbers that can be stored, and applied to other patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit

from bids_app.statistics.design import Model, build_design
from bids_app.statistics.ridge import fit_ridge_logistic
from bids_app.statistics.samples import numeric_column, require_columns
from bids_app.statistics.stratification import require_classes


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Logistic regression on standardised terms, with balanced class weights.

    Attributes
    ----------
    numeric : tuple of str
        Columns of numeric terms.
    levels : mapping of str to tuple of str
        Levels of categorical columns, the reference level first; each other one is a term.
    mean, scale, coefficients : tuple of float
        Mean and SD of each term in the training set, and its log odds per SD.
    intercept : float
    n : int
        Patients of the training set.
    share : float
        Share of disabled patients among them.
    """

    numeric: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    n: int
    share: float

    def probability(self, data: pd.DataFrame) -> pd.Series:
        """Predict the probability of being disabled.

        Parameters
        ----------
        data : DataFrame
            One row per patient.

        Returns
        -------
        Series of float64
            NaN for rows with a missing value, or a level that the training set did not have.

        Raises
        ------
        KeyError
            If a column is absent.
        ValueError
            If a numeric column holds text.
        """
        require_columns(data, [*self.numeric, *self.levels])
        terms = [numeric_column(data, name).to_numpy() for name in self.numeric]
        for name, levels in self.levels.items():
            texts = data[name].map(str, na_action="ignore")
            listed = texts.isin(levels).to_numpy()
            terms += [np.where(listed, texts == level, np.nan) for level in levels[1:]]
        standardised = (np.column_stack(terms) - self.mean) / self.scale
        odds = self.intercept + standardised @ np.array(self.coefficients)
        return pd.Series(expit(odds.astype(np.float64)), data.index)


def fit_classifier(data: pd.DataFrame, model: Model, threshold: float) -> Classifier:
    """Train the classifier of `stratification.cross_validate` with all patients.

    Parameters
    ----------
    data : DataFrame
        One row per patient.
    model : Model
    threshold : float
        Lowest outcome of a patient who counts as disabled.

    Returns
    -------
    Classifier

    Raises
    ------
    ModelError
        If a class has too few patients, or for a reason of `build_design`.
    """
    plain = replace(model, standardised=(), transform="identity", covariance="classical")
    design = build_design(data, plain)
    disabled = (design.outcome >= threshold).to_numpy()
    require_classes(pd.Series(design.outcome.index), disabled)
    terms = design.terms.to_numpy()[np.newaxis]
    fit = fit_ridge_logistic(terms, disabled, np.ones((1, len(disabled)), dtype=np.bool_))
    used = data.loc[design.terms.index]
    return Classifier(
        numeric=(model.predictor, *model.numeric),
        levels={name: tuple(sorted(set(used[name].map(str)))) for name in model.categorical},
        mean=tuple(fit.mean[0].tolist()),
        scale=tuple(fit.scale[0].tolist()),
        coefficients=tuple(fit.coefficients[0].tolist()),
        intercept=float(fit.intercept[0]),
        n=len(disabled),
        share=float(disabled.mean()),
    )
