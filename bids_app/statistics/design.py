"""Statistical models as outcome, predictor and covariates, and their design matrices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import linalg

from bids_app.statistics.samples import is_constant, numeric_column, require_columns, varies

Transform = Literal["identity", "log"]
Covariance = Literal["classical", "HC3"]


class ModelError(ValueError):
    """Model that cannot be fitted, with the reason as its message."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Outcome, predictor, covariates and estimator of a regression.

    Attributes
    ----------
    outcome : str
        Column of the outcome.
    predictor : str
        Column of the variable of interest, for example a method's volume in mL.
    numeric : tuple of str
        Numeric covariates.
    categorical : tuple of str
        Categorical covariates; the reference level is the first in sorted order.
    standardised : tuple of str
        Numeric covariates that enter as z-scores over the model's complete cases.
    transform : {'identity', 'log'}
        Natural logarithm of the outcome, or none.
    covariance : {'classical', 'HC3'}
        Standard errors; both use the t distribution with the residual degrees of freedom.
    """

    outcome: str
    predictor: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    standardised: tuple[str, ...] = ()
    transform: Transform = "identity"
    covariance: Covariance = "classical"


@dataclass(frozen=True)
class Design:
    """Complete cases of a model in numbers.

    Attributes
    ----------
    outcome : Series of float64, shape (n,)
        The transformed outcome.
    terms : DataFrame of float64, shape (n, p)
        The predictor and the covariates without a constant; n exceeds p + 1 and no column
        is constant or a combination of the others.
    """

    outcome: pd.Series
    terms: pd.DataFrame


def build_design(data: pd.DataFrame, model: Model) -> Design:
    """Select the complete cases of a model and code its terms.

    Parameters
    ----------
    data : DataFrame
        One row per subject, with the model's columns.
    model : Model

    Returns
    -------
    Design

    Raises
    ------
    ModelError
        If the model uses a column twice or standardises one that is no numeric covariate; a
        column is absent, holds text instead of numbers or has no value; no case is complete;
        the logarithm is undefined; the outcome or a term is constant but for rounding; there
        are no more cases than parameters; or terms are collinear.
    """
    cases = _columns_of(data, model)
    kept = _complete(cases)
    cases = {name: values[kept] for name, values in cases.items()}
    outcome = cases.pop(model.outcome)
    if model.transform == "log":
        if (outcome <= 0).any():
            raise ModelError(f"log of '{model.outcome}': {int((outcome <= 0).sum())} values ≤ 0")
        outcome = np.log(outcome)
    terms = _code_terms(cases, model)
    n, parameters = len(outcome), len(terms) + 1
    if n <= parameters:
        raise ModelError(f"{n} complete cases do not exceed the {parameters} parameters")
    for name, values in {model.outcome: outcome, **cases}.items():
        same = len(set(values)) == 1 if name in model.categorical else is_constant(values)
        if same:
            raise ModelError(f"'{name}' is the same in all {n} complete cases")
    for name in model.standardised:
        terms[name] = (terms[name] - terms[name].mean()) / terms[name].std(ddof=1)
    index = data.index[kept]
    design = Design(pd.Series(outcome, index), pd.DataFrame(terms, index, dtype=np.float64))
    _require_full_rank(design.terms)
    return design


def without_constant(data: pd.DataFrame, model: Model, optional: Collection[str]) -> Model:
    """Exclude the optional covariates that do not vary in the complete cases of a model.

    Parameters
    ----------
    data : DataFrame
        One row per subject, with the model's columns.
    model : Model
    optional : collection of str
        Covariates that may be excluded: one at a time, the last of the model first, since cases
        that lacked it alone are complete without it.

    Returns
    -------
    Model
        The same if nothing has to be excluded, or a column is absent.
    """
    names = [model.outcome, model.predictor, *model.numeric, *model.categorical]
    candidates = [name for name in reversed(names[2:]) if name in optional]
    if not candidates or not set(names) <= set(data.columns):
        return model
    present = data[names].notna()
    complete = present.all(axis="columns")
    for name in candidates:
        # Without any complete case, a covariate is excluded for whose sake there is none.
        others = present.drop(columns=name).all(axis="columns")
        if others.any() and not varies(data.loc[complete, name]):
            fewer = replace(
                model,
                numeric=tuple(each for each in model.numeric if each != name),
                categorical=tuple(each for each in model.categorical if each != name),
                standardised=tuple(each for each in model.standardised if each != name),
            )
            return without_constant(data, fewer, optional)
    return model


def _columns_of(data: pd.DataFrame, model: Model) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a model as arrays: numbers, and categories as text."""
    numeric = (model.outcome, model.predictor, *model.numeric)
    names = [*numeric, *model.categorical]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ModelError(f"{repeated} are used more than once")
    if not set(model.standardised) <= set(model.numeric):
        raise ModelError(f"standardised {list(model.standardised)} are no numeric covariates")
    try:
        require_columns(data, names)
        # Arrays by column: cohorts have hundreds of models, and data frames are slow to construct.
        columns = {name: numeric_column(data, name).to_numpy() for name in numeric}
    except (KeyError, ValueError) as error:
        raise ModelError(str(error.args[0])) from error
    for name in model.categorical:
        columns[name] = data[name].map(str, na_action="ignore").to_numpy(dtype=object)
    return columns


def _code_terms(
    cases: Mapping[str, npt.NDArray[Any]], model: Model
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the terms of complete cases, categories as indicators of all but the first level."""
    terms = {name: cases[name] for name in (model.predictor, *model.numeric)}
    for name in model.categorical:
        # Sorted levels make the reference level independent of the order of rows.
        for level in sorted(set(cases[name]))[1:]:
            terms[f"{name}_{level}"] = (cases[name] == level).astype(np.float64)
    return terms


def _complete(cases: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Return which cases have every value."""
    missing = {name: pd.isna(values) for name, values in cases.items()}
    # A column without any value is the likelier mistake, and is reported by name.
    absent = [name for name, gaps in missing.items() if gaps.all()]
    if absent:
        raise ModelError(f"all values of {absent} are missing")
    complete = ~np.logical_or.reduce(list(missing.values()))
    if not complete.any():
        raise ModelError("no case is complete")
    return np.asarray(complete)


def _require_full_rank(terms: pd.DataFrame) -> None:
    """Raise if a term is a linear combination of the others and a constant."""
    values = terms.to_numpy()
    # Scaled, so that the tolerance holds for terms in any unit.
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    _, triangle, order = linalg.qr(scaled, mode="economic", pivoting=True)
    dependent = np.abs(np.diag(triangle)) < 1e-10 * np.sqrt(len(terms))
    if dependent.any():
        names = terms.columns[order[dependent]].tolist()
        raise ModelError(f"{names} is collinear with the other terms")
