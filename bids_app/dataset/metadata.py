"""Sidecar metadata by the BIDS inheritance principle, read for single images only.

Indexing the metadata of a whole dataset takes long; here only the folders above one image are
looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bids_app.dataset.names import parse_name
from bids_app.dataset.tables import read_json
from bids_app.errors import BadDataError


class Sidecars:
    """The JSON files of one dataset, found as they are needed.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[Path, list[Path]] = {}

    def of(self, image: Path) -> tuple[Path, ...]:
        """The JSON files that apply to an image, the least specific first.

        Parameters
        ----------
        image : Path
            Below the root.

        Returns
        -------
        tuple of Path
            Those between the root and the image's folder with its suffix and no entity that it
            lacks.
        """
        entities, suffix = parse_name(image.name)
        found = []
        above = [folder for folder in image.parents if folder.is_relative_to(self._root)]
        for folder in reversed(above):
            own = []
            for path in self._in(folder):
                others, other_suffix = parse_name(path.name)
                if other_suffix == suffix and others.items() <= entities.items():
                    own.append((len(others), path))
            found += [path for _, path in sorted(own)]
        return tuple(found)

    def _in(self, folder: Path) -> list[Path]:
        if folder not in self._listed:
            self._listed[folder] = sorted(folder.glob("*.json"))
        return self._listed[folder]


def merged(sidecars: tuple[Path, ...]) -> Mapping[str, object]:
    """Fields of several JSON files, where later ones override earlier ones.

    Raises
    ------
    BadDataError
        If one is not a JSON object.
    """
    fields: dict[str, object] = {}
    for path in sidecars:
        content = read_json(path)
        if not isinstance(content, dict):
            raise BadDataError(f"{path} does not hold a JSON object.")
        fields.update(content)
    return fields
