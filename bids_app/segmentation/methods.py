"""The built-in methods: one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from bids_app.images.volume import Volume
from bids_app.segmentation import atlas, thalnet
from bids_app.segmentation.result import Segmentation

Method = Callable[[Mapping[str, Volume], int], Segmentation]

METHODS: dict[str, Method] = {
    "thalnet": thalnet.segment,
    "atlas": atlas.segment,
}

# Those that look at all contrasts of a session at once where there are several.
JOINT_METHODS = frozenset({"thalnet"})


def built_in(names: Iterable[str], *, flip_averaging: bool = True) -> dict[str, Method]:
    """Give the methods of ``METHODS`` that are named.

    Parameters
    ----------
    names : iterable of str
        Others are left out.
    flip_averaging : bool
        Whether thalnet averages its outline with that of the mirrored images.
    """
    found = {name: METHODS[name] for name in names if name in METHODS}
    if "thalnet" in found and not flip_averaging:
        found["thalnet"] = partial(thalnet.segment, flip_averaging=False)
    return found
