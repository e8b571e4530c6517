"""Identifiers of tables, matched with the participants and sessions of the dataset."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Members:
    """Participants and sessions that there are.

    Attributes
    ----------
    subjects : frozenset of str
        With the prefix ``sub-``.
    sessions : callable
        Return the sessions of a participant, with the prefix ``ses-``, given the participant and
        the labels that are looked for.
    """

    subjects: frozenset[str]
    sessions: Callable[[str, Iterable[str]], frozenset[str]]


@dataclass(frozen=True)
class Matches:
    """Identifiers of a table and those of the dataset.

    Attributes
    ----------
    matched : dict of str to str
        Identifier of the dataset, with prefix, by that of the table.
    corrected : dict of str to str
        Those of them that are spelled otherwise.
    unmatched : tuple of str
        Identifiers of the table that fit none of the dataset, or more than one.
    """

    matched: dict[str, str]
    corrected: dict[str, str]
    unmatched: tuple[str, ...]


def members_of(bids_dir: Path, measured: Iterable[tuple[str, str | None]]) -> Members:
    """Collect the participants and sessions of a dataset and of its results.

    Parameters
    ----------
    bids_dir : Path
    measured : iterable of (str, str or None)
        Participants and sessions with results.
    """
    sessions: dict[str, set[str]] = {}
    for subject, session in measured:
        sessions.setdefault(subject, set()).update([session] if session else [])
    folders = _folders(bids_dir, "sub-")

    def sessions_of(subject: str, labels: Iterable[str]) -> frozenset[str]:
        with_results = frozenset(sessions.get(subject, ()))
        # Folders of 10,000 participants are not listed without need.
        if all(f"ses-{label.removeprefix('ses-')}" in with_results for label in labels):
            return with_results
        return with_results | _folders(bids_dir / subject, "ses-")

    return Members(frozenset(sessions) | folders, sessions_of)


def match(identifiers: Iterable[str], folders: Collection[str], prefix: str) -> Matches:
    """Match the identifiers of a table with those of the dataset.

    Spellings may differ in the prefix, leading zeros, case, blanks and other marks, as long as
    only one identifier of the table fits one of the dataset.

    Parameters
    ----------
    identifiers : iterable of str
    folders : collection of str
        Identifiers of the dataset, with prefix.
    prefix : str
        ``sub-`` or ``ses-``.

    Returns
    -------
    Matches

    Examples
    --------
    >>> match(["1", "sub-002", "03"], ["sub-001", "sub-002"], "sub-").corrected
    {'1': 'sub-001'}
    >>> match(["3", "03"], ["sub-003"], "sub-").unmatched
    ('3', '03')
    """
    given = list(dict.fromkeys(identifiers))
    exact = {name: prefix + name.removeprefix(prefix) for name in given}
    exact = {name: full for name, full in exact.items() if full in folders}
    taken = set(exact.values())
    open_names = [name for name in given if name not in exact]
    targets: dict[str, list[str]] = {}
    # Tidy tables of thousands of participants are not compared with all of them.
    for name in folders if open_names else ():
        targets.setdefault(_key(name, prefix), []).append(name)
    uses = Counter(_key(name, prefix) for name in open_names)
    corrected = {}
    for name in open_names:
        candidates = targets.get(_key(name, prefix), [])
        if len(candidates) == 1 and candidates[0] not in taken and uses[_key(name, prefix)] == 1:
            corrected[name] = candidates[0]
    unmatched = tuple(name for name in open_names if name not in corrected)
    matched = exact | corrected
    respelled = {name: matched[name] for name in given if matched.get(name, name) != name}
    return Matches(matched, respelled, unmatched)


def _key(name: str, prefix: str) -> str:
    """Reduce an identifier to what spellings have in common.

    >>> {_key(name, "sub-") for name in ("sub-P001", "p1", "SUB_P-001", "P 1")}
    {'p1'}
    """
    word = prefix.rstrip("-")
    text = re.sub(rf"^{word}(?:ject|sion)?[\s_-]*(?=.)", "", name.casefold().strip())
    # Spreadsheets and pandas write whole numbers with decimals.
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    text = re.sub(r"[\W_]+", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _folders(place: Path, prefix: str) -> frozenset[str]:
    try:
        return frozenset(path.name for path in place.iterdir() if path.name.startswith(prefix))
    except OSError:
        return frozenset()
