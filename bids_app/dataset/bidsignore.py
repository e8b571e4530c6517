"""What a dataset declares not to be BIDS: ``.bidsignore``, with the patterns of ``.gitignore``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NAME = ".bidsignore"
REASON = "named in .bidsignore"
# Wildcards of a pattern, and what they match within the name of one file or folder.
_WILDCARD = re.compile(r"\\(.)|(\*+)|(\?)|\[([!^]?)((?:\\.|[^\]])+)\]|(.)", re.DOTALL)


@dataclass(frozen=True)
class Ignored:
    """The paths that the ``.bidsignore`` of a dataset names.

    Attributes
    ----------
    patterns : tuple of (Pattern, bool)
        Each with whether it ignores (or, after ``!``, does not); the last that matches decides.
    problem : str
        Why the file could not be read; empty if it was, or is not there.
    """

    patterns: tuple[tuple[re.Pattern[str], bool], ...] = ()
    problem: str = ""

    def names(self, relative: str) -> bool:
        r"""Check a path relative to the dataset; those of folders end with a slash.

        Examples
        --------
        >>> ignored = Ignored(parsed("sub-9*/\n*_UNIT1.nii.gz\n!sub-91/\n/extra_data"))
        >>> ignored.names("sub-90/anat/sub-90_T1w.nii.gz"), ignored.names("sub-91/")
        (True, False)
        >>> ignored.names("sub-01/anat/sub-01_UNIT1.nii.gz"), ignored.names("sub-01/extra_data/")
        (True, False)
        """
        if not self.patterns:
            return False
        parts = relative.split("/")
        above = ["/".join(parts[:depth]) + "/" for depth in range(1, len(parts))]
        # What is in an ignored folder cannot be included again.
        return any(map(self._decided, above)) or (relative[-1] != "/" and self._decided(relative))

    def _decided(self, relative: str) -> bool:
        verdicts = [ignores for pattern, ignores in self.patterns if pattern.fullmatch(relative)]
        return bool(verdicts) and verdicts[-1]


def read_ignored(root: Path) -> Ignored:
    """Read the ``.bidsignore`` of a dataset; nothing is ignored if it has none."""
    path = root / NAME
    try:
        if not path.is_file():
            return Ignored(problem="not a file" if path.exists() or path.is_symlink() else "")
        return Ignored(parsed(path.read_text(encoding="utf-8-sig", errors="replace")))
    except OSError:
        return Ignored(problem="it cannot be read")


def parsed(text: str) -> tuple[tuple[re.Pattern[str], bool], ...]:
    """Translate the lines of a ``.gitignore``.

    Parameters
    ----------
    text : str

    Returns
    -------
    tuple of (Pattern, bool)
        For whole paths relative to the dataset, and whether what matches is ignored.
    """
    patterns = []
    for line in text.splitlines():
        ignores = not line.startswith("!")
        pattern = line.rstrip()[0 if ignores else 1 :]
        if pattern.strip("/") and not pattern.startswith("#"):
            patterns.append((_expression(pattern), ignores))
    return tuple(patterns)


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate one pattern; with a slash before its end it applies to the root alone."""
    body = pattern.rstrip("/")
    anchored = "/" in body
    names = body.lstrip("/").split("/")
    text = "" if anchored else "(?:.*/)?"
    for name in names[:-1]:
        text += "(?:[^/]+/)*" if name == "**" else _translated(name) + "/"
    last = ".+" if names[-1] == "**" else _translated(names[-1])
    return re.compile(text + last + ("/" if pattern.endswith("/") else "/?"))


def _translated(name: str) -> str:
    """Translate the wildcards of one file or folder name."""
    text = ""
    for escaped, stars, mark, negated, members, plain in _WILDCARD.findall(name):
        if stars or mark:
            text += "[^/]*" if stars else "[^/]"
        elif members:
            text += f"[{'^/' if negated else ''}{members.replace('[', chr(92) + '[')}]"
        else:
            text += re.escape(escaped or plain)
    return text
