"""Stamps of results, by which a later run recognizes what has to be run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Parameter with the templates in whose space results are written.
OUTPUT_SPACES = "output spaces"


@dataclass(frozen=True)
class Stamp:
    """Everything that determines the results of a session, unlike threads and folders.

    Attributes
    ----------
    inputs : mapping of str to str
        SHA-256 by path below the dataset.
    parameters : mapping of str to str
        Options that affect results.
    software : mapping of str to str
        Versions of the program and checksums of weights.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)

    def difference(self, other: Stamp) -> str:
        """Name the first field in which two stamps differ; empty if they agree."""
        for title in ("inputs", "parameters", "software"):
            mine, theirs = getattr(self, title), getattr(other, title)
            for key in sorted({*mine, *theirs}):
                if key not in theirs:
                    return f"{key} is new"
                if key not in mine:
                    return f"{key} is gone"
                if mine[key] != theirs[key]:
                    return f"{key} changed"
        return ""
