"""Self-contained HTML page on which all scans are rated by eye."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
import numpy.typing as npt

from bids_app.report.template import template

# A median absolute deviation of fewer scans is too uncertain.
FEWEST_SCANS = 5
# Standard deviation of a normal distribution over its median absolute deviation.
_TO_SD = 1.4826


@dataclass(frozen=True, kw_only=True)
class Row:
    """A scan on the board.

    Attributes
    ----------
    participant_id, session_id, scan : str
        As in the tables of volumes; ``n/a`` without a session.
    method : str
        Segmentation that is shown: method and contrast.
    page : str
        Page of the session, relative to the board; empty without one.
    thumbnail : bytes
        WebP; empty without one.
    left_ml, right_ml, total_ml, confidence : float
        Volumes in mL, and expected Dice; NaN if unknown.
    is_edited : bool
        Whether the mask was corrected by hand.
    flags : tuple of str
        What to review.
    distance : float
        See `distances`; NaN if unknown.
    """

    participant_id: str
    session_id: str
    scan: str
    method: str
    page: str
    thumbnail: bytes
    left_ml: float
    right_ml: float
    total_ml: float
    confidence: float
    is_edited: bool = False
    flags: tuple[str, ...] = ()
    distance: float = float("nan")

    @property
    def uri(self) -> str:
        """Data URI of the thumbnail; empty without one."""
        text = base64.b64encode(self.thumbnail).decode("ascii")
        return f"data:image/webp;base64,{text}" if text else ""


@dataclass(frozen=True)
class Board:
    """Everything the page shows.

    Attributes
    ----------
    dataset : str
    rows : tuple of Row
    unmeasured : tuple of tuple
        Sessions without results, and why.
    """

    dataset: str
    rows: tuple[Row, ...]
    unmeasured: tuple[tuple[str, str], ...] = ()


def distances(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the distances from the median in units of the scaled median absolute deviation.

    Iglewicz & Hoaglin, How to detect and handle outliers (1993); NaN for fewer than `FEWEST_SCANS`
    values, and where all are equal.

    Examples
    --------
    >>> distances(np.array([1.0, 2.0, 3.0, 4.0, 15.0])).round(2).tolist()
    [1.35, 0.67, 0.0, 0.67, 8.09]
    """
    if np.isfinite(values).sum() < FEWEST_SCANS:
        return np.full(values.shape, np.nan)
    far = np.abs(values - np.nanmedian(values))
    spread = np.nanmedian(far) * _TO_SD
    return far / spread if spread > 0 else np.full(values.shape, np.nan)


def outliers_first(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Add the distance of each scan, and sort: flagged ones first, then by distance.

    It is the larger of those of the total volume and of the asymmetry, (left - right) over their
    sum, among the scans with the same segmentation.
    """
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    measured = [row for same in by_method.values() for row in _with_distances(same)]
    far = {row.scan: row.distance if isfinite(row.distance) else -1.0 for row in measured}
    return tuple(sorted(measured, key=lambda row: (not row.flags, -far[row.scan], row.scan)))


def _with_distances(rows: Sequence[Row]) -> list[Row]:
    total = np.array([row.total_ml for row in rows])
    difference = np.array([row.left_ml - row.right_ml for row in rows])
    asymmetry = np.divide(difference, total, out=np.full(total.shape, np.nan), where=total > 0)
    far = np.fmax(distances(total), distances(asymmetry))
    return [replace(row, distance=float(each)) for row, each in zip(rows, far, strict=True)]


def qc_board(board: Board) -> str:
    """Render the board; it needs no network and no other file.

    Parameters
    ----------
    board : Board

    Returns
    -------
    str
        HTML in which all values are escaped.
    """
    return template("qc.html.jinja").render(
        title=board.dataset, board=board, rows=outliers_first(board.rows)
    )
