"""Reading TSV tables and JSON files as they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from bids_app.errors import BadDataError


@dataclass(frozen=True)
class Column:
    """A column of a table as its JSON sidecar describes it.

    Attributes
    ----------
    source : str
        File that it comes from, relative to the dataset.
    name : str
        Its name in that file.
    description, units : str
        Empty if not declared.
    levels : mapping of str to str
        Declared levels and what they mean. A value that is no declared level is valid too.
    """

    source: str
    name: str
    description: str = ""
    units: str = ""
    levels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a TSV file as text.

    Parameters
    ----------
    path : Path
        Empty lines in it are ignored, as is white space around entries.

    Returns
    -------
    list of dict of str to str
        One per row: the name of each column to its entry.

    Raises
    ------
    BadDataError
        If it cannot be read, has no header, or a row does not fit the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, ValueError, csv.Error) as error:
        raise BadDataError(f"{path} is not a readable TSV table ({error}).") from error
    lines = [[entry.strip() for entry in line] for line in lines if any(map(str.strip, line))]
    if not lines:
        raise BadDataError(f"{path} is empty. Expected a header and one row per entry.")
    header = lines[0]
    if len(set(header)) < len(header):
        repeated = next(name for name in header if header.count(name) > 1)
        raise BadDataError(f"{path} has two columns '{repeated}'. Rename one of them.")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise BadDataError(
                f"{path}, row {number}: {len(line)} fields, but the header has {len(header)}. "
                "Fields are separated by tabs."
            )
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def read_json(path: Path) -> object:
    """Read a JSON file, with or without a byte order mark.

    Raises
    ------
    BadDataError
        If it cannot be read or is not JSON.
    """
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BadDataError(f"{path} is not readable JSON ({error}).") from error
    return content
