"""Works and what cites them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import bids_app
from bids_app.derivatives.references import REFERENCES

_KEY = re.compile(r"[a-z]+(?:19|20)\d\d[a-z]?")


def _cited() -> set[str]:
    """Collect all keys that occur in the package outside the list of works."""
    (package,) = bids_app.__path__
    keys = set()
    for path in Path(package).rglob("*.py"):
        if path.name == "references.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                keys |= {node.value} if _KEY.fullmatch(node.value) else set()
    return keys


def test_all_works_that_are_cited_are_listed_and_the_others_are_not() -> None:
    assert _cited() == set(REFERENCES)


def test_keys_name_first_author_and_year() -> None:
    for key, work in REFERENCES.items():
        author, year = re.fullmatch(r"([a-z]+)(\d{4})[a-z]?", key).groups()
        assert work.casefold().startswith(author), key
        assert year in work, key


def test_works_are_listed_in_alphabetical_order() -> None:
    assert list(REFERENCES) == sorted(REFERENCES)
