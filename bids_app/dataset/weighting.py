"""The one image of a quantitative acquisition that can be measured, by its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import acos, degrees, exp
from pathlib import Path

from bids_app.contrasts import Weighting
from bids_app.dataset.choice import usable
from bids_app.dataset.metadata import Sidecars, merged
from bids_app.dataset.names import parse_name
from bids_app.errors import BadDataError

# A spoiled gradient echo at the Ernst angle has as much proton density as T1 in its contrast; from
# about twice that angle on, T1 prevails. Cortex has a T1 of about this (s) at 3 T.
_T1 = 1.3
_LEAST_ERNST_ANGLES = 2.0
_LONGEST_T1_WEIGHTED_ECHO = 0.01
# Echo times (s) of T2w scans of the brain, and the usual one.
_T2_WEIGHTED_ECHOES = (0.06, 0.13)
_USUAL_T2_WEIGHTED_ECHO = 0.09

_Fields = Mapping[str, object]
_Rank = tuple[float, ...]


def weighted(images: Iterable[Path], sidecars: Sidecars, weighting: Weighting) -> list[Path]:
    """Choose the image with some weighting among the magnitudes of a series.

    T1-weighted is the first echo of the highest flip angle without MT pulse, if there are two flip
    angles to compare or this one is far above the Ernst angle: others may as well be proton-density
    weighted. T2-weighted is the spin echo whose time is the closest to that of T2w scans.

    Parameters
    ----------
    images : iterable of Path
        Images of one session and suffix, for example MPM.
    sidecars : Sidecars
        JSON files of the dataset, which give flip angle and echo time.
    weighting : Weighting

    Returns
    -------
    list of Path
        Several if there are repetitions; empty if there is none.
    """
    described: dict[Path, _Fields] = {}
    for image in usable(images)[0]:
        try:
            described[image] = merged(sidecars.of(image))
        except BadDataError:
            continue
    rank = _t1_ranks if weighting is Weighting.T1 else _t2_ranks
    ranks = rank(described)
    first = min(ranks.values(), default=())
    return [image for image, each in ranks.items() if each == first]


def _t1_ranks(described: Mapping[Path, _Fields]) -> dict[Path, _Rank]:
    """Rank images without MT pulse by flip angle and echo; none if they may not be T1-weighted."""
    ranks: dict[Path, _Rank] = {}
    for image, fields in described.items():
        entities, _ = parse_name(image.name)
        angle, echo = _number(fields.get("FlipAngle")), entities.get("echo", "")
        if angle is not None and entities.get("mt", fields.get("MTState")) not in ("on", True):
            time = _number(fields.get("EchoTime")) or 0.0
            ranks[image] = (-angle, time, float(echo) if echo.isdigit() else 0.0)
    if len({angle for angle, *_ in ranks.values()}) > 1:
        return ranks
    first = min(ranks, key=lambda image: ranks[image], default=None)
    return ranks if first is not None and _is_t1_weighted(described[first]) else {}


def _is_t1_weighted(fields: _Fields) -> bool:
    """Check whether a single gradient echo is far above the Ernst angle, and short."""
    angle, echo = _number(fields.get("FlipAngle")), _number(fields.get("EchoTime"))
    time = _number(fields.get("RepetitionTimeExcitation", fields.get("RepetitionTime")))
    if angle is None or echo is None or time is None or time <= 0:
        return False
    ernst_angle = degrees(acos(exp(-time / _T1)))
    return angle >= _LEAST_ERNST_ANGLES * ernst_angle and echo <= _LONGEST_T1_WEIGHTED_ECHO


def _t2_ranks(described: Mapping[Path, _Fields]) -> dict[Path, _Rank]:
    """Rank the echoes that are T2-weighted by their distance from the usual echo time."""
    low, high = _T2_WEIGHTED_ECHOES
    times = {image: _number(fields.get("EchoTime")) for image, fields in described.items()}
    return {
        image: (abs(time - _USUAL_T2_WEIGHTED_ECHO), time)
        for image, time in times.items()
        if time is not None and low <= time <= high
    }


def _number(value: object) -> float | None:
    """Convert a number of the metadata; None if it is anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
