"""What the JSON of a clinical table declares about its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bids_app.dataset.entries import MISSING_WORDS, Declared
from bids_app.dataset.tables import Column, Remarks, read_json
from bids_app.dataset.units import canonical, split_name
from bids_app.errors import BadDataError

# Keys under which BIDS dictionaries and annotation tools list codes of missing values.
_MISSING_KEYS = frozenset(
    ("missingvalues", "missingvalue", "missing", "missingcodes", "missingcode", "navalues")
)
_MEANINGS = ("Description", "Label", "LongName", "TermURL", "TermUrl")
_NUMBER = r"(?<![\w.,-])(-?\d+(?:\.\d+)?)"
_MISSING_IN_TEXT = re.compile(
    rf"{_NUMBER}\s*(?:=|means|denotes|indicates|stands for|codes for)\s*[\"'(]*"
    r"(?:missing|unknown|refused|n/a|not (?:available|applicable|done|assessed|recorded|tested))\b",
    re.IGNORECASE,
)
_CODED_AS = re.compile(
    r"missing(?: values?| data| entries)?(?: (?:is|are))?"
    rf"(?: (?:coded|marked|denoted|entered|recorded|given)(?: (?:as|by|with))?|\s*=)\s+{_NUMBER}",
    re.IGNORECASE,
)


def read_declarations(path: Path, remarks: Remarks) -> dict[str, object]:
    """Read the JSON of a table; none, or one that cannot be used, declares nothing.

    Parameters
    ----------
    path : Path
    remarks : Remarks
        A file that cannot be used is added as a problem.
    """
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        content = read_json(path)
    except BadDataError as error:
        remarks.problem(path, f"{error} The columns of its table are read without it.")
        return {}
    if not isinstance(content, dict):
        remarks.problem(path, f"{path} describes no columns. Expected an object with their names.")
        return {}
    return content


def declared_column(entry: object, source: str, name: str) -> tuple[Column, Declared]:
    """Read what is declared about one column.

    Parameters
    ----------
    entry : object
        Its entry in the JSON.
    source, name : str
        File and name of the column.

    Returns
    -------
    column : Column
        Its description, with all levels.
    declared : Declared
        How its entries are read.
    """
    fields: Mapping[str, object] = entry if isinstance(entry, dict) else {}
    levels = _levels(fields.get("Levels"))
    description, units = (_text(fields.get(key, "")) for key in ("Description", "Units"))
    codes = {code for code, meaning in levels.items() if MISSING_WORDS.match(meaning)}
    codes |= _codes(fields) | set(_MISSING_IN_TEXT.findall(description))
    codes |= set(_CODED_AS.findall(description))
    values = {level: meaning for level, meaning in levels.items() if level not in codes}
    plain, in_name = split_name(name)
    unit = canonical(units or in_name or ("years" if _is_age(plain) else ""))
    declared = Declared(values, frozenset(codes), bool(units) and not values, unit)
    return Column(source, name, description, units, levels), declared


def _is_age(name: str) -> bool:
    """Whether a column holds ages by its name.

    >>> [_is_age(name) for name in ("age", "AgeAtScan", "onset_age", "AGE", "dosage", "stage")]
    [True, True, True, True, False, False]
    """
    return "age" in map(str.casefold, re.findall("[A-Z]?[a-z]+|[A-Z]+", name))


def _levels(declared: object) -> dict[str, str]:
    """Read levels and their meanings: texts, objects, or none in a list.

    >>> _levels({"M": {"TermURL": "https://example.org/male"}, "F": "female"})
    {'M': 'male', 'F': 'female'}
    """
    if isinstance(declared, list):
        return {str(level): str(level) for level in declared}
    if not isinstance(declared, dict):
        return {}
    return {str(level): _meaning(meaning) or str(level) for level, meaning in declared.items()}


def _meaning(declared: object) -> str:
    if not isinstance(declared, dict):
        return _text(declared)
    key = next((key for key in _MEANINGS if declared.get(key)), None)
    if key is None:
        return ""
    text = _text(declared[key])
    return re.split(r"[/#]", text.rstrip("/#"))[-1] if "URL" in key.upper() else text


def _codes(fields: Mapping[str, object]) -> set[str]:
    """Collect the codes of missing values under any of the keys that list them."""
    codes: set[str] = set()
    for key, value in fields.items():
        if key.casefold().replace("_", "").replace(" ", "") in _MISSING_KEYS:
            if isinstance(value, (list, dict)):
                codes |= {str(code) for code in value}
            elif isinstance(value, (str, int, float)):
                codes |= {str(value), *re.split(r"[,;\s]+", str(value))}
    annotations = fields.get("Annotations")
    if isinstance(annotations, dict):
        codes |= _codes(annotations)
    return codes - {""}


def _text(value: object) -> str:
    return "" if value is None else str(value)
