"""Tables as a reader wants them: units in the headings, few digits, intervals in one cell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

MISSING = "n/a"

_UNITS = {"ml": "mL", "mm": "mm", "percent": "%", "years": "years", "s": "s"}
_P_VALUE = re.compile(r"(^|_)p(_?(value|adj|adjusted|fdr))?$")
_TWO_DIGITS = re.compile(r"(_ml|_mm|_percent|\((mL|mm|%)\))$")


@dataclass(frozen=True)
class Heading:
    """Head of a column: the text shown, and what the column holds."""

    text: str
    hint: str
    numeric: bool


@dataclass(frozen=True)
class Cell:
    """A formatted value, and the number to sort it by (empty if missing, None for text)."""

    text: str
    sort: str | None

    @property
    def is_label(self) -> bool:
        """Whether it is one word with hyphens, such as ``sub-01_T1w``, which should not break."""
        return self.sort is None and "-" in self.text and " " not in self.text


@dataclass(frozen=True)
class Row:
    """Cells with the subject they belong to and the page that tells more; both may be empty."""

    cells: tuple[Cell, ...]
    subject: str = ""
    href: str = ""


@dataclass(frozen=True)
class Table:
    """A table ready for a template."""

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]


def format_table(
    frame: pd.DataFrame,
    hints: Mapping[str, str] | None = None,
    subjects: Sequence[str] | None = None,
    hrefs: Sequence[str] | None = None,
) -> Table:
    """Format a table for display.

    Parameters
    ----------
    frame : DataFrame
        Columns named as in the project's TSV files. A column ``x`` with ``x_ci_low`` and
        ``x_ci_high`` beside it becomes one column "x [CI]".
    hints : mapping of str to str, optional
        Description of columns by name.
    subjects, hrefs : sequence of length n_rows, optional
        Subject and link of each row.

    Returns
    -------
    Table
        Columns of integers have no decimals, volumes, distances and percentages two, p-values
        three ("< 0.001" below), other numbers as many as their column needs, up to three; missing
        values read "n/a".
    """
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(names, axis="columns")
    bounds = {f"{name}_ci_{end}" for name in names for end in ("low", "high")}
    shown = [name for name in names if name not in bounds]
    headings = tuple(_heading(name, frame, hints or {}) for name in shown)
    columns = [_cells(name, frame) for name in shown]
    count = len(frame)
    rows = zip(
        zip(*columns, strict=True) if columns else [()] * count,
        subjects or [""] * count,
        hrefs or [""] * count,
        strict=True,
    )
    return Table(headings, tuple(Row(*row) for row in rows))


def _heading(name: str, frame: pd.DataFrame, hints: Mapping[str, str]) -> Heading:
    stem, _, unit = name.rpartition("_")
    text = f"{stem} ({_UNITS[unit]})" if stem and unit in _UNITS else name
    interval = " [CI]" if _has_interval(name, frame) else ""
    hint = f"{name}: {hints[name]}" if name in hints else name
    return Heading(text.replace("_", " ") + interval, hint, _is_numeric(frame[name]))


def _cells(name: str, frame: pd.DataFrame) -> list[Cell]:
    if not _is_numeric(frame[name]):
        return [Cell(MISSING if pd.isna(value) else str(value), None) for value in frame[name]]
    values = _numbers(frame[name])
    whole = pd.api.types.is_integer_dtype(frame[name])
    show = _present("{:.0f}".format) if whole else _formatter(name, values)
    texts = [show(value) for value in values]
    if _has_interval(name, frame):
        ends = [_numbers(frame[f"{name}_ci_{end}"]) for end in ("low", "high")]
        texts = [
            text if np.isnan([low, high]).any() else f"{text} [{show(low)}, {show(high)}]"
            for text, low, high in zip(texts, *ends, strict=True)
        ]
    keys = ["" if np.isnan(value) else repr(value) for value in values]
    return [Cell(text, key) for text, key in zip(texts, keys, strict=True)]


def _numbers(values: pd.Series) -> list[float]:
    return [float(value) for value in values.to_numpy(dtype=np.float64, na_value=np.nan)]


def _has_interval(name: str, frame: pd.DataFrame) -> bool:
    return f"{name}_ci_low" in frame.columns and f"{name}_ci_high" in frame.columns


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _formatter(name: str, values: list[float]) -> Callable[[float], str]:
    """Return the function that writes one value of a column."""
    if _P_VALUE.search(name):
        return _present(lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}")
    if _TWO_DIGITS.search(name):
        return _present("{:.2f}".format)
    present = [value for value in values if np.isfinite(value)]
    # Counts (float beside a missing one) and scores in half steps need no zeros behind them.
    digits = next((n for n in range(3) if all(round(value, n) == value for value in present)), 3)
    return _present(lambda value: f"{value:.{digits}f}" if _is_plain(value) else f"{value:.2e}")


def _is_plain(value: float) -> bool:
    return value == 0 or 1e-3 <= abs(value) < 1e5


def _present(write: Callable[[float], str]) -> Callable[[float], str]:
    return lambda value: MISSING if np.isnan(value) else write(value)
