"""What differs between two visits, and whether their change can be measured all the same.

One table of rules: what applies to a pair of images, what follows from it for the change of the
thalami and for that of the brain (PBVC), and why (``docs/decisions/0019-verdicts.md``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.notes import NoteKind
from bids_app.derivatives.verdicts import Fact, Reason, Verdict
from bids_app.participant.follow_up.acquisition import Acquisition
from bids_app.segmentation.quality import has_thick_slices

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
    """Two images of one contrast.

    Attributes
    ----------
    contrast : str
    first, later : Acquisition
    correlation : float or None
        Pearson correlation of the aligned images within the brain; None if they were not aligned.
    is_copy : bool
        Whether both are the same image.
    """

    contrast: str
    first: Acquisition
    later: Acquisition
    correlation: float | None
    is_copy: bool = False


@dataclass(frozen=True)
class Judgement:
    """Whether a change can be measured.

    Attributes
    ----------
    verdict : Verdict
    reasons : tuple of Fact
        Why not, or what has to be reviewed.
    differences : tuple of Fact
        In what the acquisitions differ.
    """

    verdict: Verdict
    reasons: tuple[Fact, ...] = ()
    differences: tuple[Fact, ...] = ()

    @property
    def is_measurable(self) -> bool:
        """Whether there is a change to report, reviewed or not."""
        return self.verdict is not Verdict.NOT_MEASURABLE


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What may apply to a pair, and what follows from it.

    Attributes
    ----------
    reason : Reason
    values : function
        Returns what was found where the rule applies to a pair (empty if there is nothing to
        add); None where it does not.
    thalamus, brain : Verdict
        Verdict on the change of each where it applies.
    why : str
        Why these verdicts, as in the record of the decision.
    is_difference : bool
        Whether it is a difference of acquisitions, rather than a limit of both or of their fit.
    """

    reason: Reason
    values: Callable[[Pair], str | None]
    thalamus: Verdict
    brain: Verdict
    why: str
    is_difference: bool = True

    def verdict(self, structure: Structure) -> Verdict:
        """Return what follows for a structure."""
        return self.thalamus if structure == "thalamus" else self.brain

    def fact(self, pairs: Sequence[Pair]) -> Fact | None:
        """State what applies to any of the pairs: with the contrasts where it is not all alike."""
        values = {pair.contrast: self.values(pair) for pair in pairs}
        applies = {contrast: value for contrast, value in values.items() if value is not None}
        if not applies:
            return None
        if len(applies) == len(values) and len(set(applies.values())) == 1:
            return Fact(self.reason, next(iter(applies.values())))
        texts = (f"{contrast} {value}".rstrip() for contrast, value in applies.items())
        return Fact(self.reason, " / ".join(texts))


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
        fact = rule.fact(pairs)
        if fact is None:
            continue
        verdicts.append(rule.verdict(structure))
        if verdicts[-1] is not Verdict.MEASURED:
            reasons.append(fact)
        if rule.is_difference:
            differences.append(fact)
    worst = max(verdicts, key=list(Verdict).index)
    return Judgement(worst, tuple(reasons), tuple(differences))


def _differs(*names: str, same: float = 0.0) -> Callable[[Pair], str | None]:
    """Compare fields of the JSON files; one that a visit lacks differs in nothing.

    Parameters
    ----------
    *names : str
        The first in which the visits differ is described.
    same : float
        Relative difference up to which numbers are equal.
    """

    def values(pair: Pair) -> str | None:
        for name in names:
            first, later = pair.first.fields.get(name), pair.later.fields.get(name)
            if None not in (first, later) and not _equal(name, first, later, same):
                return f"{_written(first)}, {_written(later)}"
        return None

    return values


def _equal(name: str, first: object, later: object, same: float) -> bool:
    numbers = [each for each in (first, later) if isinstance(each, int | float)]
    if len(numbers) == 2:
        return abs(numbers[0] - numbers[1]) <= same * max(map(abs, numbers))
    return _spelled(name, first) == _spelled(name, later)


def _spelled(name: str, value: object) -> str:
    """Normalise the spelling of a text: versions of converters and scanners differ in no more.

    ``syngo_MR_E11`` is ``syngo MR E11``, ``GE MEDICAL SYSTEMS`` is ``GE``, and ``MAGNETOM Prisma
    Fit`` is ``Prisma_fit``.
    """
    words = re.findall(r"[^\W_]+", _written(value).casefold())
    if name == "Manufacturer":
        return words[0] if words else ""
    return "".join(word for word in words if word != "magnetom")


def _written(value: object) -> str:
    """Write a value of a JSON file in one line, without the separators of lists of facts."""
    text = "+".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text.replace(";", ",").split())


def _field_strength(pair: Pair) -> str | None:
    values = [each.fields.get("MagneticFieldStrength") for each in (pair.first, pair.later)]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < 2 or abs(numbers[0] - numbers[1]) <= _SAME_FIELD:
        return None
    return f"{numbers[0]:g} T, {numbers[1]:g} T"


def _contrast_agent(pair: Pair) -> str | None:
    return _if_different(pair.first.contrast_agent, pair.later.contrast_agent)


def _voxel_size(pair: Pair) -> str | None:
    sides = [each.voxel_size for each in (pair.first, pair.later)]
    if not all(sides) or all(
        abs(one - other) <= _SAME * max(one, other) for one, other in zip(*sides, strict=True)
    ):
        return None
    written = (" x ".join(f"{side:.2f}" for side in each) for each in sides)
    return f"{' mm, '.join(written)} mm"


def _slices(pair: Pair) -> str | None:
    return _if_different(pair.first.slices or "none", pair.later.slices or "none")


def _grid(pair: Pair) -> str | None:
    different = _if_different(pair.first.grid, pair.later.grid)
    return different and f"grids of {different}"


def _if_different(first: str, later: str) -> str | None:
    return f"{first}, {later}" if first != later else None


def _thick_slices(pair: Pair) -> str | None:
    thickest = max(pair.first.slice_thickness, pair.later.slice_thickness)
    return f"{thickest:.1f} mm" if has_thick_slices(thickest) else None


def _fits_badly(pair: Pair) -> str | None:
    correlation = pair.correlation
    if correlation is None or not _ALIGNED <= correlation < _WELL_ALIGNED:
        return None
    return f"correlation {correlation:.2f}, expected {_WELL_ALIGNED} or more"


def _fits_not(pair: Pair) -> str | None:
    # Without a brain in common the correlation is NaN.
    if pair.correlation is None or pair.correlation >= _ALIGNED:
        return None
    return f"correlation {pair.correlation:.2f}, expected {_ALIGNED} or more"


def _noted(kind: NoteKind) -> Callable[[Pair], str | None]:
    """Report that the header of either image leaves something uncertain."""

    def values(pair: Pair) -> str | None:
        notes = (*pair.first.notes, *pair.later.notes)
        return "" if any(note.kind is kind for note in notes) else None

    return values


def _copied(pair: Pair) -> str | None:
    return "" if pair.is_copy else None


def _bright_fluid(pair: Pair) -> str | None:
    return pair.contrast if CONTRASTS[pair.contrast].bright_fluid else None


_MEASURED, _CHECK, _NOT = Verdict.MEASURED, Verdict.CHECK, Verdict.NOT_MEASURABLE
RULES = (
    Rule(
        reason=Reason.COPY,
        values=_copied,
        thalamus=_NOT,
        brain=_NOT,
        is_difference=False,
        why="nothing can change in an image that was copied from one visit to the other",
    ),
    Rule(
        reason=Reason.NOT_ALIGNED,
        values=_fits_not,
        thalamus=_NOT,
        brain=_NOT,
        is_difference=False,
        why="aligned scans of two heads correlate with 0.6 at most, of one head with 0.8 or more",
    ),
    Rule(
        reason=Reason.POOR_FIT,
        values=_fits_badly,
        thalamus=_CHECK,
        brain=_NOT,
        is_difference=False,
        why="motion, artefacts or another contrast; brain volume change depends on all borders",
    ),
    Rule(
        reason=Reason.CONTRAST_AGENT,
        values=_contrast_agent,
        thalamus=_CHECK,
        brain=_NOT,
        why="vessels, choroid plexus and meninges enhance next to the borders that are compared",
    ),
    Rule(
        reason=Reason.SEQUENCE,
        values=_differs("MRAcquisitionType", "PulseSequenceType", "ScanningSequence"),
        thalamus=_CHECK,
        brain=_NOT,
        why="another contrast of tissues and fluid displaces all borders",
    ),
    Rule(
        reason=Reason.TIMING,
        values=_differs("EchoTime", "RepetitionTime", "InversionTime", "FlipAngle", same=_SAME),
        thalamus=_CHECK,
        brain=_CHECK,
        why="by more than 5 %: the contrast of white and grey matter differs",
    ),
    Rule(
        reason=Reason.FIELD_STRENGTH,
        values=_field_strength,
        thalamus=_CHECK,
        brain=_NOT,
        why="volumes at 1.5 and 3 T have a bias against each other (Jovicich et al. 2009)",
    ),
    Rule(
        reason=Reason.SCANNER,
        values=_differs("Manufacturer", "ManufacturersModelName", "DeviceSerialNumber"),
        thalamus=_CHECK,
        brain=_CHECK,
        why="geometry differs between scanners, and volumes with it (Kruggel et al. 2010)",
    ),
    Rule(
        reason=Reason.COIL,
        values=_differs("ReceiveCoilName"),
        thalamus=_CHECK,
        brain=_CHECK,
        why="sensitivity and noise differ, as does the precision of volumes (Kruggel et al. 2010)",
    ),
    Rule(
        reason=Reason.SOFTWARE,
        values=_differs("SoftwareVersions"),
        thalamus=_MEASURED,
        brain=_MEASURED,
        why="every study of several years has updates; volumes on one scanner, thalami included, "
        "were as reliable across major upgrades as within (Jovicich et al. 2009)",
    ),
    Rule(
        reason=Reason.GRADIENT_CORRECTION,
        values=_differs("NonlinearGradientCorrection"),
        thalamus=_CHECK,
        brain=_NOT,
        why="uncorrected geometry depends on the position of the head in the scanner",
    ),
    Rule(
        reason=Reason.VOXEL_SIZE,
        values=_voxel_size,
        thalamus=_CHECK,
        brain=_CHECK,
        why="by more than 5 %: partial volume differs at all borders",
    ),
    Rule(
        reason=Reason.SLICE_DIRECTION,
        values=_slices,
        thalamus=_CHECK,
        brain=_CHECK,
        why="partial volume differs in direction",
    ),
    Rule(
        reason=Reason.INTERPOLATION,
        values=_grid,
        thalamus=_CHECK,
        brain=_CHECK,
        why="one image was interpolated once more than the other",
    ),
    Rule(
        reason=Reason.UNCERTAIN_SIDES,
        values=_noted(NoteKind.SIDES),
        thalamus=_CHECK,
        brain=_MEASURED,
        is_difference=False,
        why="left and right may be exchanged",
    ),
    Rule(
        reason=Reason.UNCERTAIN_SIZE,
        values=_noted(NoteKind.VOXEL_SIZE),
        thalamus=_CHECK,
        brain=_CHECK,
        is_difference=False,
        why="a wrong voxel size is a change of volume",
    ),
    Rule(
        reason=Reason.THICK_SLICES,
        values=_thick_slices,
        thalamus=_CHECK,
        brain=_NOT,
        is_difference=False,
        why="above 2 mm, partial volume depends on the position of the slices, which differs from "
        "visit to visit",
    ),
    Rule(
        reason=Reason.BRIGHT_FLUID,
        values=_bright_fluid,
        thalamus=_MEASURED,
        brain=_NOT,
        is_difference=False,
        why="the share of tissue in a voxel is estimated where fluid is the darkest",
    ),
)
