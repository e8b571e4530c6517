"""Measured pairs of visits, kept in ``logs/check.json`` so that a stopped check is resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import pandas as pd

from bids_app import __version__
from bids_app.check.pairs import LOSSES
from bids_app.check.sources import Source
from bids_app.dataset.checksums import sha256
from bids_app.dataset.staging import write_if_different
from bids_app.derivatives import names
from bids_app.derivatives.check_columns import PAIR_COLUMNS
from bids_app.errors import MissingInputError
from bids_app.options import Options
from bids_app.segmentation import thalnet

_FILE = "check.json"


class PairRecords:
    """Pairs of visits that were measured by this run and, from the same images, by earlier ones.

    Parameters
    ----------
    options : Options

    Attributes
    ----------
    output_dir : Path
    methods : Methods
    """

    def __init__(self, options: Options) -> None:
        self.output_dir, self.methods = options.folders.output_dir, options.methods
        self._path = self.output_dir / "logs" / _FILE
        software = {"thalbids": __version__, **thalnet.weights_checksums()}
        self._settings = f"{software} {self.methods.flip_averaging}"
        self._checksums: dict[Source, str] = {}
        self._stored = self._read()

    def _read(self) -> dict[str, dict[str, float]]:
        """Read the pairs of earlier runs; a damaged file counts as none."""
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                key: {name: float(row[name]) for name in PAIR_COLUMNS[4:]}
                for key, row in stored.items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def _key(self, source: Source, loss: float) -> str:
        """Identify a pair by everything that its result depends on."""
        if source not in self._checksums:
            try:
                self._checksums[source] = sha256(source.path)
            except MissingInputError:
                self._checksums[source] = "unreadable"
        text = f"{self._checksums[source]} {source.name} {loss:g} {self._settings}"
        return hashlib.sha256(text.encode()).hexdigest()

    def has(self, source: Source, loss: float) -> bool:
        """Whether a pair has been measured."""
        return self._key(source, loss) in self._stored

    def complete(self, sources: Sequence[Source]) -> list[Source]:
        """Select the scans of which all pairs have been measured."""
        return [each for each in sources if all(self.has(each, loss) for loss in LOSSES)]

    def table(self, sources: Sequence[Source]) -> pd.DataFrame:
        """Tabulate the measured pairs of some scans, with the columns ``PAIR_COLUMNS``."""
        rows = []
        for source in sources:
            session = source.anchor.session
            identity = {
                "participant_id": f"sub-{dict(source.anchor.entities)['sub']}",
                "session_id": f"ses-{session}" if session else None,
                "scan": names.row_name(source.anchor),
                "contrast": source.contrast,
            }
            rows += [
                identity | self._stored[self._key(source, loss)]
                for loss in LOSSES
                if self.has(source, loss)
            ]
        return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))

    def add(self, source: Source, loss: float, measured: dict[str, float]) -> None:
        """Record a measured pair.

        Raises
        ------
        CannotCreateError
            If it cannot be written.
        """
        self._stored[self._key(source, loss)] = measured
        text = json.dumps(self._stored, indent=1, sort_keys=True)
        write_if_different(self._path, text + "\n")
