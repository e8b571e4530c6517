"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bids_app.errors import MissingInputError


def sha256(path: Path) -> str:
    """Compute the SHA-256 checksum of a file, as a hexadecimal string.

    Raises
    ------
    MissingInputError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        # An annexed file whose content was not fetched is a link that leads nowhere.
        advice = "Fetch its content (datalad get) and start again." if path.is_symlink() else ""
        raise MissingInputError(f"Cannot read {path}: {error.strerror}. {advice}") from error
