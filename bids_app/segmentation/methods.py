"""The registry: one line for each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bids_app.images.volume import Volume
from bids_app.segmentation import atlas, thalnet
from bids_app.segmentation.result import Segmentation

METHODS: dict[str, Callable[[Mapping[str, Volume], int], Segmentation]] = {
    "thalnet": thalnet.segment,
    "atlas": atlas.segment,
}

# Those that look at all contrasts of a session at once where there are several.
JOINT_METHODS = frozenset({"thalnet"})
