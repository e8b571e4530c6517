"""The scans that are checked: which contrasts a dataset has, and three scans of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_app.contrasts import Role, suffixes
from bids_app.dataset.index import Scan, Session
from bids_app.derivatives import names
from bids_app.derivatives.readback import measured_anchors
from bids_app.run.records import read_record

RULE = (
    "one scan per participant, of its first session that has the contrast: those of the first, the "
    "last and the middle participant by label; where one cannot be used, that of the next in "
    "between; later sessions only if fewer than three participants have one"
)


@dataclass(frozen=True)
class Source:
    """An image of a contrast that visits can be simulated from.

    Attributes
    ----------
    anchor : Scan
        The image itself, or the scan on whose grid a map lies.
    contrast : str
    path : Path
        File that is read.
    """

    anchor: Scan
    contrast: str
    path: Path

    @property
    def is_map(self) -> bool:
        """Whether it is a map among the results of the participant stage."""
        return self.contrast in suffixes(Role.MAP)

    @property
    def name(self) -> str:
        """``sub-01_ses-01_T1w``."""
        return f"{self.anchor.name}_{self.contrast}"


def sources_of(sessions: Sequence[Session], output_dir: Path) -> dict[str, list[Source]]:
    """List the images of every contrast, those to be tried first at the front.

    Parameters
    ----------
    sessions : sequence of Session
        In the order of their labels.
    output_dir : Path
        Maps are taken from the results of the participant stage, if there are any.

    Returns
    -------
    dict of str to list of Source
        By contrast, in the order of ``bids_app.contrasts``.
    """
    by_contrast: dict[str, list[Source]] = {}
    for session in sessions:
        for source in _of_session(session, output_dir):
            by_contrast.setdefault(source.contrast, []).append(source)
    return {name: in_order(by_contrast[name]) for name in suffixes() if name in by_contrast}


def _of_session(session: Session, output_dir: Path) -> Iterator[Source]:
    """Yield one image of every contrast of a session, without contrast agent where it has one."""
    anchors = sorted(session.anchors, key=lambda scan: scan.contrast_agent is not None)
    for scan in (*anchors[:1], *session.others):
        if not scan.is_map:
            yield Source(scan, scan.contrast, scan.path)
    for anchor in measured_anchors(session, read_record(output_dir, session.name))[:1]:
        for contrast in suffixes(Role.MAP):
            path = output_dir / names.aligned(anchor, contrast)
            if path.is_file():
                yield Source(anchor, contrast, path)


def in_order(sources: Iterable[Source]) -> list[Source]:
    """Sort the images of a contrast by the rule of `RULE`."""
    first: dict[str, Source] = {}
    later = []
    for source in sources:
        subject = dict(source.anchor.entities)["sub"]
        if first.setdefault(subject, source) is not source:
            later.append(source)
    of_participants = list(first.values())
    return [*(of_participants[place] for place in spread(len(of_participants))), *later]


def spread(count: int) -> list[int]:
    """Order the places of a list so that any first ones are spread over it.

    Examples
    --------
    >>> spread(7)
    [0, 6, 3, 1, 4, 2, 5]
    """
    if count < 2:
        return list(range(count))
    order = [0, count - 1]
    gaps = [(0, count - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if middle not in (low, high):
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return order
