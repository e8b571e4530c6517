"""From the files of a session to typed acquisitions, each with what its maps depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bids_app.dataset.choice import ANOTHER, MEANT, UNKNOWN, Candidate, Choice, choose
from bids_app.dataset.names import SERIES_ENTITIES, comparable
from bids_app.dataset.sources import ACCOMPANYING, DERIVATIVE, SourceImage
from bids_app.errors import BadDataError, MissingInputError, ThalbidsError
from bids_app.participant.acquisition_types import (
    MP2RAGE,
    Acquisition,
    EchoSeries,
    InversionRecovery,
    MultiParameterMapping,
    RelaxationMap,
    VariableFlipAngle,
    shared_entities,
)
from bids_app.participant.inversion import LONGEST_EXCITATION, inversion_recovery, mp2rage
from bids_app.qmri.spoiled_gradient_echo import Excitation

# Entities that may distinguish images of one acquisition, or acquisitions (see `_split`).
_AMBIGUOUS = {"MPM": ("acq",), "VFA": ("acq",), "MP2RAGE": ("acq", "rec")}
# The longest plausible echo time, in s; larger values are milliseconds.
_LONGEST_ECHO = 0.2


_Build = Callable[[str, Sequence[SourceImage], SourceImage | None], Acquisition]


@dataclass(frozen=True)
class Acquisitions:
    """What the images of a session belong to.

    Attributes
    ----------
    usable : tuple of Acquisition
        Those that R1 can be computed from, in order of preference: what was given as a derivative;
        then multi-parameter mapping, MP2RAGE, variable flip angles and inversion recovery; then
        maps computed by the scanner.
    problems : tuple of str
        Why others cannot be used.
    unusable : tuple of SourceImage
        Images of these.
    """

    usable: tuple[Acquisition, ...]
    problems: tuple[str, ...]
    unusable: tuple[SourceImage, ...]


def acquisitions_of(sources: Iterable[SourceImage]) -> Acquisitions:
    """Put the images of a session together to acquisitions that R1 can be computed from.

    Parameters
    ----------
    sources : iterable of SourceImage

    Returns
    -------
    Acquisitions
    """
    sources = list(sources)
    acquisitions: list[Acquisition] = []
    problems: list[str] = []
    unusable: list[SourceImage] = []
    for dataset, kinds in _PREFERENCE.items():
        for kind in kinds:
            candidates = [
                image for image in sources if (image.dataset, _kind(image)) == (dataset, kind)
            ]
            sets = _by_preference(_split(candidates), kind)
            for images in sets.ranked:
                try:
                    fields = _transmit_field(sources, images)
                    acquisition = _BUILDERS[kind](_common_name(images), images, fields.first)
                except ThalbidsError as error:
                    problems.append(f"{kind} cannot be used: {error}")
                    unusable += images
                    continue
                if isinstance(acquisition, RelaxationMap):
                    accompanying = _accompanying(sources, acquisition.image)
                    acquisition = replace(acquisition, accompanying=accompanying)
                first = sets.sentence if images is sets.ranked[0] else ""
                sentences = (first, *acquisition.choices, fields.sentence)
                acquisitions.append(replace(acquisition, choices=tuple(filter(None, sentences))))
    return Acquisitions(tuple(acquisitions), tuple(problems), tuple(unusable))


def _accompanying(sources: Iterable[SourceImage], image: SourceImage) -> tuple[SourceImage, ...]:
    """Select the finished maps that have the name of a map of R1 or T1, but for the suffix."""
    return tuple(
        other
        for other in sources
        if other.suffix in ACCOMPANYING
        and (other.dataset, other.entities) == (image.dataset, image.entities)
    )


def images_of(acquisition: Acquisition) -> tuple[SourceImage, ...]:
    """List the images that maps depend on; of the first inversion of an MP2RAGE, the metadata."""
    if isinstance(acquisition, MP2RAGE):
        ratio = acquisition.ratio
        combined = ratio if isinstance(ratio, tuple) else (ratio,)
        return (*combined, acquisition.first, acquisition.second)
    if isinstance(acquisition, InversionRecovery):
        return acquisition.images
    if isinstance(acquisition, RelaxationMap):
        return (acquisition.image, *acquisition.accompanying)
    return tuple(image for each in acquisition.series for image in each.images)


def _kind(image: SourceImage) -> str:
    return "MP2RAGE" if image.suffix == "UNIT1" else image.suffix


def _by_preference(
    sets: Sequence[Sequence[SourceImage]], kind: str
) -> Choice[Sequence[SourceImage]]:
    """Sort the acquisitions of one kind, each known by its first image."""
    if not sets:
        return Choice(())
    candidates = [
        Candidate(
            item=images,
            path=images[0].path,
            label=f"{_common_name(images)}_{kind}",
            contrast_agent=any(image.contrast_agent for image in images),
        )
        for images in sets
    ]
    return choose(candidates, f"{kind} acquisitions")


def _split(images: Sequence[SourceImage]) -> list[list[SourceImage]]:
    """Sort the images of one kind into acquisitions.

    ``acq`` is in use both for the contrasts of one acquisition (acq-PDw, acq-T1w) and to
    distinguish two acquisitions, as is ``rec`` for the images of an MP2RAGE. They do the latter
    where each of their values is complete by itself.
    """
    groups: dict[tuple[tuple[str, str], ...], list[SourceImage]] = defaultdict(list)
    for image in images:
        entities = comparable(image.entities)
        within = {*SERIES_ENTITIES, *_AMBIGUOUS.get(_kind(image), ())}
        shared = {key: label for key, label in entities.items() if key not in within}
        groups[tuple(shared.items())].append(image)
    acquisitions = []
    for group in groups.values():
        by_label: dict[tuple[str, ...], list[SourceImage]] = defaultdict(list)
        for image in group:
            by_label[tuple(image.entities.get(key, "") for key in ("acq", "rec"))].append(image)
        whole = all(_is_complete(part) for part in by_label.values())
        acquisitions += list(by_label.values()) if whole else [group]
    return acquisitions


def _is_complete(images: Sequence[SourceImage]) -> bool:
    entities = [comparable(image.entities) for image in images]
    if _kind(images[0]) == "MP2RAGE":
        inversions = {each.get("inv") for each in entities}
        return inversions >= {"1", "2"} and any(image.suffix == "UNIT1" for image in images)
    flips = {each.get("flip") for each in entities if each.get("mt") != "on"}
    return len(flips) > 1


def _common_name(images: Sequence[SourceImage]) -> str:
    """Join the entities that all images share, as in file names."""
    shared, excluded = shared_entities(images), (*SERIES_ENTITIES, "space")
    return "_".join(f"{key}-{label}" for key, label in shared.items() if key not in excluded)


def _transmit_field(
    sources: Iterable[SourceImage], images: Sequence[SourceImage]
) -> Choice[SourceImage]:
    """Choose the B1+ map of some images, preferably one that was given as a derivative."""
    fields = [image for image in sources if image.suffix == "TB1map"]
    given = [image for image in fields if image.dataset == DERIVATIVE]
    target = shared_entities(images)
    candidates = [
        Candidate(item=image, path=image.path, intent=_intent(image, images), target=target)
        for image in given or fields
    ]
    if not candidates:
        return Choice(())
    choice = choose(candidates, "transmit field maps")
    if choice.sentence or candidates[0].intent < ANOTHER:
        return choice
    return Choice(
        choice.ranked,
        f"{candidates[0].path.name} is intended for other images by its JSON file, but used: it is "
        "the only transmit field map.",
    )


def _intent(source: SourceImage, images: Sequence[SourceImage]) -> int:
    """Check in the JSON files whether an image is intended for any of some images."""
    intended = {name.rpartition("/")[2].partition(".")[0] for name in _texts(source, "IntendedFor")}
    identifiers = _texts(source, "B0FieldIdentifier")
    wanted = {name for image in images for name in _texts(image, "B0FieldSource")}
    names = {image.path.name.partition(".")[0] for image in images}
    if intended & names or identifiers & wanted:
        return MEANT
    return ANOTHER if intended or (identifiers and wanted) else UNKNOWN


def _texts(image: SourceImage, field_name: str) -> set[str]:
    """Read a field that holds one text or a list of them."""
    value = image.metadata.get(field_name)
    values = value if isinstance(value, list) else [value]
    return {text for text in values if isinstance(text, str)}


def _multi_parameter_mapping(
    name: str, images: Sequence[SourceImage], field: SourceImage | None
) -> MultiParameterMapping:
    on = _echo_series([image for image in images if _has_mt_pulse(image)])
    off = _echo_series([image for image in images if not _has_mt_pulse(image)])
    if len(off) != 2 or len(on) > 1:
        raise MissingInputError(
            f"{name} has {len(off)} series without and {len(on)} with MT pulse; "
            "expected PDw and T1w (mt-off, two flip angles), and at most one MTw (mt-on)."
        )
    pd_weighted, t1_weighted = sorted(off, key=lambda series: series.excitation.flip_angle)
    _check_flip_angles(name, off)
    return MultiParameterMapping(name, pd_weighted, t1_weighted, on[0] if on else None, field)


def _variable_flip_angle(
    name: str, images: Sequence[SourceImage], field: SourceImage | None
) -> VariableFlipAngle:
    series = _echo_series(images)
    _check_flip_angles(name, series)
    times = {one.excitation.repetition_time for one in series}
    if len(times) > 1:
        raise BadDataError(f"{name} has several repetition times ({sorted(times)} s).")
    return VariableFlipAngle(name, tuple(series), field)


def _check_flip_angles(name: str, series: Sequence[EchoSeries]) -> None:
    angles = [one.excitation.flip_angle for one in series]
    if len(set(angles)) < 2:
        raise BadDataError(
            f"{name}: all flip angles are {angles[0]:g} degrees, so that R1 cannot be "
            "separated from proton density. Check FlipAngle in the JSON files."
        )


def _has_mt_pulse(image: SourceImage) -> bool:
    state = image.entities.get("mt", image.metadata.get("MTState"))
    if state not in ("on", "off", True, False):
        raise MissingInputError(f"{image.path.name} has neither the entity mt nor MTState.")
    return state in ("on", True)


def _echo_series(images: Iterable[SourceImage]) -> list[EchoSeries]:
    """Series of the same excitation, each with its echoes in order."""
    groups: dict[tuple[str, str], list[SourceImage]] = defaultdict(list)
    for image in images:
        entities = comparable(image.entities)
        groups[entities.get("acq", ""), entities.get("flip", "")].append(image)
    series = []
    for group in groups.values():
        excitations = {_excitation(image) for image in group}
        if len(excitations) > 1:
            raise BadDataError(
                f"The echoes of {group[0].path.name} differ in FlipAngle or repetition time."
            )
        timed = [(image.seconds("EchoTime", at_most=_LONGEST_ECHO), image) for image in group]
        timed.sort(key=lambda pair: pair[0])
        times = tuple(time for time, _ in timed)
        if len(set(times)) < len(times):
            raise BadDataError(f"Two echoes of {group[0].path.name} have the same EchoTime.")
        series.append(EchoSeries(tuple(image for _, image in timed), times, excitations.pop()))
    return series


def _excitation(image: SourceImage) -> Excitation:
    flip_angle = image.number("FlipAngle")
    if flip_angle > 90:
        raise BadDataError(f"{image.path.name}: a FlipAngle of {flip_angle:g} is above 90 degrees.")
    time = image.seconds("RepetitionTimeExcitation", "RepetitionTime", at_most=LONGEST_EXCITATION)
    return Excitation(flip_angle, time)


def _relaxation_map(
    name: str, images: Sequence[SourceImage], _field: SourceImage | None
) -> RelaxationMap:
    return RelaxationMap(name, images[0])


_BUILDERS: dict[str, _Build] = {
    "MPM": _multi_parameter_mapping,
    "VFA": _variable_flip_angle,
    "MP2RAGE": mp2rage,
    "IRT1": inversion_recovery,
    "R1map": _relaxation_map,
    "T1map": _relaxation_map,
}
# What was given as a derivative was meant to be used; a scanner's own map comes last.
_PREFERENCE: dict[str, tuple[str, ...]] = {
    DERIVATIVE: ("R1map", "T1map", "MPM", "MP2RAGE", "VFA", "IRT1"),
    "raw": ("MPM", "MP2RAGE", "VFA", "IRT1", "R1map", "T1map"),
}
