"""Tables of Markdown."""

from __future__ import annotations

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
    """Escape what Markdown would take as markup in a sentence of the program."""
    for sign in ("\\", "*", "_", "<", "[", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
