"""Entries of tables as people write them: missing codes, numbers and categories."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import pandas as pd

from bids_app.dataset.units import common, factor, split_unit

# What R, Python, Excel and SPSS write for missing values, in lower case.
_MISSING = frozenset(
    {
        *("", "n/a", "na", "nan", "<na>", "nat", "null"),
        *("#n/a", "#na", "#value!", "#ref!", "#div/0!", "#name?", "#num!", "#null!"),
    }
)
# The same, but values where a column holds "+" as well, as tests of antibodies do.
_DASHES = frozenset(("-", "--", "---", "–", "—", ".", ".."))
_SEXES = (
    frozenset(("m", "male", "man", "males", "männlich", "homme")),
    frozenset(("f", "female", "woman", "females", "w", "weiblich", "femme")),
)
_NEITHER_SEX = frozenset(("o", "other", "x", "d", "diverse", "intersex", "unknown", "u"))
# Levels that mean missing.
MISSING_WORDS = re.compile(
    r"^(missing|unknown|refused|not (available|applicable|done|assessed|known|recorded|tested))\b",
    re.IGNORECASE,
)
# Numbers that programs and people write for missing values, and how far those that are positive
# lie beyond all others.
_USUAL_CODES = (-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0)
_FAR = 2.0
_INFINITE = float("inf")
_MARKED = re.compile(
    r"['\"~≈*†‡§\s]*([+-]?[\d.,]*\d[\d.,]*(?:e[+-]?\d+)?)['\"*†‡§#?!¹²³\s]*", re.IGNORECASE
)
_LIMIT = re.compile(r"(?:[<>]=?|[≤≥])\s*(-?\d[\d.,]*)|(-?\d[\d.,]*)\s*\+")
# Excel's way to keep a text.
_FORMULA = re.compile(r'="([^"]*)"')
_NARROW_BLANKS = "\u2009\u202f\u00a0"
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
# 1,234 could be two numbers; 1,234.5 and 1,234,567 could not.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3}\.\d+|(?:,\d{3}){2,}(?:\.\d+)?)", re.ASCII)
_GROUPED_BY_POINT = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
_GROUPED_BY_POINTS = re.compile(
    r"[+-]?[1-9]\d{0,2}(?:\.\d{3},\d+|(?:\.\d{3}){2,}(?:,\d+)?)", re.ASCII
)


class Unclear(StrEnum):
    """Why an entry cannot be read as a number."""

    NO_NUMBER = "not a number"
    COMMA = "the comma may separate decimals or thousands"
    UNIT = "the unit is not that of the column"


@dataclass(frozen=True)
class Declared:
    """What the JSON of a table declares about a column.

    Attributes
    ----------
    levels : mapping of str to str
        Levels of a category, those that mean missing not among them, and their meanings.
    missing : frozenset of str
        Codes of missing values.
    numeric : bool
        Whether a unit is declared.
    unit : str
        The declared unit, or that which numbers have by their meaning; empty if unknown.
    """

    levels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    missing: frozenset[str] = frozenset()
    numeric: bool = False
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Interpreted:
    """The values of a column, and how its odd entries were read.

    Attributes
    ----------
    values : Series
        float64 if the column holds numbers, else text; missing entries are missing.
    read : mapping of str to str
        Odd entries, and the values that they were read as.
    missing : mapping of str to int
        Codes of missing values other than ``n/a`` and those declared, and how often they occur.
    unclear : mapping of str to Unclear
        Entries that count as missing because they are no numbers, or could be two, and why.
    suspected : tuple of str
        Numbers that look like codes of missing values but are not declared; they are kept.
    converted : mapping of str to str
        Entries with a unit, and the values that they were read as.
    unit : str
        The unit of these values; empty if no entry has one.
    """

    values: pd.Series
    read: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[str, int]
    unclear: Mapping[str, Unclear] = field(default_factory=lambda: MappingProxyType({}))
    suspected: tuple[str, ...] = ()
    converted: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unit: str = ""


@dataclass(frozen=True)
class _Measures:
    """Entries that are a number and a unit.

    Attributes
    ----------
    numbers : mapping of str to str
        The number of each entry, as it is written.
    factors : mapping of str to float
        By what it is multiplied; none for a unit that is not that of the column.
    unit : str
        The unit of the column.
    """

    numbers: Mapping[str, str]
    factors: Mapping[str, float]
    unit: str


def is_missing(text: str) -> bool:
    """Return whether an entry is a code of a missing value.

    >>> [is_missing(text) for text in ("NA", "#N/A", "-", "", "0")]
    [True, True, True, True, False]
    """
    return text.casefold() in _MISSING or text in _DASHES


def interpret(texts: pd.Series, declared: Declared) -> Interpreted:
    """Read the entries of a column.

    A column of which most entries are numbers, or whose unit is declared, holds numbers: other
    entries are missing then. A column with declared levels that are no numbers is a category.

    Parameters
    ----------
    texts : Series of str
        Entries without white space around them.
    declared : Declared

    Returns
    -------
    Interpreted
    """
    texts = texts.str.replace("\N{MINUS SIGN}", "-")
    counts = Counter(texts.dropna())
    codes = _missing_codes(counts, declared)
    texts = texts.mask(texts.isin({*codes, *declared.missing}))
    levels = _levels([text for text, _ in Counter(texts.dropna()).most_common()], declared.levels)
    texts = texts.map(lambda text: levels.get(text, text), na_action="ignore")
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    plain = numbers.notna() & (numbers.abs() < _INFINITE)
    odd = texts[~plain].dropna().unique().tolist()
    doubtful = _doubtful_points(odd, texts[plain])
    measures = _measures(odd, declared.unit)
    read, unclear = _read_numbers([*odd, *doubtful], measures) if odd else ({}, {})
    numeric_codes = [float(code) for code in declared.missing if _PLAIN.fullmatch(code)]
    numbers = numbers.mask(numbers.isin(numeric_codes))
    respelled = {text: level for text, level in levels.items() if _key(text) != _key(level)}
    missing = {code: number for code, number in codes.items() if code != "n/a"}
    ambiguous = [text for text, why in unclear.items() if why is Unclear.COMMA]
    numeric = texts[plain].nunique() + len(ambiguous)
    if not _holds_numbers(texts, numeric, read, declared):
        values = texts.mask(plain & numbers.isna()).astype("str")
        return Interpreted(values=values, read=respelled, missing=missing)
    if odd:
        numbers = numbers.mask(~plain | texts.isin(doubtful)).fillna(
            texts.map(read).astype("float64")
        )
    shown = {text: f"{value:.6g}" for text, value in read.items() if text in measures.factors}
    respelled |= {text: f"{value:.12g}" for text, value in read.items() if text not in shown}
    return Interpreted(
        values=numbers,
        read=respelled,
        missing=missing,
        unclear=unclear,
        suspected=_suspected_codes(numbers.dropna().unique(), declared),
        converted=shown,
        unit=measures.unit if shown else "",
    )


def _measures(odd: Iterable[str], unit: str) -> _Measures:
    """Split the entries that have a unit, and relate it to that of their column."""
    parts = {text: split_unit(_ascii(text), unit) for text in odd if not MISSING_WORDS.match(text)}
    measures = {text: part for text, part in parts.items() if part is not None}
    if not unit and len(measures) < len(parts):
        # Among other words, as visits at baseline and after 6 months, these may be names.
        measures = {}
    unit = unit or common({each for _, each in measures.values()})
    factors = {text: factor(each, unit) for text, (_, each) in measures.items()}
    return _Measures(
        numbers={text: number for text, (number, _) in measures.items()},
        factors={text: value for text, value in factors.items() if value is not None},
        unit=unit,
    )


def _missing_codes(counts: Mapping[str, int], declared: Declared) -> dict[str, int]:
    """Count the codes of missing values that are no declared level."""
    signed = any(text.startswith("+") and not _PLAIN.fullmatch(text) for text in counts)
    return {
        text: number
        for text, number in counts.items()
        if text not in declared.levels
        and (text.casefold() in _MISSING or (text in _DASHES and not signed))
    }


def _holds_numbers(
    texts: pd.Series, plain: int, read: Mapping[str, float], declared: Declared
) -> bool:
    """Decide whether a column holds numbers, most of its distinct entries being some.

    Parameters
    ----------
    texts : Series of str
        Entries without codes of missing values.
    plain : int
        Number of distinct entries that are numbers as they are, and of those that could be two.
    read : mapping of str to float
        Other entries that can be read as numbers.
    declared : Declared
    """
    distinct = set(texts.dropna())
    if any(level in distinct and not _PLAIN.fullmatch(level) for level in declared.levels):
        return False
    limits = sum(bool(_LIMIT.fullmatch(text)) for text in read)
    numbers = plain + len(read)
    # Classes such as "<5" and "5+" are no numbers.
    numbers -= limits if limits > numbers - limits else 0
    words = sum(bool(MISSING_WORDS.match(text)) for text in distinct)
    if declared.numeric:
        return numbers > 0
    return numbers > len(distinct) - words - numbers


def _doubtful_points(odd: Iterable[str], plain: pd.Series) -> list[str]:
    """List numbers such as 1.234 in a column that holds 1.234,5."""
    if not any(_GROUPED_BY_POINTS.fullmatch(text) for text in odd):
        return []
    return [text for text in plain.unique() if _GROUPED_BY_POINT.fullmatch(text)]


def _read_numbers(
    odd: Sequence[str], measures: _Measures
) -> tuple[dict[str, float], dict[str, Unclear]]:
    """Read entries that are not plain numbers.

    Returns
    -------
    read : dict of str to float
    unclear : dict of str to Unclear
        Entries that cannot be read, and why.
    """
    digits = {}
    read: dict[str, float] = {}
    for text in odd:
        number = _ascii(measures.numbers.get(text, text))
        match = _LIMIT.fullmatch(number) or _MARKED.fullmatch(number)
        digits[text] = next(filter(None, match.groups())) if match else ""
    points_group = any(_GROUPED_BY_POINTS.fullmatch(number) for number in digits.values())
    comma_is_decimal = points_group or any(
        _DECIMAL_COMMA.fullmatch(number) and not _THOUSANDS.fullmatch(number)
        for number in digits.values()
    )
    commas_group = any(_GROUPED.fullmatch(number) for number in digits.values())
    unclear: dict[str, Unclear] = {}
    for text, written in digits.items():
        grouped = _GROUPED_BY_POINTS.fullmatch(written) or _GROUPED_BY_POINT.fullmatch(written)
        number = written.replace(".", "") if grouped and points_group else written
        value = _number(number, comma_is_decimal, commas_group)
        if text in measures.numbers and text not in measures.factors:
            unclear[text] = Unclear.UNIT
        elif value is not None:
            read[text] = value * measures.factors.get(text, 1.0)
        elif _THOUSANDS.fullmatch(number) or _GROUPED.fullmatch(number):
            unclear[text] = Unclear.COMMA
        else:
            unclear[text] = Unclear.NO_NUMBER
    return read, unclear


def _ascii(text: str) -> str:
    r"""Write a number in the digits of ASCII, without what programs add to it.

    >>> _ascii('="45.3"'), _ascii("\N{FULLWIDTH DIGIT FOUR}5"), _ascii("1\N{THIN SPACE}200")
    ('45.3', '45', '1200')
    """
    formula = _FORMULA.fullmatch(text)
    plain = formula[1] if formula else text
    return "".join(
        str(unicodedata.decimal(mark, mark)) for mark in plain if mark not in _NARROW_BLANKS
    )


def _suspected_codes(numbers: Iterable[float], declared: Declared) -> tuple[str, ...]:
    """List numbers that look like codes of missing values but are not declared."""
    values = sorted(numbers)
    declared_levels = {float(level) for level in declared.levels if _PLAIN.fullmatch(level)}
    codes = [value for value in values if value in _USUAL_CODES and value not in declared_levels]
    others = [value for value in values if value not in codes]
    if not others:
        return ()
    return tuple(
        f"{code:g}"
        for code in codes
        if (code < 0 <= others[0]) or (code > 0 and code > _FAR * max(others[-1], 1))
    )


def _number(digits: str, comma_is_decimal: bool, commas_group: bool) -> float | None:
    """Read the digits of a number, None if they are none or could be two."""
    if _PLAIN.fullmatch(digits):
        number = digits
    elif _GROUPED.fullmatch(digits) or (_THOUSANDS.fullmatch(digits) and not comma_is_decimal):
        if comma_is_decimal or not commas_group:
            return None
        number = digits.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(digits) and not (_THOUSANDS.fullmatch(digits) and commas_group):
        number = digits.replace(",", ".")
    else:
        return None
    value = float(number)
    return value if abs(value) < _INFINITE else None


def _levels(texts: Sequence[str], levels: Mapping[str, str]) -> dict[str, str]:
    """Unify spellings of one level: case, its declared meaning, and words for the sexes.

    Returns
    -------
    dict of str to str
        Level of each text that is spelled otherwise.
    """
    spelling = {_key(level): level for level in levels}
    meanings = Counter(_key(meaning) for meaning in levels.values())
    for level, meaning in levels.items():
        if meaning and meanings[_key(meaning)] == 1:
            spelling.setdefault(_key(meaning), level)
    spelling |= {k: v for k, v in _sexes(texts, levels).items() if k not in spelling}
    unified = {}
    for text in texts:
        level = spelling.setdefault(_key(text), text)
        if level != text:
            unified[text] = level
    return unified


def _sexes(texts: Sequence[str], levels: Mapping[str, str]) -> dict[str, str]:
    """Unify words for the sexes, if a column holds nothing else.

    The level is that declared, else the most frequent spelling, which comes first.
    """
    words = [_key(text) for text in texts]
    declared = {_key(word): level for level, word in levels.items()}
    declared |= {_key(level): level for level in levels}
    sexed = {word for word in words if any(word in names for names in _SEXES)}
    if not sexed or any(word not in sexed | _NEITHER_SEX | declared.keys() for word in words):
        return {}
    unified: dict[str, str] = {}
    for names in _SEXES:
        chosen = next((declared[word] for word in declared if word in names), None)
        chosen = chosen or next((text for text in texts if _key(text) in names), None)
        if chosen is not None:
            unified |= dict.fromkeys(names, chosen)
    return unified


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
