"""What can be followed: the contrasts that a subject has at two or more sessions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from bids_app.contrasts import CONTRASTS, Role, suffixes
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import natural
from bids_app.dataset.notes import Note, NoteKind
from bids_app.dataset.sources import find_sources
from bids_app.derivatives import names
from bids_app.derivatives.readback import measured_anchors
from bids_app.errors import Cause, Problem
from bids_app.options import Folders
from bids_app.run.records import read_record

_MAPS = suffixes(Role.MAP)


@dataclass(frozen=True)
class VisitScan:
    """A measured scan of a visit, and the other contrasts on its grid.

    Attributes
    ----------
    anchor : Scan
    others : tuple of Scan
        Images that were aligned to it.
    maps : tuple of str
        Quantitative maps that were aligned to it.
    """

    anchor: Scan
    others: tuple[Scan, ...] = ()
    maps: tuple[str, ...] = ()

    @property
    def images(self) -> dict[str, Scan]:
        """Raw images by contrast, the anchor first."""
        return {scan.contrast: scan for scan in (self.anchor, *self.others)}

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Contrasts on the grid of the scan."""
        return (*self.images, *self.maps)

    @property
    def session(self) -> str:
        """``ses-01``; ``n/a`` without session."""
        return f"ses-{self.anchor.session}" if self.anchor.session else "n/a"


def measured_visits(
    sessions: Iterable[Session], measured: Collection[str], output_dir: Path
) -> dict[str, list[VisitScan]]:
    """List what has been measured of every subject, by the records of its sessions.

    Parameters
    ----------
    sessions : iterable of Session
    measured : collection of str
        Names of the sessions that have results.
    output_dir : Path

    Returns
    -------
    dict of str to list of VisitScan
        By the subject's label, sessions in order; without contrast agent where a session has such
        scans.
    """
    return _by_subject(
        sessions,
        lambda session: _measured(session, output_dir) if session.name in measured else (),
    )


def expected_visits(sessions: Iterable[Session], folders: Folders) -> dict[str, list[VisitScan]]:
    """List what will be measured of every subject if all goes well, as `measured_visits`."""

    def expected(session: Session) -> Iterator[VisitScan]:
        # Whatever maps are made, R1 is the one that is aligned.
        maps = _MAPS if find_sources(session, folders) else ()
        for anchor in _without_agent(session.anchors):
            yield VisitScan(anchor, session.others, () if anchor.is_map else maps)

    return _by_subject(sessions, expected)


def _by_subject(
    sessions: Iterable[Session], scans_of: Callable[[Session], Iterable[VisitScan]]
) -> dict[str, list[VisitScan]]:
    visits: dict[str, list[VisitScan]] = {}
    for session in sorted(sessions, key=lambda each: (each.subject, natural(each.session))):
        visits.setdefault(session.subject, []).extend(scans_of(session))
    return visits


def _measured(session: Session, output_dir: Path) -> Iterator[VisitScan]:
    record = read_record(output_dir, session.name)
    outputs = record.outputs if record else {}
    for anchor in _without_agent(measured_anchors(session, record)):
        aligned = {name for name in CONTRASTS if str(names.aligned(anchor, name)) in outputs}
        yield VisitScan(
            anchor,
            tuple(scan for scan in session.others if scan.contrast in aligned),
            tuple(name for name in _MAPS if name in aligned),
        )


def scans_of_series(series: Session, output_dir: Path) -> list[VisitScan]:
    """List the measured scans of all visits of a longitudinal series, in order."""
    labels = {scan.session for scan in series.anchors}
    sessions = [
        replace(
            series,
            session=label,
            anchors=tuple(scan for scan in series.anchors if scan.session == label),
            others=tuple(scan for scan in series.others if scan.session == label),
        )
        for label in labels
    ]
    measured = {session.name for session in sessions}
    return measured_visits(sessions, measured, output_dir)[series.subject]


def longitudinal_series(visits: Mapping[str, Sequence[VisitScan]]) -> list[Session]:
    """Gather what can be followed of every subject.

    Parameters
    ----------
    visits : mapping of str to sequence of VisitScan
        Measured scans of all sessions, by the subject's label; a subject's sessions in any order.

    Returns
    -------
    list of Session
        One for each subject, named ``sub-01``: anchors and other scans of all sessions that have a
        contrast that another one has, too. Where there are not two to compare, there is a
        ``problem``.
    """
    series = []
    for subject, scans in visits.items():
        shared = sessions_by_contrast(scans)
        usable = [scan for scan in scans if not shared.keys().isdisjoint(scan.contrasts)]
        others = (scan for each in usable for scan in each.others if scan.contrast in shared)
        series.append(
            Session(
                subject=subject,
                anchors=tuple(each.anchor for each in usable),
                others=tuple(dict.fromkeys(others)),
                problem=None if usable else _nothing_shared(subject, scans),
                notes=tuple(_agent_notes(subject, usable, shared)),
            )
        )
    return series


def sessions_by_contrast(scans: Sequence[VisitScan]) -> dict[str, set[str]]:
    """List the sessions that have each contrast, for those of two or more, in the table's order."""
    sessions = {
        contrast: {scan.session for scan in scans if contrast in scan.contrasts}
        for contrast in CONTRASTS
    }
    return {contrast: labels for contrast, labels in sessions.items() if len(labels) > 1}


def _without_agent(scans: Sequence[Scan]) -> Sequence[Scan]:
    """Select the scans of a session without contrast agent, or all if all have one."""
    return [scan for scan in scans if scan.contrast_agent is None] or scans


def _nothing_shared(subject: str, scans: Sequence[VisitScan]) -> Problem:
    """Describe why there is no change over time to measure."""
    contrasts = {
        session: dict.fromkeys(name for scan in group for name in scan.contrasts)
        for session, group in groupby(scans, key=lambda scan: scan.session)
    }
    if len(contrasts) < 2:
        text = (
            f"{len(contrasts)} of its sessions could be measured: no change over time to measure "
            "(--longitudinal needs two)."
        )
    else:
        lists = "; ".join(f"{label} has {', '.join(each)}" for label, each in contrasts.items())
        text = (
            f"The measured sessions of sub-{subject} have no contrast in common ({lists}): no "
            "change over time to measure."
        )
    return Problem(Cause.SINGLE_VISIT, text)


def _agent_notes(
    subject: str, scans: Sequence[VisitScan], contrasts: Iterable[str]
) -> Iterable[Note]:
    """Name each contrast in which the visits differ in contrast agent."""
    for contrast in contrasts:
        images = (scan.images.get(contrast) for scan in scans)
        agents = dict.fromkeys(image.contrast_agent or "none" for image in images if image)
        if len(agents) > 1:
            text = (
                f"The {contrast} images of sub-{subject} differ in contrast agent "
                f"({', '.join(agents)}): their change is not one of volume alone."
            )
            yield Note(NoteKind.CONTRAST_AGENT, f"sub-{subject}", text)
