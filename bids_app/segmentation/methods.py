"""The registry: one line for each method."""

from __future__ import annotations

from collections.abc import Callable

from bids_app.images.volume import Volume
from bids_app.segmentation import thalnet
from bids_app.segmentation.result import Segmentation

METHODS: dict[str, Callable[[Volume, int], Segmentation]] = {
    "thalnet": thalnet.segment,
}
