"""Files whose content git-annex or Git LFS has not fetched."""

from __future__ import annotations

from pathlib import Path

_POINTERS = (b"/annex/objects/", b"version https://git-lfs.github.com/spec/")


def fetch_advice(path: Path) -> str:
    """Advise to fetch the content of a file that cannot be read.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        A sentence; empty if the file is neither a link that leads nowhere nor a pointer.
    """
    sentence = "Its content has not been fetched: fetch it (datalad get, git lfs pull)."
    if path.is_symlink() and not path.exists():
        return sentence
    try:
        with path.open("rb") as stream:
            start = stream.read(max(map(len, _POINTERS)))
    except (OSError, ValueError):  # a name with a null byte
        return ""
    return sentence if is_pointer(start) else ""


def is_pointer(content: bytes) -> bool:
    """Whether the content of a file, or its start, is a pointer to the actual content.

    >>> is_pointer(b"/annex/objects/MD5E-s4--0.nii.gz"), is_pointer(b"participant_id")
    (True, False)
    """
    return content.startswith(_POINTERS)
