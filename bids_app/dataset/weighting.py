"""The T1-weighted image among those of a quantitative acquisition, by its metadata."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bids_app.dataset.choice import usable
from bids_app.dataset.metadata import Sidecars, merged
from bids_app.dataset.names import parse_name
from bids_app.errors import BadDataError


def t1_weighted(images: Iterable[Path], sidecars: Sidecars) -> list[Path]:
    """Choose the first echo of the highest flip angle among magnitudes without MT pulse.

    Parameters
    ----------
    images : iterable of Path
        Images of one session and suffix: MPM, VFA or MTS.
    sidecars : Sidecars
        JSON files of the dataset, which give flip angle and echo time.

    Returns
    -------
    list of Path
        Several if there are repetitions. Empty without two flip angles to compare: a single one
        may as well be proton-density weighted.
    """
    ranks: dict[Path, tuple[float, float, float]] = {}
    for image in usable(images)[0]:
        entities, _ = parse_name(image.name)
        try:
            fields = merged(sidecars.of(image))
        except BadDataError:
            continue
        angle, echo = _number(fields.get("FlipAngle")), entities.get("echo", "")
        if angle is not None and entities.get("mt", fields.get("MTState")) not in ("on", True):
            time = _number(fields.get("EchoTime")) or 0.0
            ranks[image] = (-angle, time, float(echo) if echo.isdigit() else 0.0)
    if len({angle for angle, _, _ in ranks.values()}) < 2:
        return []
    first = min(ranks.values())
    return [image for image, rank in ranks.items() if rank == first]


def _number(value: object) -> float | None:
    """Convert a number of the metadata; None if it is anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
