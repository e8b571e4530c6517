"""What differs between two visits, and whether their change can be measured all the same.

One table of rules: what applies to a pair of images, and what follows from it for the change of the
thalami and for that of the brain (PBVC).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.notes import reasons_to_review
from bids_app.derivatives.changes import Verdict
from bids_app.participant.follow_up.acquisition import Acquisition
from bids_app.segmentation.quality import THICK_SLICE_MM

Structure = Literal["thalamus", "brain"]

# Relative difference up to which numbers of a protocol are equal: headers round them, and scanners
# adapt them to the subject.
_SAME = 0.05
# A field strength of 2.89 T is called 3 T.
_SAME_FIELD = 0.2
# Correlation of two aligned images within the brain. Pairs of one head and protocol have more;
# alignment refuses those below the second.
_WELL_ALIGNED, _ALIGNED = 0.85, 0.7


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images of one contrast, aligned.

    Attributes
    ----------
    contrast : str
    first, later : Acquisition
    correlation : float
        Pearson correlation of the aligned images within the brain.
    """

    contrast: str
    first: Acquisition
    later: Acquisition
    correlation: float


@dataclass(frozen=True)
class Judgement:
    """Whether a change can be measured.

    Attributes
    ----------
    verdict : Verdict
    reasons : tuple of str
        Why not, or what has to be reviewed.
    differences : tuple of str
        In what the acquisitions differ, with both values.
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def is_measurable(self) -> bool:
        """Whether there is a change to report, reviewed or not."""
        return self.verdict is not Verdict.NOT_MEASURABLE

    @property
    def reason(self) -> str:
        """Reasons as in tables."""
        return "; ".join(self.reasons) or "n/a"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What may apply to a pair, and what follows from it.

    Attributes
    ----------
    details : function
        Returns what applies to a pair in words; an empty text if nothing does.
    thalamus, brain : Verdict
        Verdict on the change of each where it applies.
    is_difference : bool
        Whether it is a difference of acquisitions, rather than a limit of both or of their fit.
    """

    details: Callable[[Pair], str]
    thalamus: Verdict
    brain: Verdict
    is_difference: bool = True

    def verdict(self, structure: Structure) -> Verdict:
        """Return what follows for a structure."""
        return self.thalamus if structure == "thalamus" else self.brain


def judge(pairs: Sequence[Pair], structure: Structure) -> Judgement:
    """Judge the change between two visits.

    Parameters
    ----------
    pairs : sequence of Pair
        One for each contrast that the change is measured on.
    structure : {'thalamus', 'brain'}

    Returns
    -------
    Judgement
        The worst verdict of all rules that apply to any of the pairs.
    """
    verdicts, reasons, differences = [Verdict.MEASURED], [], []
    for rule in RULES:
        for text in _texts(rule, pairs):
            verdicts.append(rule.verdict(structure))
            if verdicts[-1] is not Verdict.MEASURED:
                reasons.append(text)
            if rule.is_difference:
                differences.append(text)
    worst = max(verdicts, key=list(Verdict).index)
    return Judgement(worst, tuple(reasons), tuple(differences))


def _texts(rule: Rule, pairs: Sequence[Pair]) -> Iterable[str]:
    """Describe what applies to the pairs; what does to all alike only once."""
    details = {pair.contrast: rule.details(pair) for pair in pairs}
    if len(set(details.values())) == 1:
        details = {"": next(iter(details.values()))}
    for contrast, text in details.items():
        if text:
            yield f"{contrast}: {text}" if contrast else text


def _differs(what: str, *names: str, same: float = 0.0) -> Callable[[Pair], str]:
    """Compare fields of the JSON files; one that a visit lacks differs in nothing.

    Parameters
    ----------
    what : str
    *names : str
        The first in which the visits differ is described.
    same : float
        Relative difference up to which numbers are equal.
    """

    def details(pair: Pair) -> str:
        for name in names:
            first, later = pair.first.fields.get(name), pair.later.fields.get(name)
            if None not in (first, later) and not _equal(first, later, same):
                return f"{what} ({_written(first)}, {_written(later)})"
        return ""

    return details


def _equal(first: object, later: object, same: float) -> bool:
    numbers = [each for each in (first, later) if isinstance(each, int | float)]
    if len(numbers) == 2:
        return abs(numbers[0] - numbers[1]) <= same * max(map(abs, numbers))
    return _written(first).casefold() == _written(later).casefold()


def _written(value: object) -> str:
    """Write a value of a JSON file in one line, without the separators of lists of differences."""
    text = "+".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text.replace(";", ",").split())


def _field_strength(pair: Pair) -> str:
    values = [each.fields.get("MagneticFieldStrength") for each in (pair.first, pair.later)]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < 2 or abs(numbers[0] - numbers[1]) <= _SAME_FIELD:
        return ""
    return f"field strength ({numbers[0]:g} T, {numbers[1]:g} T)"


def _contrast_agent(pair: Pair) -> str:
    agents = [each.contrast_agent for each in (pair.first, pair.later)]
    return f"contrast agent ({', '.join(agents)})" if len(set(agents)) > 1 else ""


def _voxel_size(pair: Pair) -> str:
    sides = [each.voxel_size for each in (pair.first, pair.later)]
    if not all(sides) or all(_equal(a, b, _SAME) for a, b in zip(*sides, strict=True)):
        return ""
    written = (" x ".join(f"{side:.2f}" for side in each) for each in sides)
    return f"voxel size ({' mm, '.join(written)} mm)"


def _slices(pair: Pair) -> str:
    slices = [each.slices or "none" for each in (pair.first, pair.later)]
    return f"slice direction ({', '.join(slices)})" if len(set(slices)) > 1 else ""


def _grid(pair: Pair) -> str:
    grids = [each.grid for each in (pair.first, pair.later)]
    return f"interpolation (grids of {', '.join(grids)})" if len(set(grids)) > 1 else ""


def _thick_slices(pair: Pair) -> str:
    thickest = max(pair.first.slice_thickness, pair.later.slice_thickness)
    return f"slices of {thickest:.1f} mm" if thickest > THICK_SLICE_MM else ""


def _fits_badly(pair: Pair) -> str:
    if pair.correlation >= _WELL_ALIGNED:
        return ""
    return (
        f"the aligned images correlate with {pair.correlation:.2f}, expected {_WELL_ALIGNED} or "
        "more"
    )


def _fits_not(pair: Pair) -> str:
    # Without a brain in common there is no correlation.
    return "" if pair.correlation >= _ALIGNED else "the images cannot be aligned"


def _uncertain_sides(pair: Pair) -> str:
    return "; ".join(reasons_to_review((*pair.first.notes, *pair.later.notes)))


def _bright_fluid(pair: Pair) -> str:
    if CONTRASTS[pair.contrast].bright_fluid:
        return f"brain volume change is not measured on {pair.contrast}"
    return ""


_MEASURED, _CHECK, _NOT = Verdict.MEASURED, Verdict.CHECK, Verdict.NOT_MEASURABLE
_TIMING = ("EchoTime", "RepetitionTime", "InversionTime", "FlipAngle")
_SEQUENCE = ("MRAcquisitionType", "PulseSequenceType", "ScanningSequence")
_SCANNER = ("Manufacturer", "ManufacturersModelName", "DeviceSerialNumber")
RULES = (
    Rule(details=_contrast_agent, thalamus=_CHECK, brain=_NOT),
    Rule(details=_differs("sequence", *_SEQUENCE), thalamus=_CHECK, brain=_NOT),
    Rule(details=_differs("timing", *_TIMING, same=_SAME), thalamus=_CHECK, brain=_CHECK),
    Rule(details=_field_strength, thalamus=_CHECK, brain=_NOT),
    Rule(details=_differs("scanner", *_SCANNER), thalamus=_CHECK, brain=_CHECK),
    Rule(details=_differs("software", "SoftwareVersions"), thalamus=_CHECK, brain=_CHECK),
    Rule(details=_differs("coil", "ReceiveCoilName"), thalamus=_CHECK, brain=_CHECK),
    Rule(
        details=_differs("correction of gradient nonlinearity", "NonlinearGradientCorrection"),
        thalamus=_CHECK,
        brain=_NOT,
    ),
    Rule(details=_voxel_size, thalamus=_CHECK, brain=_CHECK),
    Rule(details=_slices, thalamus=_CHECK, brain=_CHECK),
    Rule(details=_grid, thalamus=_CHECK, brain=_CHECK),
    Rule(details=_uncertain_sides, thalamus=_CHECK, brain=_MEASURED, is_difference=False),
    Rule(details=_thick_slices, thalamus=_CHECK, brain=_NOT, is_difference=False),
    Rule(details=_fits_badly, thalamus=_CHECK, brain=_NOT, is_difference=False),
    Rule(details=_fits_not, thalamus=_NOT, brain=_NOT, is_difference=False),
    Rule(details=_bright_fluid, thalamus=_MEASURED, brain=_NOT, is_difference=False),
)
