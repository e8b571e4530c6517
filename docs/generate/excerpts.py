"""Documents at the top of the repository, and parts of modules, as they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def document(name: str) -> str:
    """Return a document without its heading; links into ``docs`` are those of the site."""
    text = (_ROOT / name).read_text(encoding="utf-8").partition("\n")[2]
    return re.sub(r"\]\(docs/", "](", text)


def constant(path: str, name: str) -> str:
    """Return a text constant of a module as a block of code.

    Raises
    ------
    KeyError
        If the module has none of that name.
    """
    tree = ast.parse((_ROOT / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            text = ast.literal_eval(node.value).strip("\n")
            return f"```python\n{text}\n```"
    raise KeyError(f"{path} has no constant {name}")


def module(path: str) -> str:
    """Return a module as a block of code."""
    text = (_ROOT / path).read_text(encoding="utf-8").strip("\n")
    return f"```python\n{text}\n```"
