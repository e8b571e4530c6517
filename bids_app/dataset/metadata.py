"""Sidecar metadata by the BIDS inheritance principle, for single images.

Indexing the metadata of a whole dataset takes long; here only the folders above one image are
read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from bids_app.dataset.names import comparable, parse_name
from bids_app.dataset.tables import read_json
from bids_app.errors import BadDataError

# Field that names what was given as a contrast agent, and values that mean none.
INGREDIENT = "ContrastBolusIngredient"
_FIELD = INGREDIENT.encode()
_NO_AGENT = ("", "none", "no", "n/a", "na")


class Sidecars:
    """JSON files of one dataset, whose folders are listed when they are needed.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[Path, list[Path]] = {}
        # By text: paths of pathlib take longer to compare than a folder to list.
        self._mentioning: dict[str, bool] = {}

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
        above = [folder for folder in image.parents if folder.is_relative_to(self.root)]
        for folder in reversed(above):
            applicable = []
            for path in self._in(folder):
                others, other_suffix = _parsed(path)
                if other_suffix == suffix and others.items() <= entities.items():
                    applicable.append((len(others), path))
            sidecars += [path for _, path in sorted(applicable)]
        return tuple(sidecars)

    def ingredient_of(self, image: Path) -> str | None:
        """Read which contrast agent was given, as `ingredient_of`.

        It is read for every scan of a dataset: where no JSON file in any folder above a scan
        mentions an agent, which is usual, none is parsed.
        """
        folder, root = str(image), str(self.root)
        while folder.startswith(root) and folder != root:
            folder = folder.rpartition(os.sep)[0]
            if folder not in self._mentioning:
                self._mentioning[folder] = _mentioned_in(folder)
            if self._mentioning[folder]:
                return ingredient_of(self.of(image))
        return None

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


def ingredient_of(sidecars: tuple[Path, ...]) -> str | None:
    """Read from JSON files which contrast agent was given.

    Parameters
    ----------
    sidecars : tuple of Path
        From `Sidecars.of`.

    Returns
    -------
    str or None
        In lower case; ``unknown`` if a file that mentions one cannot be read; None without agent.
    """
    try:
        value = merged(tuple(path for path in sidecars if _mentions(str(path)))).get(INGREDIENT)
    except BadDataError:
        return "unknown"
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return None if text.strip().lower() in _NO_AGENT else " ".join(text.lower().split())


def _mentioned_in(folder: str) -> bool:
    """Whether a JSON file in a folder mentions a contrast agent."""
    try:
        with os.scandir(folder) as entries:
            files = [each.path for each in entries if each.name.endswith(".json")]
    except OSError:
        return False
    return any(map(_mentions, files))


def _mentions(path: str) -> bool:
    """Whether a file mentions a contrast agent; a pipe, which would be waited for, does not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and _FIELD in stream.read()
