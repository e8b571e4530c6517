"""Acquisitions after inversion of the magnetisation: MP2RAGE and inversion recovery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence

from bids_app.dataset.choice import Candidate, Choice, choose
from bids_app.dataset.names import comparable
from bids_app.dataset.sources import SourceImage
from bids_app.errors import BadDataError, MissingInputError
from bids_app.participant.acquisition_types import MP2RAGE, InversionRecovery, shared_entities
from bids_app.qmri.inversion_recovery import FEWEST_TIMES
from bids_app.qmri.mp2rage import MP2RAGEProtocol

# The longest plausible times, in s; larger values are milliseconds.
LONGEST_EXCITATION = 1.0
_LONGEST_PREPARATION = 30.0
# Phases of echoes further apart (s) differ by the off-resonance too.
_SAME_ECHO = 0.001


def mp2rage(name: str, images: Sequence[SourceImage], field: SourceImage | None) -> MP2RAGE:
    """Put UNIT1 and the inversion images of an MP2RAGE together; without UNIT1, their phases.

    Parameters
    ----------
    name : str
        Entities that all images share.
    images : sequence of SourceImage
        UNIT1, magnitudes and phases.
    field : SourceImage or None
        TB1map.

    Raises
    ------
    MissingInputError, BadDataError
        If an image or a field of the metadata is missing, or its value is impossible.
    """
    ratios = [image for image in images if image.suffix == "UNIT1"]
    inversions = _by_inversion(
        image for image in images if image not in ratios and not _is_phase(image)
    )
    phases = _by_inversion(image for image in images if _is_phase(image))
    _check_complete(name, images, inversions.keys(), phases.keys())
    if not ratios:
        inversions = {label: _first_echo(each) for label, each in inversions.items()}
    one, two = (_chosen(inversions[label], f"inv-{label} images") for label in ("1", "2"))
    first, second = one.chosen, two.chosen
    if not ratios:
        _check_echoes(first, second)
    target = shared_entities([first, second])
    candidates = [Candidate(item=each, path=each.path, target=target) for each in ratios]
    ratio = choose(candidates, "UNIT1 images") if candidates else Choice(())
    return MP2RAGE(
        name,
        ratio.first or (_phase_of(first, phases["1"]), _phase_of(second, phases["2"])),
        first,
        second,
        _protocol(name, first, second),
        field,
        choices=tuple(choice.sentence for choice in (ratio, one, two) if choice.sentence),
    )


def _check_complete(
    name: str,
    images: Sequence[SourceImage],
    inversions: Container[str | None],
    phases: Container[str | None],
) -> None:
    """Name the files that R1 lacks, given the inversions of magnitudes and phases.

    Raises
    ------
    MissingInputError
        If there are such.
    """
    part = "_part-mag" if any("part" in image.entities for image in images) else ""
    if absent := _absent(name, inversions, part):
        raise MissingInputError(
            "R1 needs the magnitudes of both inversions in addition to the UNIT1 image or phases "
            f"of {name}. Missing: {absent}, each with its JSON file."
        )
    absent = _absent(name, phases, "_part-phase")
    if absent and all(image.suffix != "UNIT1" for image in images):
        raise MissingInputError(
            f"{name} has no UNIT1 image, and no phases of both inversions to compute it from; the "
            "polarity is lost in the magnitudes alone. Missing: "
            f"{name}_UNIT1.nii.gz, or {absent}."
        )


def _absent(name: str, inversions: Container[str | None], part: str) -> str:
    """Name the files of both inversions that there are not; empty if there are."""
    labels = [label for label in ("1", "2") if label not in inversions]
    return " and ".join(f"{name}_inv-{label}{part}_MP2RAGE.nii.gz" for label in labels)


def _by_inversion(images: Iterable[SourceImage]) -> dict[str | None, list[SourceImage]]:
    inversions: dict[str | None, list[SourceImage]] = defaultdict(list)
    for image in images:
        inversions[comparable(image.entities).get("inv")].append(image)
    return inversions


def _is_phase(image: SourceImage) -> bool:
    return image.entities.get("part") == "phase"


def _chosen(images: Sequence[SourceImage], what: str) -> Choice[SourceImage]:
    return choose([Candidate(item=image, path=image.path) for image in images], what)


def _first_echo(images: Sequence[SourceImage]) -> list[SourceImage]:
    """Select the first echo, in which least of the signal has decayed."""
    echoes = [int(comparable(image.entities).get("echo", "0")) for image in images]
    return [image for image, echo in zip(images, echoes, strict=True) if echo == min(echoes)]


def _phase_of(magnitude: SourceImage, phases: Sequence[SourceImage]) -> SourceImage:
    """Find the phase of a magnitude: their names differ in ``part`` alone."""
    wanted = {**magnitude.entities, "part": "phase"}
    for phase in phases:
        if phase.entities == wanted:
            return phase
    raise MissingInputError(f"{magnitude.path.name} has no part-phase image of the same name.")


def _check_echoes(first: SourceImage, second: SourceImage) -> None:
    """Refuse phases at two echo times, between which they evolve off resonance."""
    if any("EchoTime" not in image.metadata for image in (first, second)):
        return
    one, two = first.number("EchoTime"), second.number("EchoTime")
    if abs(one - two) > _SAME_ECHO:
        raise BadDataError(
            f"{first.path.name} and {second.path.name} have an EchoTime of {one:g} and {two:g} s, "
            "so that their phases differ by the off-resonance, too. Expected a UNIT1 image."
        )


def _protocol(name: str, first: SourceImage, second: SourceImage) -> MP2RAGEProtocol:
    longest = _LONGEST_PREPARATION
    times = [image.seconds("InversionTime", at_most=longest) for image in (first, second)]
    own_times = [image for image in (first, second) if "RepetitionTimeExcitation" in image.metadata]
    excitation = [
        image.seconds("RepetitionTimeExcitation", at_most=LONGEST_EXCITATION)
        for image in own_times or [first]
    ]
    try:
        return MP2RAGEProtocol(
            inversion_times=(times[0], times[1]),
            flip_angles=(first.number("FlipAngle"), second.number("FlipAngle")),
            repetition_time_preparation=first.seconds(
                "RepetitionTimePreparation", "RepetitionTime", at_most=longest
            ),
            repetition_times_excitation=(excitation[0], excitation[-1]),
            shots=_shots(first),
        )
    except ValueError as error:
        raise BadDataError(f"{name}: {error}") from error


def _shots(image: SourceImage) -> tuple[int, int]:
    """Pulses before and after the centre of k-space: NumberShots is their sum or the pair."""
    shots = image.metadata.get("NumberShots")
    if isinstance(shots, list) and len(shots) == 2 and all(isinstance(n, int) for n in shots):
        return shots[0], shots[1]
    total = int(image.number("NumberShots"))
    return total // 2, total - total // 2


def inversion_recovery(
    name: str, images: Sequence[SourceImage], _field: SourceImage | None
) -> InversionRecovery:
    """Sort the images of an inversion recovery by their inversion times.

    T1 does not depend on the flip angles, and so not on a transmit field.

    Raises
    ------
    MissingInputError, BadDataError
        If there are too few inversion times, or they are missing or impossible.
    """
    timed = [(each.seconds("InversionTime", at_most=_LONGEST_PREPARATION), each) for each in images]
    timed.sort(key=lambda pair: pair[0])
    times = tuple(time for time, _ in timed)
    if len(set(times)) < len(times):
        raise BadDataError(f"Two images of {name}_IRT1 have the same InversionTime.")
    if len(times) < FEWEST_TIMES:
        raise MissingInputError(
            f"{name}_IRT1 has {len(times)} inversion times; expected {FEWEST_TIMES} or more, as "
            "the polarity of magnitudes has to be found too."
        )
    return InversionRecovery(name, tuple(image for _, image in timed), times)
