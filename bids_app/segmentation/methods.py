"""The registries: one line for each method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bids_app.images.volume import Volume
from bids_app.segmentation import (
    atlas,
    dbsegment,
    fastsurfer,
    first,
    freesurfer,
    mindglide,
    synthseg,
    thalnet,
)
from bids_app.segmentation.external import ExternalMethod
from bids_app.segmentation.result import Segmentation

METHODS: dict[str, Callable[[Mapping[str, Volume], int], Segmentation]] = {
    "thalnet": thalnet.segment,
    "atlas": atlas.segment,
}

# Those that look at all contrasts of a session at once where there are several.
JOINT_METHODS = frozenset({"thalnet"})

# Those that other programs carry out.
EXTERNAL: dict[str, ExternalMethod] = {
    method.name: method
    for method in (
        freesurfer.METHOD,
        first.METHOD,
        fastsurfer.METHOD,
        synthseg.METHOD,
        dbsegment.METHOD,
        mindglide.METHOD,
        mindglide.METHOD_1,
    )
}


def built_in(names: Iterable[str]) -> tuple[str, ...]:
    """thalnet, on whose brain mask all else rests, and what else of ``METHODS`` is named."""
    return tuple(dict.fromkeys(("thalnet", *(name for name in names if name in METHODS))))
