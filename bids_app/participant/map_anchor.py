"""Sessions without any other image are measured on their R1 map, finished or computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bids_app.contrasts import Role, suffixes
from bids_app.dataset.images import ReadImage, as_scan, read_volume
from bids_app.dataset.index import Scan, Session
from bids_app.dataset.names import ordered, parse_name
from bids_app.dataset.sources import find_sources
from bids_app.errors import BadDataError, Cause, Problem
from bids_app.images.masks import largest_piece
from bids_app.images.resampling import resample
from bids_app.images.volume import Volume
from bids_app.options import Folders, Options
from bids_app.participant.acquisition_types import Acquisition, RelaxationMap
from bids_app.participant.acquisitions import acquisitions_of
from bids_app.segmentation.labels import filled

(_CONTRAST,) = suffixes(Role.MAP)
# Tissue has at least this share of the brightest intensities of a magnitude image.
_LEAST_TISSUE = 0.1


def with_map_anchors(sessions: Sequence[Session], folders: Folders) -> list[Session]:
    """Let sessions that have no image to measure be measured on R1, where their images give it.

    Parameters
    ----------
    sessions : sequence of Session
    folders : Folders
        The raw data and, if given, the derivative ``qmri``.

    Returns
    -------
    list of Session
        The same sessions; the problem of those that remain without image names what their
        quantitative images lack.
    """
    return [_with_map_anchor(session, folders) for session in sessions]


def _with_map_anchor(session: Session, folders: Folders) -> Session:
    if session.problem is None or session.problem.cause is not Cause.NO_ANCHOR:
        return session
    acquisitions = acquisitions_of(find_sources(session, folders))
    if not acquisitions.usable:
        text = " ".join((session.problem.text, *acquisitions.problems))
        return replace(session, problem=Problem(session.problem.cause, text))
    return replace(session, anchors=(_scan(acquisitions.usable[0], session),), problem=None)


def _scan(acquisition: Acquisition, session: Session) -> Scan:
    """Describe the map that an acquisition gives as a scan, by the image that shows the head."""
    entities = parse_name(acquisition.name).entities
    if session.session:
        entities["ses"] = session.session
    image = acquisition.reference
    return Scan(image.path, _CONTRAST, ordered(entities), dataset=image.dataset)


def read_map_anchor(scan: Scan, session: Session, options: Options) -> ReadImage:
    """Compute or read R1 of a session whose brain is not known yet.

    Parameters
    ----------
    scan : Scan
        As `with_map_anchors` gives it.
    session : Session
    options : Options

    Returns
    -------
    ReadImage
        R1 in 1/s; 0 where it is undetermined, and outside of the head.

    Raises
    ------
    BadDataError
        If no acquisition gives R1.
    """
    # Only this function computes maps; whoever asks which sessions have one does not wait for it.
    from bids_app.participant.quantify import quantify

    sources = find_sources(session, options.folders)
    head = _head(acquisitions_of(sources).usable[0])
    quantified = quantify(sources, head, options.maps)
    if not quantified.maps:
        raise BadDataError(f"{session.folder}: {' '.join(quantified.warnings)}")
    r1 = quantified.maps[0].volume
    inside = resample(head, r1.grid, order=0) > 0
    return as_scan(scan.path, Volume(np.where(inside, r1.data, np.float32(0)), r1.affine))


def _head(acquisition: Acquisition) -> Volume:
    """Find the head: where a map has values, or what is bright in a magnitude image."""
    image = read_volume(acquisition.reference.path, may_hold_nan=True)
    data = np.nan_to_num(image.data.astype(np.float32))
    if isinstance(acquisition, RelaxationMap):
        head = data > 0
    else:
        head = filled(largest_piece(data > _LEAST_TISSUE * np.percentile(data, 99)))
    return Volume(head.astype(np.uint8), image.affine)
