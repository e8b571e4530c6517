"""Ratings of scans by eye: tables of one or several raters, and their agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bids_app.dataset.tables import Remarks, read_table
from bids_app.errors import MissingInputError
from bids_app.wording import listed


class Rating(StrEnum):
    """Judgement of a scan by eye."""

    PASS = "pass"  # noqa: S105 - a rating
    FAIL = "fail"
    ARTIFACT = "artifact"


RATING = ["scan", "rater", "rating"]
_NEEDED = ("scan", "rating")
_MISSING = ("", "n/a")


def read_ratings(paths: Sequence[Path], scans: Collection[str], remarks: Remarks) -> pd.DataFrame:
    """Read the ratings of one or several raters.

    Parameters
    ----------
    paths : sequence of Path
        Files as ``qc.html`` exports them: ``scan`` and ``rating``; the rater is the name of the
        file where there is no column ``rater``, or it is empty.
    scans : collection of str
        Scans with volumes.
    remarks : Remarks
        Gets what could not be used.

    Returns
    -------
    DataFrame
        The columns of `RATING`, one row per scan and rater.

    Raises
    ------
    MissingInputError
        If a file does not exist.
    BadDataError
        If a file is no table.
    """
    rows: dict[tuple[str, str], str] = {}
    for path in paths:
        for scan, rater, rating in _ratings_of(path, set(scans), remarks):
            earlier = rows.setdefault((scan, rater), rating)
            if Rating.FAIL in (earlier, rating):
                rows[scan, rater] = Rating.FAIL
            if earlier != rating:
                remarks.problem(
                    path,
                    f"{path}: {rater} rates {scan} both '{earlier}' and '{rating}'; "
                    f"'{rows[scan, rater]}' is used. Remove one of the rows.",
                )
    return pd.DataFrame(
        [(scan, rater, rating) for (scan, rater), rating in rows.items()], columns=RATING
    )


def _ratings_of(
    path: Path, scans: Collection[str], remarks: Remarks
) -> Iterator[tuple[str, str, str]]:
    """Yield scan, rater and rating of the rows of a file that can be used."""
    if not path.is_file():
        raise MissingInputError(
            f"The file of ratings {path} does not exist. Expected a qc.tsv exported from qc.html."
        )
    table = read_table(path, remarks)
    absent = [name for name in _NEEDED if table and name not in table[0]]
    if absent:
        remarks.problem(
            path,
            f"{path} lacks the column '{absent[0]}' and is not used. Expected a qc.tsv exported "
            "from qc.html.",
        )
        return
    unknown: list[str] = []
    invalid: list[str] = []
    repeated = Counter((row["scan"], _rater(row, path)) for row in table)
    for row in table:
        rating = row["rating"].casefold()
        if rating in _MISSING:
            continue
        if row["scan"] not in scans:
            unknown.append(row["scan"])
        elif rating not in set(Rating):
            invalid.append(f"'{row['rating']}' of {row['scan']}")
        else:
            yield row["scan"], _rater(row, path), rating
    twice = [scan for (scan, _), number in repeated.items() if number > 1]
    if twice:
        text = f"{path}: {listed(twice)} {_have(twice)} several rows of the same rater"
        remarks.note(path, f"{text}; equal ratings count once.")
    if unknown:
        text = f"{path}: {listed(unknown)} {_have(unknown)} no volumes in this output folder; "
        remarks.problem(path, f"{text}the rows are not used. Correct the column 'scan'.")
    if invalid:
        text = f"{path}: {listed(invalid)} {'is' if len(invalid) == 1 else 'are'} not a rating and "
        remarks.problem(path, f"{text}not used. Expected {', '.join(Rating)} or n/a.")


def _have(items: Sequence[str]) -> str:
    return "has" if len(items) == 1 else "have"


def _rater(row: Mapping[str, str], path: Path) -> str:
    rater = row.get("rater", "")
    return path.stem if rater in _MISSING else rater


def failed_scans(ratings: pd.DataFrame) -> set[str]:
    """Return the scans that at least one rater failed."""
    return set(ratings.loc[ratings["rating"] == Rating.FAIL, "scan"])


def agreement_of_raters(ratings: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Compute Cohen's kappa of every two raters on the scans that both have rated.

    Parameters
    ----------
    ratings : DataFrame
        The columns of `RATING`.
    confidence : float
        Level of the intervals, which are those of Fleiss, Cohen & Everitt (1969).

    Returns
    -------
    DataFrame
        ``rater``, ``other_rater``, ``rated_scans``, ``same_rating`` (share), ``kappa``, ``ci_low``
        and ``ci_high``; NaN where kappa is undefined because both gave all scans one rating.
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    wide = ratings.pivot(index="scan", columns="rater", values="rating")
    rows = []
    for first, second in combinations(sorted(wide.columns), 2):
        both = wide[[first, second]].dropna()
        counts = pd.crosstab(both[first], both[second])
        square = counts.reindex(index=list(Rating), columns=list(Rating), fill_value=0).to_numpy()
        share = np.trace(square) / len(both) if len(both) else np.nan
        kappa = low = high = np.nan
        # By chance alone they would agree on every scan.
        if len(both) and np.outer(square.sum(1), square.sum(0)).trace() < len(both) ** 2:
            # Ratings that nobody gave would be empty rows and columns.
            given = (square.sum(0) + square.sum(1)) > 0
            with np.errstate(divide="ignore", invalid="ignore"):  # in a test of kappa = 0
                result = cohens_kappa(square[np.ix_(given, given)])
            half = float(ndtri((1 + confidence) / 2)) * result.std_kappa
            kappa = result.kappa
            low, high = max(kappa - half, -1.0), min(kappa + half, 1.0)
        rows.append((first, second, len(both), share, kappa, low, high))
    columns = ["rater", "other_rater", "rated_scans", "same_rating", "kappa", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)
