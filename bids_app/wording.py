"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_LISTED = 5


def listed(items: Sequence[object]) -> str:
    """List the first items in words.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    >>> listed(range(9))
    '0, 1, 2, 3, 4 and 4 others'
    """
    texts = [str(item) for item in items[:_MOST_LISTED]]
    more = len(items) - _MOST_LISTED
    if more > 0:
        texts.append(f"{more} {'other' if more == 1 else 'others'}")
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]])) if texts else ""


def counted(count: int, noun: str) -> str:
    """Write a number of things in words.

    Examples
    --------
    >>> counted(1, "session"), counted(2, "entry"), counted(0, "analysis")
    ('1 session', '2 entries', '0 analyses')
    """
    return f"{count} {plural(count, noun)}"


def plural(count: int, noun: str) -> str:
    """Write a noun for one or for several things.

    Examples
    --------
    >>> plural(1, "row"), plural(2, "row")
    ('row', 'rows')
    """
    if count == 1:
        return noun
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun[:-2]}es" if noun.endswith("is") else f"{noun}s"
