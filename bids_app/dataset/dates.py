"""Dates of tables: ISO 8601, and other spellings that leave no doubt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

_NUMBERS = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T,]+(\d{1,2}:\d{2}(?::\d{2})?).*)?")
_NAMED = re.compile(
    r"(\d{1,2})[.\s-]*([^\W\d]{3,})[.\s,-]*(\d{4})(?:[ T,]+(\d{1,2}:\d{2}(?::\d{2})?).*)?"
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan", "feb", "mar mär mrz", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt",
            "nov", "dec dez",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_LAST_MONTH = 12


@dataclass(frozen=True)
class Dates:
    """Dates by the text that gives them.

    Attributes
    ----------
    years : mapping of str to float
        Dates in years of any origin.
    read : mapping of str to datetime
        Those of them that are not ISO 8601.
    unclear : tuple of str
        Texts that are no date, or could be two.
    """

    years: Mapping[str, float]
    read: Mapping[str, datetime]
    unclear: tuple[str, ...]


def read_dates(texts: Iterable[str]) -> Dates:
    """Read the dates of one column, or of the same column of many files.

    Dates with points are read day first. Those with strokes or hyphens are read day first or
    month first only if a date of the column shows which, the other number being above 12.

    Parameters
    ----------
    texts : iterable of str

    Returns
    -------
    Dates

    Examples
    --------
    >>> sorted(read_dates(["3/4/2020", "13/4/2020"]).read.values())[0].strftime("%Y-%m-%d")
    '2020-04-03'
    >>> read_dates(["3/4/2020"]).unclear
    ('3/4/2020',)
    """
    distinct = list(dict.fromkeys(texts))
    column = pd.Series(distinct, index=distinct, dtype="str")
    iso = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True).dropna()
    years = (iso - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=365.25)
    decimal_years = {str(text): float(year) for text, year in years.items()}
    others = [text for text in distinct if text not in decimal_years]
    day_first = _day_first(others)
    read = {text: date for text in others if (date := _date(text, day_first)) is not None}
    origin = datetime(1970, 1, 1)
    decimal_years |= {
        text: (date - origin).total_seconds() / 31557600 for text, date in read.items()
    }
    return Dates(decimal_years, read, tuple(text for text in others if text not in read))


def _day_first(texts: Iterable[str]) -> bool | None:
    """Decide whether the day comes first in dates with strokes or hyphens, None if in doubt."""
    orders = set()
    for match in filter(None, map(_NUMBERS.fullmatch, texts)):
        first, second = int(match[1]), int(match[3])
        if match[2] != "." and (first > _LAST_MONTH) != (second > _LAST_MONTH):
            orders.add(first > _LAST_MONTH)
    return orders.pop() if len(orders) == 1 else None


def _date(text: str, day_first: bool | None) -> datetime | None:
    """Read a date, None if it is none or could be two."""
    if match := _NUMBERS.fullmatch(text):
        first, second = int(match[1]), int(match[3])
        if match[2] == "." or first > _LAST_MONTH or day_first or first == second:
            day, month = first, second
        elif second > _LAST_MONTH or day_first is False:
            day, month = second, first
        else:
            return None
        year, clock = match[4], match[5]
    elif match := _NAMED.fullmatch(text):
        day, month = int(match[1]), _MONTHS.get(match[2][:3].casefold(), 0)
        year, clock = match[3], match[4]
    else:
        return None
    hour, minute, second = (int(part) for part in f"{clock or 0}:0:0".split(":")[:3])
    try:
        return datetime(int(year), month, day, hour, minute, second)
    except ValueError:
        return None
