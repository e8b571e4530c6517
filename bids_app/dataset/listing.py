"""Which contrasts the sessions of a dataset have, by the names of their images alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bids_app.contrasts import CONTRASTS
from bids_app.dataset.bidsignore import read_ignored
from bids_app.dataset.names import parse_name


def contrasts_in(bids_dir: Path) -> set[tuple[str, str | None, str]]:
    """List the contrasts of every session that has anatomical images.

    Nothing but names is read, since ten thousand sessions are listed in a second that way.

    Parameters
    ----------
    bids_dir : Path

    Returns
    -------
    set of (str, str or None, str)
        Participant, session and contrast: ``sub-01``, ``ses-01`` (None without sessions), ``T1w``.
    """
    return {
        (f"sub-{entities['sub']}", f"ses-{session}" if session else None, suffix)
        for path in _anatomical(bids_dir)
        for entities, suffix in (parse_name(path.name),)
        for session in (entities.get("ses") or _session_of_folder(path),)
        if suffix in CONTRASTS and "sub" in entities and entities.get("part", "mag") == "mag"
    }


def _anatomical(bids_dir: Path) -> Iterator[Path]:
    """Find the anatomical images of all participants."""
    ignored = read_ignored(bids_dir)
    for folder in ("sub-*/anat", "sub-*/ses-*/anat"):
        for path in bids_dir.glob(f"{folder}/sub-*.nii*"):
            is_image = path.name.endswith((".nii", ".nii.gz"))
            if is_image and not ignored.names(path.relative_to(bids_dir).as_posix()):
                yield path


def _session_of_folder(path: Path) -> str:
    """Return the label of the session in whose folder an image lies; empty if it lies in none."""
    folder = path.parent.parent.name
    return folder.removeprefix("ses-") if folder.startswith("ses-") else ""
