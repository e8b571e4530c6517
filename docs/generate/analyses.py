"""The analyses and the keys of the analysis file, from their declarations."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bids_app.group.analysis_file import AnalysisPlan
from bids_app.group.registry import ANALYSES
from bids_app.group.shipped_analyses import DEFAULT, shipped_file, shipped_names
from docs.generate.tables import code, prose, table


def analyses() -> str:
    """Write the table of analyses, in the order of the page."""
    rows = []
    for name, analysis in ANALYSES.items():
        module = import_doc(f"bids_app.group.analyses.{name}")
        rows.append([code(name), prose(analysis.heading), prose(module)])
    return table(["name", "on the cohort page", "what it does"], rows)


def import_doc(module: str) -> str:
    """Return the first sentence of the docstring of a module."""
    from importlib import import_module

    paragraph = (import_module(module).__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def keys() -> str:
    """Write the table of all keys with kind and default; comments explain them in the file."""
    return table(["key", "expected", "default"], _rows(AnalysisPlan, _defaults(), ""))


def shipped() -> str:
    """Write the table of the shipped files, each by the comment at its top."""
    return table(["name", "what it is"], ([code(name), _top(name)] for name in shipped_names()))


def default_file() -> str:
    """Write the default analysis file as a block of code."""
    text = shipped_file(DEFAULT).read_text(encoding="utf-8")
    return f'```toml title="bids_app/assets/analyses/{DEFAULT}.toml"\n{text}```'


def _top(name: str) -> str:
    lines = shipped_file(name).read_text(encoding="utf-8").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return prose(" ".join(line.lstrip("# ") for line in lines[:end]))


def _defaults() -> dict[str, Any]:
    return tomllib.loads(shipped_file(DEFAULT).read_text(encoding="utf-8"))


def _rows(schema: type, values: dict[str, Any], prefix: str) -> Iterator[list[str]]:
    """Yield a row for each key, those of tables after the table."""
    hints = get_type_hints(schema)
    for key in fields(schema):
        kind, name = hints[key.name], f"{prefix}{key.name}"
        inner = _schema_of(kind)
        if inner is None:
            yield [code(name), _kind(kind), _default(key.name, values, key.default)]
        else:
            nested = values.get(key.name, {})
            yield from _rows(inner, nested if isinstance(nested, dict) else {}, f"{name}.")


def _schema_of(kind: Any) -> type | None:  # noqa: ANN401 (any type of the schema)
    """Return the dataclass of a key that is a table or a list of tables."""
    if isinstance(kind, type) and is_dataclass(kind):
        return kind
    arguments = get_args(kind)
    if get_origin(kind) is tuple and arguments and is_dataclass(arguments[0]):
        return arguments[0] if isinstance(arguments[0], type) else None
    return None


def _kind(kind: Any) -> str:  # noqa: ANN401 (any type of the schema)
    """Describe a type of the schema in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{each!r}`".replace("'", '"') for each in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_kind(each) for each in arguments if each is not type(None))
    if origin is tuple:
        many = arguments[-1] is Ellipsis
        return f"list of {_kind(arguments[0])}" if many else f"list of {len(arguments)} numbers"
    if origin is not None:
        return f"table of {_kind(arguments[1])}"
    return {str: "text", int: "whole number", float: "number"}[kind]


def _default(name: str, values: dict[str, Any], declared: object) -> str:
    if name not in values and declared is MISSING:
        return ""
    value = values.get(name, declared)
    if isinstance(value, dict):
        return "in the file"
    text = re.sub(r"\bNone\b", "", str(value)).replace("'", '"').replace("(", "[").replace(")", "]")
    return code(text if not isinstance(value, str) else f'"{value}"')
