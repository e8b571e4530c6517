"""The one table of contrasts; a new contrast is a line here.

The index, the alignment, the network, the fusion of masks and the programs read from it what they
may do with an image of a contrast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an image of a contrast is to a session.

    An ``ANCHOR`` can be the image that is measured, on whose grid all results lie; an ``OTHER``
    image is aligned to it, and so is a ``MAP``, which is computed or read as a quantitative map. A
    session without any anchor is measured on its map.
    """

    ANCHOR = "anchor"
    OTHER = "other"
    MAP = "map"


class Weighting(StrEnum):
    """Weighting of the image that is measured among those of a series.

    Attributes
    ----------
    requirement : str
        What the metadata have to give, for messages.
    """

    requirement: str

    def __new__(cls, value: str, requirement: str) -> Weighting:
        """Attach the requirement to the value."""
        weighting = str.__new__(cls, value)
        weighting._value_ = value
        weighting.requirement = requirement
        return weighting

    T1 = (
        "T1-weighted",
        "the FlipAngle of two images or more without MT pulse, or one of at least twice the Ernst "
        "angle with RepetitionTimeExcitation and an EchoTime of at most 0.01 s",
    )
    T2 = ("T2-weighted", "an EchoTime from 0.06 to 0.13 s")


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What thalbids does with the images of one contrast.

    Attributes
    ----------
    suffix : str
        BIDS suffix.
    role : Role
    channel : str
        Input channel of thalnet that takes it: the suffix of the contrast that it resembles among
        those the network was trained on.
    alignment : tuple of str
        Keys of ``bids_app.alignment.strategies.STRATEGIES``, in the order in which they are tried;
        empty for a contrast that is never aligned to another.
    flirt : tuple of str
        The same for FLIRT, keys of ``bids_app.programs.flirt.STRATEGIES``.
    series : Weighting or None
        Weighting of the one image that can be measured where the images are a series, as
        `bids_app.dataset.weighting` determines it; None where every image can be.
    scaled : bool
        Whether intensities are scaled within the brain before they are segmented, as Ibrahim et
        al. 2026 did with R1.
    remedy : str
        Sentence on what to do if no thalami are found in an image of it.
    bright_fluid : bool
        Whether fluid is the brightest rather than the darkest in the head.
    change_error : float
        SD (%) of the change of the thalami between two scans of 1 mm of a head that has not
        changed. T1w: two scans within weeks of each of three healthy adults (0.47). Others relative
        to it, as simulated (``benchmarks.atrophy --hard``): FLAIR 1.2 and R1 1.3 times
        as much. T2w, which was not measured, is given that of FLAIR.
    """

    suffix: str
    role: Role
    channel: str
    alignment: tuple[str, ...] = ()
    flirt: tuple[str, ...] = ()
    series: Weighting | None = None
    scaled: bool = False
    bright_fluid: bool = False
    change_error: float = 0.5
    remedy: str = ""


# In the order of preference as anchor, which is also that of names of ensembles: a session is
# measured on the first of these of which it has an image. T1w and FLAIR are acquired for reading
# anatomy and nearly every session has one. UNIT1 (MP2RAGE) and the T1-weighted echo of a
# quantitative acquisition are T1-weighted too, but noisier, and never in addition to another
# anchor: their content reaches it as R1. MEGRE is the least T1-weighted of them. T2w, often of
# thick slices, comes after them, then the T2-weighted echo of a multi-echo spin echo (MESE). R1
# alone, from IRT1 or MP2RAGE without UNIT1 or as a finished map, is measured last.
# R1 is aligned as in Ibrahim et al. 2026, section 2.5. Correlation suits R1, which rises with T1w;
# in FLAIR it changes its sign between tissues, so that only mutual information is left.
_TABLE = (
    Contrast(suffix="T1w", role=Role.ANCHOR, channel="T1w"),
    Contrast(
        suffix="FLAIR",
        role=Role.ANCHOR,
        channel="FLAIR",
        change_error=0.6,
        alignment=("rigid", "ants"),
        flirt=("correlation",),
    ),
    Contrast(
        suffix="UNIT1",
        role=Role.ANCHOR,
        channel="T1w",
        remedy="If the air around the head is noise, as in an MP2RAGE that was not denoised, set "
        "it to 0 with a mask of the head, or add the scanner's denoised image "
        "(rec-denoised_UNIT1).",
    ),
    Contrast(suffix="MPM", role=Role.ANCHOR, channel="T1w", series=Weighting.T1),
    Contrast(suffix="VFA", role=Role.ANCHOR, channel="T1w", series=Weighting.T1),
    Contrast(suffix="MTS", role=Role.ANCHOR, channel="T1w", series=Weighting.T1),
    Contrast(suffix="MEGRE", role=Role.ANCHOR, channel="T1w", series=Weighting.T1),
    Contrast(
        suffix="T2w",
        role=Role.ANCHOR,
        channel="T2w",
        alignment=("rigid", "ants"),
        flirt=("correlation",),
        bright_fluid=True,
        change_error=0.6,
    ),
    Contrast(
        suffix="MESE",
        role=Role.ANCHOR,
        channel="T2w",
        series=Weighting.T2,
        change_error=0.6,
    ),
    Contrast(
        suffix="R1map",
        role=Role.MAP,
        channel="R1map",
        alignment=("affine", "correlation", "ants"),
        flirt=("affine", "weighted correlation"),
        scaled=True,
        change_error=0.65,
    ),
)

CONTRASTS = {contrast.suffix: contrast for contrast in _TABLE}


def suffixes(*roles: Role) -> tuple[str, ...]:
    """List the contrasts that have one of some roles, or with none all, in the table's order.

    Examples
    --------
    >>> suffixes(Role.ANCHOR)
    ('T1w', 'FLAIR', 'UNIT1', 'MPM', 'VFA', 'MTS', 'MEGRE', 'T2w', 'MESE')
    """
    return tuple(each.suffix for each in _TABLE if not roles or each.role in roles)


def split_name(name: str) -> tuple[str, ...]:
    """Split a name that joins several contrasts.

    Parameters
    ----------
    name : str
        Suffixes one after the other; anything else in it is passed over.

    Examples
    --------
    >>> split_name("T1wFLAIRR1mapStaple")
    ('T1w', 'FLAIR', 'R1map')
    """
    return tuple(re.findall("|".join(sorted(CONTRASTS, key=len, reverse=True)), name))
