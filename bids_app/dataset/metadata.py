"""Sidecar metadata by the BIDS inheritance principle, for single images.

Indexing the metadata of a whole dataset takes long; here only the folders above one image are
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bids_app.dataset.names import comparable, parse_name
from bids_app.dataset.tables import read_json
from bids_app.errors import BadDataError


class Sidecars:
    """JSON files of one dataset, whose folders are listed when they are needed.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[Path, list[Path]] = {}

    def of(self, image: Path) -> tuple[Path, ...]:
        """List the JSON files that apply to an image, the least specific first.

        Parameters
        ----------
        image : Path
            Below the root.

        Returns
        -------
        tuple of Path
            Files in the folders from the root to that of the image that have its suffix and no
            entity that it lacks.
        """
        entities, suffix = _parsed(image)
        sidecars: list[Path] = []
        above = [folder for folder in image.parents if folder.is_relative_to(self._root)]
        for folder in reversed(above):
            applicable = []
            for path in self._in(folder):
                others, other_suffix = _parsed(path)
                if other_suffix == suffix and others.items() <= entities.items():
                    applicable.append((len(others), path))
            sidecars += [path for _, path in sorted(applicable)]
        return tuple(sidecars)

    def _in(self, folder: Path) -> list[Path]:
        if folder not in self._listed:
            self._listed[folder] = sorted(folder.glob("*.json"))
        return self._listed[folder]


def _parsed(path: Path) -> tuple[Mapping[str, str], str]:
    name = parse_name(path.name)
    return comparable(name.entities), name.suffix


def merged(sidecars: tuple[Path, ...]) -> Mapping[str, object]:
    """Merge the fields of several JSON files; later files override earlier ones.

    Raises
    ------
    BadDataError
        If one is not a JSON object.
    """
    fields: dict[str, object] = {}
    for path in sidecars:
        content = read_json(path)
        if not isinstance(content, dict):
            raise BadDataError(f"{path} does not contain a JSON object.")
        fields.update(content)
    return fields
