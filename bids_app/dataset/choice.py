"""The one rule by which an image is chosen where several could be taken.

What the dataset states about intent comes first: an image meant for the purpose, then one whose
name agrees. Then no contrast agent before agent, unprocessed before processed (``rec-``), thin
slices and small voxels before thick and large ones, unflagged before flagged by quality control,
low ``run-`` before high, short names before long ones. Where nothing separates two images, the
first by name is taken. The choice is always reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import inf, prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from bids_app.dataset.names import SCAN_ENTITIES, comparable, natural, parse_name
from bids_app.dataset.notes import Note, NoteKind

MEANT, UNKNOWN, ANOTHER = range(3)
# By these a name shows that its image was processed.
_PROCESSED = ("rec", "proc", "desc")
# Sides that differ by less (mm) are those of one protocol, rounded differently.
_SAME_SIZE = 0.05

T = TypeVar("T")


class Criterion(StrEnum):
    """What decides, in this order; the values complete "is used: it …"."""

    INTENT = "is the one intended for it"
    AGREEMENT = "agrees with it in its name"
    AGENT = "is without contrast agent"
    PROCESSING = "is unprocessed"
    VOXELS = "has the thinner slices or smaller voxels"
    QUALITY = "passes quality control"
    RUN = "is the first run"
    NAME = "has the shorter name"


@dataclass(frozen=True, kw_only=True)
class Candidate(Generic[T]):
    """Something that can be chosen, by the name of its image.

    Attributes
    ----------
    item : object
    path : Path
        Image file, whose name is compared, and its header where names alone do not decide.
    intent : {MEANT, UNKNOWN, ANOTHER}
        Whether it is intended for the purpose, or for another.
    label : str
        How the sentence calls it; by default by the name of its file.
    target : mapping of str to str
        Entities of what it is chosen for.
    flagged : int
        Number of its results that quality control flags.
    contrast_agent : bool
        Whether it was acquired with contrast agent, though its name does not show it.
    """

    item: T
    path: Path
    intent: int = UNKNOWN
    label: str = ""
    target: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    flagged: int = 0
    contrast_agent: bool = False

    @cached_property
    def entities(self) -> Mapping[str, str]:
        """Entities of the name, indices without leading zeros."""
        return comparable(parse_name(self.path.name).entities)

    def rank(self, criterion: Criterion) -> tuple[float, ...]:
        """Return a key by which candidates are sorted; the lowest is preferred."""
        return _RANKS[criterion](self)


@dataclass(frozen=True)
class Choice(Generic[T]):
    """Candidates in the order of preference, and what decided.

    Attributes
    ----------
    ranked : tuple of object
        The chosen one first.
    sentence : str
        What was chosen and why; empty if there was no choice.
    decisive : Criterion or None
        What separates the first from the second; None if nothing does, or there was no choice.
    """

    ranked: tuple[T, ...]
    sentence: str = ""
    decisive: Criterion | None = None

    @property
    def chosen(self) -> T:
        """The preferred one."""
        return self.ranked[0]

    @property
    def first(self) -> T | None:
        """The preferred one; None if there is nothing to choose from."""
        return next(iter(self.ranked), None)


def choose(candidates: Iterable[Candidate[T]], what: str) -> Choice[T]:
    """Choose among candidates by the rule.

    Parameters
    ----------
    candidates : iterable of Candidate
        At least one.
    what : str
        What they are, for the sentence: ``FLAIR images``.

    Returns
    -------
    Choice
    """
    remaining = sorted(candidates, key=lambda each: natural(each.path.name))
    if len(remaining) == 1:
        return Choice((remaining[0].item,))
    ranked, decisive = _ranked(remaining)
    names = [each.label or each.path.name for each in ranked]
    reason = f"it {decisive}"
    if decisive is None:
        reason = f"nothing separates it from {names[1]}, and it is the first by name"
    others = ", ".join(names[1:])
    sentence = f"Of {len(names)} {what}, {names[0]} is used: {reason}. Not used: {others}."
    return Choice(tuple(each.item for each in ranked), sentence, decisive)


def usable(paths: Iterable[Path]) -> tuple[list[Path], list[Note]]:
    """Exclude images that are no magnitudes, and all but one of those with the same name.

    The same name have a file compressed and not, two with an index written differently (``run-1``,
    ``run-01``), and one in a folder below that of its data type.

    Parameters
    ----------
    paths : iterable of Path
        Images of one subject.

    Returns
    -------
    kept : list of Path
        In natural order.
    notes : list of Note
        One for each other image.
    """
    groups: dict[tuple[object, ...], list[Path]] = {}
    notes = []
    for path in paths:
        entities, suffix = parse_name(path.name)
        if entities.get("part", "mag") != "mag":
            text = f"{path.name} is not used: part-{entities['part']} is no magnitude image."
            notes.append(Note(NoteKind.PASSED_BY, str(path), text))
            continue
        session = next((part for part in path.parts if part.startswith("ses-")), "")
        key = ("ses" not in entities and session, suffix, *sorted(comparable(entities).items()))
        groups.setdefault(key, []).append(path)
    kept = []
    for group in groups.values():
        # anat/ before fmap/ and anat/orig/, compressed before not.
        first, *others = sorted(
            group, key=lambda path: (path.parent.name != "anat", path.suffix != ".gz", path)
        )
        kept.append(first)
        for path in others:
            text = (
                f"{_place(path)} is not used: {_place(first)} has the same name. Remove one of "
                "them, or give them different entities."
            )
            notes.append(Note(NoteKind.CHOICE, str(path), text))
    return sorted(kept, key=lambda path: natural(str(path))), notes


def _place(path: Path) -> str:
    """Write the path of an image from the folder of its subject on."""
    folders = [place for place, part in enumerate(path.parts[:-1]) if part.startswith("sub-")]
    return "/".join(path.parts[folders[-1] if folders else -1 :])


def _ranked(
    candidates: Sequence[Candidate[T]], criteria: Sequence[Criterion] = tuple(Criterion)
) -> tuple[list[Candidate[T]], Criterion | None]:
    """Sort candidates; return also what separates the first from the second, if anything does."""
    if len(candidates) > 1:
        for place, criterion in enumerate(criteria):
            groups: dict[tuple[float, ...], list[Candidate[T]]] = {}
            for each in candidates:
                groups.setdefault(each.rank(criterion), []).append(each)
            if len(groups) > 1:
                rest = criteria[place + 1 :]
                ranked = [_ranked(groups[rank], rest) for rank in sorted(groups)]
                first, decisive = ranked[0]
                ordered = [each for members, _ in ranked for each in members]
                return ordered, criterion if len(first) == 1 else decisive
    return list(candidates), None


def _disagreement(candidate: Candidate[T]) -> tuple[int, int]:
    """Count the entities that contradict those of the target, and negatively those that agree."""
    entities, target = candidate.entities, comparable(candidate.target)
    shared = [key for key in SCAN_ENTITIES if key in entities and key in target]
    agreeing = sum(entities[key] == target[key] for key in shared)
    return len(shared) - agreeing, -agreeing


def _voxels(candidate: Candidate[T]) -> tuple[float, float]:
    """Longest side and volume of a voxel, rounded; infinite for what cannot be read."""
    # Reading images takes a quarter of a second to import, and most datasets leave no choice.
    from bids_app.dataset.images import voxel_size

    sides = voxel_size(candidate.path)
    if sides is None:
        return inf, inf
    rounded = [round(side / _SAME_SIZE) for side in sides]
    return max(rounded), prod(rounded)


def _run(candidate: Candidate[T]) -> tuple[float]:
    run = candidate.entities.get("run", "0")
    return (int(run) if run.isdecimal() else inf,)


_RANKS: Mapping[Criterion, Callable[[Candidate[Any]], tuple[float, ...]]] = {
    Criterion.INTENT: lambda candidate: (candidate.intent,),
    Criterion.AGREEMENT: _disagreement,
    Criterion.AGENT: lambda candidate: ("ce" in candidate.entities or candidate.contrast_agent,),
    Criterion.PROCESSING: lambda candidate: (sum(key in candidate.entities for key in _PROCESSED),),
    Criterion.VOXELS: _voxels,
    Criterion.QUALITY: lambda candidate: (candidate.flagged,),
    Criterion.RUN: _run,
    Criterion.NAME: lambda candidate: (len(candidate.entities),),
}
