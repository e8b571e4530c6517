"""Tables for readers: headings with units, rounded numbers, intervals in the same cell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd

MISSING = "n/a"

# Estimates of models, whose interval is in the columns ci_low and ci_high.
_ESTIMATES = ("beta", "mean", "difference")
# Columns whose values are names of columns.
_OF_NAMES = ("measure", "variable", "outcome")

_UNITS = {"ml": "mL", "mm": "mm", "percent": "%", "years": "years", "s": "s"}
_P_VALUE = re.compile(r"(^|_)p(_|$)")
_TWO_DIGITS = re.compile(r"(_ml|_mm|_percent|\((mL|mm|%)\))$")
# Units that give two decimals to columns of any name.
_TWO_DIGIT_UNITS = re.compile(r"\((years|%|%/year)\)$")
# Volumes of more than a litre.
_WHOLE = re.compile(r"^(icv|brain)(_ml| \(mL\))$", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnTexts:
    """Texts of the columns of tables, by the columns' names.

    Attributes
    ----------
    headings : mapping of str to str
        Label with its unit, such as ``Both thalami (mL)``.
    descriptions : mapping of str to str
    confidence : float
        Level of the confidence intervals.
    """

    headings: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 0.95

    def heading(self, name: str) -> str:
        """Return the heading of a column; without one, its name with the unit that it ends in.

        Examples
        --------
        >>> ColumnTexts(headings={"p_adj": "Adjusted p"}).heading("p_adj")
        'Adjusted p'
        >>> ColumnTexts().heading("lesion_volume_ml")
        'lesion volume (mL)'
        """
        if name in self.headings:
            return self.headings[name]
        stem, _, unit = name.rpartition("_")
        text = f"{stem} ({_UNITS[unit]})" if stem and unit in _UNITS else name
        return text.replace("_", " ")

    @property
    def interval(self) -> str:
        """Name of the confidence intervals, such as ``95 % CI``."""
        return f"{100 * self.confidence:g} % CI"


@dataclass(frozen=True)
class Heading:
    """Heading of a column, the description of the column, and whether it holds numbers."""

    text: str
    hint: str
    numeric: bool


@dataclass(frozen=True)
class Cell:
    """Cell of a table.

    Attributes
    ----------
    text : str
        Formatted value.
    sort : str or None
        Number to sort by, empty if missing; None for text.
    is_label : bool
        Whether the text must not be broken over lines.
    """

    text: str
    sort: str | None
    is_label: bool = False


@dataclass(frozen=True)
class Row:
    """Cells, their subject and the address of the page of its session; both may be empty."""

    cells: tuple[Cell, ...]
    subject: str = ""
    href: str = ""


@dataclass(frozen=True)
class Table:
    """Table ready for a template."""

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]


def format_table(
    frame: pd.DataFrame,
    columns: ColumnTexts | None = None,
    subjects: Sequence[str] | None = None,
    hrefs: Sequence[str] | None = None,
) -> Table:
    """Format a table for display.

    Parameters
    ----------
    frame : DataFrame
        Columns named as in the TSV files. A column ``x`` and its interval, ``x_ci_low`` to
        ``x_ci_high``, or ``ci_low`` to ``ci_high`` in tables of models, become one column
        "x [95 % CI]". Only columns that have values are shown.
    columns : ColumnTexts, optional
        Headings and descriptions; by default headings are derived from the names.
    subjects, hrefs : sequence of length n_rows, optional
        Subject of each row and address of its page.

    Returns
    -------
    Table
        Integers and volumes of the head have no decimals, other volumes, distances, percentages
        and years two, p-values three ("< 0.001" below), other numbers as many as their column
        needs, up to three; flags are "yes" or "no", missing values "n/a".
    """
    names = [str(name) for name in frame.columns]
    frame = columns_with_values(frame.set_axis(names, axis="columns"))
    names = list(frame.columns)
    ends = {end for name in names for end in _interval_ends(name, frame)}
    shown = [name for name in names if name not in ends]
    texts = columns or ColumnTexts()
    headings = tuple(_heading(name, frame, texts) for name in shown)
    cells = [_cells(name, frame, texts) for name in shown]
    count = len(frame)
    rows = zip(
        zip(*cells, strict=True) if cells else [()] * count,
        subjects or [""] * count,
        hrefs or [""] * count,
        strict=True,
    )
    return Table(headings, tuple(Row(*row) for row in rows))


def columns_with_values(frame: pd.DataFrame) -> pd.DataFrame:
    """Select the columns in which a value is known; all of them if there is no value at all.

    Examples
    --------
    >>> frame = pd.DataFrame({"total_ml": [12.1, 11.9], "contrast_agent": [None, None]})
    >>> list(columns_with_values(frame))
    ['total_ml']
    """
    present = frame.replace("", None).notna().any()
    return frame.loc[:, present] if present.any() else frame


def _heading(name: str, frame: pd.DataFrame, texts: ColumnTexts) -> Heading:
    interval = f" [{texts.interval}]" if _interval_ends(name, frame) else ""
    described = name in texts.descriptions
    hint = f"{name}: {texts.descriptions[name]}" if described else name
    return Heading(texts.heading(name) + interval, hint, _is_numeric(frame[name]))


def _cells(name: str, frame: pd.DataFrame, texts: ColumnTexts) -> list[Cell]:
    if not _is_numeric(frame[name]):
        words = [MISSING if pd.isna(value) else _text(value) for value in frame[name]]
        if name in _OF_NAMES:
            return [Cell(texts.heading(word), None, is_label=True) for word in words]
        # A word with hyphens, such as sub-01_T1w.
        return [Cell(word, None, is_label="-" in word and " " not in word) for word in words]
    values = _numbers(frame[name])
    ends = [_numbers(frame[end]) for end in _interval_ends(name, frame)]
    whole = pd.api.types.is_integer_dtype(frame[name]) or _WHOLE.search(name)
    if whole:
        show = _present("{:.0f}".format)
    else:
        show = _formatter(name, texts.heading(name), [*values, *chain(*ends)])
    shown = [show(value) for value in values]
    if ends:
        shown = [
            text if np.isnan([low, high]).any() else f"{text} [{show(low)}, {show(high)}]"
            for text, low, high in zip(shown, *ends, strict=True)
        ]
        # Sorting uses the values before rounding.
    keys = ["" if np.isnan(value) else repr(value) for value in values]
    return [Cell(text, key) for text, key in zip(shown, keys, strict=True)]


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return str(value)


def _numbers(values: pd.Series) -> list[float]:
    return [float(value) for value in values.to_numpy(dtype=np.float64, na_value=np.nan)]


def _interval_ends(name: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the two columns with the interval of an estimate; none if it has no interval."""
    stems = [f"{name}_", ""] if name in _ESTIMATES else [f"{name}_"]
    pairs = [(f"{stem}ci_low", f"{stem}ci_high") for stem in stems]
    return next((pair for pair in pairs if frame.columns.isin(pair).sum() == len(pair)), ())


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _formatter(name: str, heading: str, values: list[float]) -> Callable[[float], str]:
    """Return the function that formats one of the values of a column."""
    if _P_VALUE.search(name):
        return _present(lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}")
    if _TWO_DIGITS.search(name) or _TWO_DIGIT_UNITS.search(heading):
        return _present("{:.2f}".format)
    present = [value for value in values if np.isfinite(value)]
    # Counts, which are floats where one is missing, and scores in half steps need no more zeros.
    digits = next((n for n in range(3) if all(round(value, n) == value for value in present)), 3)
    largest = max(map(abs, present), default=0.0)

    def write(value: float) -> str:
        # Three decimals are enough where other values of the column have two that count.
        small = 0 < abs(value) < 1e-3 and largest < 1e-2
        return f"{value:.2e}" if small or abs(value) >= 1e5 else f"{value:.{digits}f}"

    return _present(write)


def _present(write: Callable[[float], str]) -> Callable[[float], str]:
    return lambda value: MISSING if np.isnan(value) else write(value)
