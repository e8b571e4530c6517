"""The filter file: which images are used, by pybids entities, checked before pybids gets them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bids_app.contrasts import Role, suffixes
from bids_app.errors import BadDataError, MissingInputError
from bids_app.options import ANY_VALUE, REGEX_SEARCH

# pybids' names of the entities of images, and the shorter ones in file names where they differ.
_SHORT = {
    "acq": "acquisition",
    "ce": "ceagent",
    "dir": "direction",
    "mod": "modality",
    "rec": "reconstruction",
    "ses": "session",
    "sub": "subject",
    "trc": "tracer",
}
ENTITIES = (
    *_SHORT.values(),
    *("chunk", "datatype", "echo", "extension", "flip", "inv", "mt", "part", "proc", "run"),
    *("sample", "space", "suffix", "task"),
)
# Queries of other programs for which filter files are often written; they select nothing here.
_OF_OTHERS = (
    *("angio", "asl", "bold", "dwi", "fmap", "m0scan", "mag", "pd", "pdw", "perf", "pet", "phase"),
    *("roi", "sbref", "t2star", "t2starw", "xfm"),
)
_EXPECTED = "Expected a text, a whole number, null or a list of these."
_QUERIES = {"none": None, "any": ANY_VALUE, "required": ANY_VALUE}


def read_filters(path: Path | None, datasets: Iterable[str] = ()) -> dict[str, dict[str, object]]:
    """Read a filter file.

    Parameters
    ----------
    path : Path or None
        None filters nothing.
    datasets : iterable of str
        Names of the datasets with finished results, which can be filtered as well.

    Returns
    -------
    dict of str to dict
        Query, in lower case, to entities and their values. None stands for images without the
        entity, and `ANY_VALUE` for all that have it.

    Raises
    ------
    MissingInputError
        If there is no such file.
    BadDataError
        If it is no JSON, or has a query, an entity or a value that means nothing.
    """
    if path is None:
        return {}
    try:
        filters = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MissingInputError(f"Cannot read the filter file {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadDataError(f"The filter file {path} is not valid JSON: {error}.") from error
    if not isinstance(filters, dict) or not all(isinstance(v, dict) for v in filters.values()):
        raise BadDataError(
            f'The filter file {path} is not an object of objects, such as {{"t1w": {{"run": 1}}}}.'
        )
    named = [name.lower() for name in datasets]
    checked = {}
    for query, entities in filters.items():
        name = query.lower()
        if name not in named:
            _check_query(path, query)
            _check_keys(path, query, entities)
        is_pattern = entities.get(REGEX_SEARCH, False)
        checked[name] = {
            key: value
            if key == REGEX_SEARCH
            else _checked(f"The filter file {path}, {query}.{key}", key, value, is_pattern)
            for key, value in entities.items()
        }
    return checked


def _check_query(path: Path, query: str) -> None:
    """Refuse a query for an image that no program knows."""
    queries = [contrast.lower() for contrast in suffixes(Role.ANCHOR, Role.OTHER)]
    if query.lower() in (*queries, *_OF_OTHERS):
        return
    raise BadDataError(
        f"The filter file {path} has a query '{query}', which names no image that is used"
        f"{_similar(query.lower(), queries)}. Expected {', '.join(queries)}, or the name of a "
        "dataset given with -d."
    )


def _check_keys(path: Path, query: str, entities: Mapping[str, object]) -> None:
    """Refuse what is no entity of an image."""
    for key in entities:
        if key not in (*ENTITIES, REGEX_SEARCH):
            raise BadDataError(
                f"The filter file {path}, {query}: '{key}' is not an entity of pybids"
                f"{_similar(key, ENTITIES)}. Expected one of {', '.join(sorted(ENTITIES))}."
            )
    if not isinstance(entities.get(REGEX_SEARCH, False), bool):
        raise BadDataError(
            f"The filter file {path}, {query}.{REGEX_SEARCH} is neither true nor false."
        )


def _checked(where: str, key: str, value: object, is_pattern: object) -> object:
    """Check the value of one entity, and convert it to what the index takes."""
    values = value if isinstance(value, list) else [value]
    converted = [_value(where, key, item, is_pattern) for item in values]
    if not converted:
        raise BadDataError(f"{where} is {json.dumps(value)}. {_EXPECTED}")
    return converted if isinstance(value, list) else converted[0]


def _value(where: str, key: str, value: object, is_pattern: object) -> str | int | None:
    """Convert one value."""
    if isinstance(value, bool) or not (value is None or isinstance(value, str | int)):
        raise BadDataError(f"{where} is {json.dumps(value)}. {_EXPECTED}")
    if not isinstance(value, str):
        return value
    if value.lower().startswith("query."):
        name = value.lower().removeprefix("query.")
        if name not in _QUERIES:
            raise BadDataError(f"{where} is {value}. Expected Query.NONE or Query.ANY, or a value.")
        return _QUERIES[name]
    if is_pattern:
        try:
            re.compile(value)
        except re.error as error:
            raise BadDataError(f"{where} is '{value}', no regular expression ({error}).") from error
    elif key == "run" and value != ANY_VALUE and not value.isdecimal():
        raise BadDataError(f"{where} is '{value}'. Expected a number: runs are numbered.")
    return value


def _similar(key: str, accepted: Iterable[str]) -> str:
    """Suggest what may be meant."""
    close = difflib.get_close_matches(key, list(accepted), 1, 0.5)
    similar = _SHORT.get(key) or next(iter(close), "")
    return f" (did you mean '{similar}'?)" if similar else ""
