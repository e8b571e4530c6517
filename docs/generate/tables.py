"""Tables of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Write a table.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequence of str
        Cells in Markdown; line breaks become blanks.

    Examples
    --------
    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    lines = [_row(header), "|" + "---|" * len(header), *map(_row, rows)]
    return "\n".join(lines)


def code(text: str) -> str:
    """Set words in the type of code, and nothing for nothing."""
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    r"""Escape what Markdown would take as markup in a sentence; names in backticks remain code.

    Examples
    --------
    >>> prose("R2* of `sub_01`")
    'R2\\* of `sub_01`'
    """
    parts = text.replace("``", "`").split("`")
    paired = len(parts) % 2 == 1
    return "`".join(
        part if paired and index % 2 else re.sub(r"([\\*_<\[`])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
