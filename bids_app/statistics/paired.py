"""Differences between methods measured on the same participants, by paired bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from bids_app.statistics.bootstrap import BATCH_VALUES, draw_places, row_blocks
from bids_app.statistics.multiplicity import adjust
from bids_app.statistics.regression import LinearFit
from bids_app.statistics.samples import FloatArray

# Bootstrap samples of fewer participants often hold a handful of them only.
MINIMUM_PARTICIPANTS = 10

PAIRED_COLUMNS = [
    *("measure", "first", "second", "n", "value_first", "value_second"),
    *("difference", "ci_low", "ci_high", "p", "p_adj", "reason"),
]
# Maps the values of methods, shape (n, methods), to their measures in every bootstrap sample,
# shape (measures, methods, samples).
OfMethods = Callable[[FloatArray], FloatArray]


class Measures(Protocol):
    """Measures of methods in bootstrap samples, from what all methods share.

    Attributes
    ----------
    names : tuple of str
        Names of the measures.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measures."""

    def prepare(self, weights: FloatArray, participants: pd.Index) -> OfMethods:
        """Compute what methods share in bootstrap samples.

        Parameters
        ----------
        weights : float64 array, shape (samples, n)
            How often each participant was drawn.
        participants : Index, length n

        Returns
        -------
        callable
        """


@dataclass(frozen=True)
class Mean:
    """Arithmetic mean, for example of the Dice coefficient.

    Attributes
    ----------
    name : str
    """

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """The name."""
        return (self.name,)

    def prepare(self, weights: FloatArray, participants: pd.Index) -> OfMethods:
        """Average the values with the weights."""

        def of_methods(values: FloatArray) -> FloatArray:
            return (weights @ values / len(participants)).T[np.newaxis]

        return of_methods


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance correlation with a reference (Lin 1989), and the bias.

    Attributes
    ----------
    reference : Series of float64
        By participant.
    ddof : int
        Delta degrees of freedom of variances and covariance.
    """

    reference: pd.Series
    ddof: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Concordance, and mean of method minus reference."""
        return ("ccc", "bias")

    def prepare(self, weights: FloatArray, participants: pd.Index) -> OfMethods:
        """Compute the moments of the reference."""
        reference = self.reference.loc[participants].to_numpy(dtype=np.float64)[:, np.newaxis]
        # Differences of large sums would lose digits.
        origin = reference.mean()
        x, n = reference - origin, len(participants)
        mean_x = weights @ x / n
        var_x = weights @ x**2 / n - mean_x**2

        def of_methods(values: FloatArray) -> FloatArray:
            y = values - origin
            mean_y = weights @ y / n
            var_y = weights @ y**2 / n - mean_y**2
            cov = weights @ (x * y) / n - mean_x * mean_y
            scale = n / (n - self.ddof)
            bias = mean_y - mean_x
            with np.errstate(invalid="ignore"):
                ccc = 2 * scale * cov / (scale * (var_x + var_y) + bias**2)
            return np.stack([ccc.T, bias.T])

        return of_methods


@dataclass(frozen=True)
class Regression:
    """Coefficient of a predictor given covariates, and R² of the model, by least squares.

    The covariates are those of the models; the difference of two R² is that of what the
    predictors add to them.

    Attributes
    ----------
    fits : sequence of LinearFit
        Models of one outcome, a predictor each.
    """

    fits: Sequence[LinearFit]

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficient and explained variance."""
        return ("beta", "r2")

    def prepare(self, weights: FloatArray, participants: pd.Index) -> OfMethods:
        """Project outcome and covariates of every bootstrap sample.

        References
        ----------
        Frisch & Waugh 1933, Econometrica 1:387-401; Lovell 1963, J Am Stat Assoc 58:993-1010.
        """
        fit = next(fit for fit in self.fits if participants.isin(fit.design.terms.index).all())
        outcome = fit.design.outcome.loc[participants].to_numpy()
        y = outcome - outcome.mean()
        covariates = fit.design.terms.drop(columns=fit.model.predictor).loc[participants].to_numpy()
        spread = covariates.std(axis=0)
        scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        z = np.column_stack([np.ones(len(y)), scaled])
        terms = z.shape[1]
        products = np.einsum("ni,nj->nij", z, z).reshape(len(y), -1)
        # A sample may lack a level of a category, whose indicator is then constant.
        inverse = np.linalg.pinv((weights @ products).reshape(-1, terms, terms), hermitian=True)
        zy = weights @ (z * y[:, np.newaxis])
        projected = np.matmul(inverse, zy[:, :, np.newaxis])
        yy = weights @ y**2
        residual = yy - np.matmul(zy[:, np.newaxis], projected)[:, 0, 0]
        total = yy - zy[:, 0] ** 2 / len(y)

        def of_methods(values: FloatArray) -> FloatArray:
            x = values - values.mean(axis=0)
            crossed = (x[:, :, np.newaxis] * z[:, np.newaxis]).reshape(len(y), -1)
            zx = (weights @ crossed).reshape(len(weights), -1, terms)
            xy = weights @ (x * y[:, np.newaxis]) - np.matmul(zx, projected)[:, :, 0]
            xx = weights @ x**2 - (np.matmul(zx, inverse) * zx).sum(axis=-1)
            with np.errstate(invalid="ignore", divide="ignore"):
                left = residual[:, np.newaxis] - xy**2 / xx
                return np.stack([(xy / xx).T, (1 - left / total[:, np.newaxis]).T])

        return of_methods


def paired_table(
    values: pd.DataFrame,
    measures: Measures,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every pair of methods in the participants whom both have measured.

    Both methods of a pair are computed in the same bootstrap samples of participants, so that
    what they share cancels.

    Parameters
    ----------
    values : DataFrame
        One row per participant and one column per method; missing values are NaN.
    measures : Measures
        Computed of every method in every bootstrap sample.
    confidence : float
        Level of the percentile intervals.
    resamples, seed : int
        Number of bootstrap samples and the seed of their drawing.

    Returns
    -------
    DataFrame
        One row per measure and pair: ``measure``, ``first``, ``second``, ``n``,
        ``value_first``, ``value_second``, ``difference`` (first - second), ``ci_low``,
        ``ci_high``, ``p`` (twice the smaller share of the samples on either side of no
        difference, the observed sample among them), ``p_adj`` (Benjamini-Hochberg over all rows)
        and the ``reason`` if a pair cannot be compared.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; Davison & Hinkley
    1997, Bootstrap Methods and their Application, section 4.2 (share of the samples).
    """
    present = values.notna().to_numpy()
    # Pairs in the same participants share the bootstrap samples and what is computed of them.
    alike: dict[bytes, list[tuple[int, int]]] = {}
    for pair in combinations(range(values.shape[1]), 2):
        alike.setdefault(present[:, pair].all(axis=1).tobytes(), []).append(pair)
    parts = [pd.DataFrame(columns=PAIRED_COLUMNS)] if not alike else []
    for together in alike.values():
        pairs = np.array(together)
        both = np.flatnonzero(present[:, pairs[0]].all(axis=1))
        if len(both) < MINIMUM_PARTICIPANTS:
            few = f"{len(both)} participants, at least {MINIMUM_PARTICIPANTS} are needed"
            names = np.repeat(list(measures.names), len(pairs))
            compared = pd.DataFrame({"measure": names, "reason": few})
        else:
            methods = np.unique(pairs)
            samples = _bootstrap(values.iloc[both, methods], measures, resamples, seed)
            places = np.searchsorted(methods, pairs)
            compared = _compare(samples, places, measures.names, confidence)
        first, second = np.tile(pairs.T, len(measures.names))
        parts.append(compared.assign(first=first, second=second, n=len(both)))
    table = pd.concat(parts, ignore_index=True).reindex(columns=PAIRED_COLUMNS)
    rank = {name: place for place, name in enumerate(measures.names)}
    table = table.sort_values(
        ["measure", "first", "second"],
        key=lambda column: column.map(rank) if column.name == "measure" else column,
        ignore_index=True,
    )
    for side in ("first", "second"):
        table[side] = values.columns[table[side].to_numpy(dtype=np.intp)]
    return table.assign(p_adj=adjust(table["p"]))


def _bootstrap(values: pd.DataFrame, measures: Measures, resamples: int, seed: int) -> FloatArray:
    """Return the measures, shape (measures, methods, 1 + resamples), first those of the sample."""
    numbers = values.to_numpy(dtype=np.float64)
    batches = [
        measures.prepare(weights, values.index)(numbers)
        for weights in _weights(len(values), resamples, seed)
    ]
    return np.concatenate(batches, axis=-1)


def _weights(size: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield the sample itself, then batches of bootstrap samples, as counts of participants."""
    yield np.ones((1, size))
    rows = max(1, BATCH_VALUES // size)
    for batch, start in enumerate(range(0, resamples, rows)):
        places = draw_places(size, min(rows, resamples - start), seed, batch)
        weights = np.empty(places.shape)
        for block in row_blocks(*places.shape):
            drawn = places[block]
            offsets = np.arange(len(drawn))[:, np.newaxis] * size
            counts = np.bincount((drawn + offsets).ravel(), minlength=drawn.size)
            weights[block] = counts.reshape(drawn.shape)
        yield weights


def _compare(
    samples: FloatArray, pairs: npt.NDArray[np.intp], names: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Compare pairs of methods by their measures in the sample and in all bootstrap samples.

    Parameters
    ----------
    samples : float64 array, shape (measures, methods, 1 + resamples)
    pairs : int array, shape (pairs, 2)
        Places of the methods.
    names : sequence of str
        Names of the measures.
    confidence : float

    Returns
    -------
    DataFrame
        One row per measure and pair.
    """
    first, second = samples[:, pairs[:, 0]], samples[:, pairs[:, 1]]
    difference = (first - second).reshape(-1, samples.shape[-1])
    resampled = difference[:, 1:]
    defined = np.isfinite(resampled)
    number = defined.sum(axis=1)
    ends = np.full((2, len(difference)), np.nan)
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    whole = defined.all(axis=1)
    ends[:, whole] = np.quantile(resampled[whole], levels, axis=1)
    for row in np.flatnonzero(~whole & (number > 0)):
        ends[:, row] = np.quantile(resampled[row, defined[row]], levels)
    usable = np.isfinite(difference[:, 0]) & (number > 0)
    smaller = np.minimum((resampled <= 0).sum(axis=1), (resampled >= 0).sum(axis=1))
    p = np.minimum(1, 2 * (1 + smaller) / (1 + number))
    table = pd.DataFrame(
        {
            "measure": np.repeat(list(names), len(pairs)),
            "value_first": first[..., 0].ravel(),
            "value_second": second[..., 0].ravel(),
            "difference": difference[:, 0],
            "ci_low": ends[0],
            "ci_high": ends[1],
            "p": p,
        }
    )
    table.loc[~usable, ["difference", "ci_low", "ci_high", "p"]] = np.nan
    return table.assign(reason=np.where(usable, "", "the measure is undefined"))
