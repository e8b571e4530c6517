"""Figures of pairs of visits, and the order in which pairs are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from bids_app.dataset.names import natural
from bids_app.images.volume import Volume
from bids_app.participant.follow_up.changes import pairs_of_visits
from bids_app.participant.follow_up.space import are_comparable
from bids_app.participant.follow_up.visits import VisitScan

Pair = TypeVar("Pair")
# Each has some 300 kB.
_MOST_FIGURES = 5


def draw_pairs(
    scans: Sequence[VisitScan], read: Callable[[VisitScan], tuple[Volume, Volume]]
) -> dict[tuple[str, str], bytes]:
    """Draw pairs of visits side by side: from the first visit to the last, then the others.

    Parameters
    ----------
    scans : sequence of VisitScan
        Those that were compared.
    read : function
        Returns the image and the labels of a scan in the common space.

    Returns
    -------
    dict of (str, str) to bytes
        PNG by earlier and later session.
    """
    from bids_app.report.shift_map import Visit, visits_figure

    figures = {}
    pairs = in_order(
        pairs_of_visits(scans) if are_comparable(scans) else [],
        key=lambda pair: (pair[0].session, pair[1].session),
    )
    for pair in pairs[:_MOST_FIGURES]:
        images = [read(scan) for scan in pair]
        first, later = (
            Visit(scan.session, image.data, labels.data)
            for scan, (image, labels) in zip(pair, images, strict=True)
        )
        # Files hold affines in single precision, and a page that is drawn again is the same.
        size = np.round(images[0][0].voxel_size, 4)
        figures[first.name, later.name] = visits_figure(first, later, size)
    return figures


def in_order(pairs: Iterable[Pair], key: Callable[[Pair], tuple[str, str]]) -> list[Pair]:
    """Order pairs of visits as they are read: from the first to the last first, then by label.

    Parameters
    ----------
    pairs : iterable
    key : function
        Returns the earlier and the later session of a pair.
    """
    ordered = sorted(pairs, key=lambda pair: tuple(map(natural, key(pair))))
    if not ordered:
        return []
    first = key(ordered[0])[0]
    longest = [pair for pair in ordered if key(pair)[0] == first][-1]
    return [longest, *(pair for pair in ordered if pair != longest)]
