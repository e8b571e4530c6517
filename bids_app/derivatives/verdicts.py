"""Verdicts on the changes between two visits, and the facts that they follow from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_NONE = "n/a"
_SEPARATOR = "; "


class Verdict(StrEnum):
    """Whether a change can be taken from two scans, from the best to the worst."""

    MEASURED = "measured"
    CHECK = "check"
    NOT_MEASURABLE = "not measurable"


class Reason(StrEnum):
    """What applies to the images of two visits, as tables and pages list it."""

    COPY = "copy of the same image"
    UNREADABLE = "unreadable image"
    NOT_ALIGNED = "no alignment"
    POOR_FIT = "poor fit"
    CONTRAST_AGENT = "contrast agent"
    SEQUENCE = "sequence"
    TIMING = "timing"
    FIELD_STRENGTH = "field strength"
    SCANNER = "scanner"
    COIL = "receive coil"
    SOFTWARE = "scanner software"
    GRADIENT_CORRECTION = "correction of gradient nonlinearity"
    VOXEL_SIZE = "voxel size"
    SLICE_DIRECTION = "slice direction"
    INTERPOLATION = "interpolation"
    UNCERTAIN_SIDES = "uncertain sides"
    UNCERTAIN_SIZE = "uncertain voxel size"
    THICK_SLICES = "thick slices"
    BRIGHT_FLUID = "bright fluid"


@dataclass(frozen=True)
class Fact:
    """What applies to the images of two visits.

    Attributes
    ----------
    reason : Reason
    values : str
        What was found: of a difference, the earlier and the later value; empty if there is nothing
        to add.
    """

    reason: Reason
    values: str = ""

    @property
    def text(self) -> str:
        """The fact in words.

        Examples
        --------
        >>> Fact(Reason.THICK_SLICES, "3.0 mm").text
        'thick slices (3.0 mm)'
        """
        return f"{self.reason.value} ({self.values})" if self.values else self.reason.value


def in_words(facts: Iterable[Fact]) -> str:
    """Write facts as in the column ``differences`` and on pages; ``n/a`` without any."""
    return _SEPARATOR.join(fact.text for fact in facts) or _NONE


def entries(facts: Sequence[Fact]) -> dict[str, str]:
    """Write facts as the columns ``reason`` and ``reason_values``, in the same order.

    Examples
    --------
    >>> entries([Fact(Reason.COIL, "Head_20, Head_32"), Fact(Reason.NOT_ALIGNED)])
    {'reason': 'receive coil; no alignment', 'reason_values': 'Head_20, Head_32; n/a'}
    """
    return {
        "reason": _SEPARATOR.join(fact.reason for fact in facts) or _NONE,
        "reason_values": _SEPARATOR.join(fact.values or _NONE for fact in facts) or _NONE,
    }


def facts_of(reason: str, values: str) -> tuple[Fact, ...]:
    """Read the columns that `entries` writes.

    Raises
    ------
    ValueError
        If they are none.
    """
    if reason == _NONE:
        return ()
    pairs = zip(reason.split(_SEPARATOR), values.split(_SEPARATOR), strict=True)
    return tuple(Fact(Reason(name), "" if value == _NONE else value) for name, value in pairs)


def reasons_of(text: str) -> list[str]:
    """Split the column ``reason``; empty without any."""
    return [] if text == _NONE else text.split(_SEPARATOR)
