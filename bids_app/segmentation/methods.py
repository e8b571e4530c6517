"""The built-in methods: a line for each module of this package that declares one.

Modules are imported when a method is used: the command line needs the names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from bids_app.contrasts import CONTRASTS

if TYPE_CHECKING:
    from bids_app.images.volume import Volume
    from bids_app.options import Methods
    from bids_app.segmentation.method import BuiltInMethod, Segment
    from bids_app.segmentation.result import Segmentation

BUILT_IN = (
    "thalnet",
    "atlas",
)


def built_in(name: str) -> BuiltInMethod:
    """Load a method of `BUILT_IN` by its name."""
    method: BuiltInMethod = import_module(f"bids_app.segmentation.{name}").METHOD
    return method


def segmenters(methods: Methods) -> dict[str, Segment]:
    """Return the requested built-in methods as functions of images by contrast.

    Parameters
    ----------
    methods : Methods
        Names of other programs among the requested methods are passed over.

    Returns
    -------
    dict of str to function
    """
    return {
        name: partial(_segment, built_in(name), methods.flip_averaging)
        for name in methods.names
        if name in BUILT_IN
    }


def _segment(
    method: BuiltInMethod,
    flip_averaging: bool,
    images: Mapping[str, Volume],
    threads: int,
    alone: Segmentation | None = None,
) -> Segmentation:
    """Apply a method to images by contrast; of two that share a channel the first is taken."""
    channels: dict[str, Volume] = {}
    for contrast, image in images.items():
        channels.setdefault(CONTRASTS[contrast].channel, image)
    settings: dict[str, object] = {}
    if method.joint:
        settings["alone"] = alone
    if method.flips:
        settings["flip_averaging"] = flip_averaging
    return method.segment(channels, threads, **settings)
