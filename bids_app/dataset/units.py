"""Units that people write after the numbers of a table."""

from __future__ import annotations

import re

# Only units that leave no doubt: m may be months or metres, and 3T names a kind of scanner.
_SPELLINGS = {
    "years": (
        *("y", "yr", "yrs", "year", "years", "yo", "y/o", "y.o", "year old", "years old"),
        *("jahre", "ans"),
    ),
    "months": ("mo", "mos", "mth", "mths", "month", "months"),
    "weeks": ("w", "wk", "wks", "week", "weeks"),
    "days": ("d", "day", "days"),
    "kg": ("kg", "kgs", "kilogram", "kilograms"),
    "cm": ("cm", "centimetre", "centimetres", "centimeter", "centimeters"),
    "mm": ("mm", "millimetre", "millimetres", "millimeter", "millimeters"),
    "mL": ("ml", "millilitre", "millilitres", "milliliter", "milliliters"),
    "%": ("%", "percent", "per cent", "pct"),
    "points": ("pt", "pts", "point", "points"),
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": 365.25 / 7, "days": 365.25}
# The value representation AS of DICOM, and durations of ISO 8601.
_CODED = re.compile(r"(?:(?=\d{3}\w)|P)(\d+(?:[.,]\d+)?)([DWMY])", re.ASCII)
_CODES = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}
_IN_NAME = re.compile(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*")
_WITH_UNIT = re.compile(r"(?P<number>[^\w%]*\d[\d.,]*)\s*(?P<unit>[^\W\d_].{0,30}|%)")


def canonical(text: str) -> str:
    """Write a unit in the one way that is used here; one that is not listed stays as it is.

    Examples
    --------
    >>> canonical("Yrs."), canonical("months (since onset)"), canonical("mmol/L")
    ('years', 'months', 'mmol/l')
    """
    key = " ".join(text.casefold().strip(" .").split())
    first = re.split(r"[\s(,;:]", key)[0] if key else key
    return _UNITS.get(key) or (len(first) > 2 and _UNITS.get(first)) or key


def split_name(name: str) -> tuple[str, str]:
    """Split the name of a column and the unit that it ends with, as it is written.

    Examples
    --------
    >>> split_name("age (months)"), split_name("age")
    (('age', 'months'), ('age', ''))
    """
    parts = _IN_NAME.fullmatch(name)
    return (parts[1], parts[2]) if parts else (name, "")


def split_unit(text: str, expected: str) -> tuple[str, str] | None:
    """Split an entry into a number and a unit.

    Parameters
    ----------
    text : str
    expected : str
        Unit that counts in addition to the known ones, as `canonical` writes it.

    Returns
    -------
    tuple of str or None
        The number as it is written, and the unit as `canonical` writes it; None if the entry is
        anything else.

    Examples
    --------
    >>> split_unit("45 y", ""), split_unit("<18 Months", ""), split_unit("3T", "")
    (('45', 'years'), ('<18', 'months'), None)
    >>> split_unit("006M", ""), split_unit("P45Y", "")
    (('006', 'months'), ('45', 'years'))
    """
    coded = _CODED.fullmatch(text)
    if coded is not None:
        return coded[1], _CODES[coded[2]]
    match = _WITH_UNIT.fullmatch(text)
    if match is None:
        return None
    written = " ".join(match["unit"].casefold().strip(" .").split())
    unit = _UNITS.get(written, written)
    return (match["number"], unit) if unit in (*_SPELLINGS, expected) else None


def common(units: set[str]) -> str:
    """Choose the unit of a column from those of its entries; empty if they contradict each other.

    Examples
    --------
    >>> common({"months"}), common({"years", "months"}), common({"kg", "cm"})
    ('months', 'years', '')
    """
    if len(units) == 1:
        return next(iter(units))
    return "years" if units and units <= _PER_YEAR.keys() else ""


def factor(unit: str, into: str) -> float | None:
    """Return by what a number in one unit is multiplied in another; None if that is impossible.

    Examples
    --------
    >>> factor("months", "years") == 1 / 12, factor("kg", "kg"), factor("kg", "years")
    (True, 1.0, None)
    """
    if unit == into:
        return 1.0
    if unit in _PER_YEAR and into in _PER_YEAR:
        return _PER_YEAR[into] / _PER_YEAR[unit]
    return None
