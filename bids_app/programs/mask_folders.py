"""Finished results in one mask for each nucleus, in folders for each side of each subject."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bids_app.dataset.names import entities_of
from bids_app.errors import BadDataError
from bids_app.programs.layouts import (
    DEFAULT_CONTRAST,
    SUBJECT_PREFIXES,
    Finished,
    Place,
    best,
    entries,
)
from bids_app.programs.method import FinishedMethod, NucleiMasks


def masks_of(program: FinishedMethod, root: Path, place: Place) -> list[Finished]:
    """Search the masks of a program for one anchor.

    Parameters
    ----------
    program : FinishedMethod
    root : Path
        Folder given with ``-d``.
    place : Place

    Returns
    -------
    list of Finished
        None or one.

    Raises
    ------
    BadDataError
        If several folders fit equally well, or masks are missing in one.
    """
    if place.scan.contrast != DEFAULT_CONTRAST:
        return []
    return best(_candidates(program, root, place))


def _candidates(
    program: FinishedMethod, root: Path, place: Place
) -> Iterator[tuple[int, Finished]]:
    for folder in entries(root, place.session, SUBJECT_PREFIXES):
        for subject in (folder, *sorted(folder.glob("ses-*"))) if folder.is_dir() else ():
            entities = entities_of(subject, root)
            # Without a prefix the name begins with the label of the subject.
            entities.setdefault("sub", re.split("[_.]", folder.name)[0])
            count = place.agreement(entities, DEFAULT_CONTRAST)
            masks = _masks(subject, program.layout) if count is not None else {}
            if count is None or not masks:
                continue
            yield (
                count,
                Finished(
                    dataset=program.name,
                    root=root,
                    method=program.name,
                    contrast=DEFAULT_CONTRAST,
                    paths=tuple(masks),
                    labels=tuple({1: side} for side, _ in masks.values()),
                    groups=tuple({1: program.layout.groups[name]} for _, name in masks.values()),
                ),
            )


def _masks(subject: Path, layout: NucleiMasks) -> dict[Path, tuple[int, str]]:
    """List the masks in the folder of a subject with side and name; none if it has no such folder.

    Raises
    ------
    BadDataError
        If some are missing: their union would not be the thalamus.
    """
    if not any((subject / folder).is_dir() for folder in layout.folders.values()):
        return {}
    masks: dict[Path, tuple[int, str]] = {}
    missing = []
    for side, folder in layout.folders.items():
        for name in layout.groups:
            path = subject / folder / f"{name}.nii.gz"
            if path.is_file():
                masks[path] = (side, name)
            else:
                missing.append(path)
    if missing:
        raise BadDataError(
            f"{missing[0]} is missing, and with it {len(missing) - 1} more of "
            f"{len(missing) + len(masks)} masks of nuclei: the program has not ended, or some were "
            "removed. Run it again."
        )
    return masks
