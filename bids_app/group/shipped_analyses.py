"""The analysis files that are shipped, and how they are named."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

DEFAULT = "ibrahim2026"
_FOLDER = Path(str(files("bids_app"))) / "assets" / "analyses"


def shipped_names() -> list[str]:
    """Return the names of the shipped analysis files, the default first."""
    names = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    return sorted(names, key=lambda name: name != DEFAULT)


def shipped_file(name: str) -> Path:
    """Return the path of a shipped analysis file."""
    return _FOLDER / f"{name}.toml"


def is_shipped(value: str | Path) -> bool:
    """Whether a value of ``--analysis-file`` names a shipped file; a file of that name precedes."""
    path = Path(value)
    return str(value) in shipped_names() and (path.is_dir() or not path.exists())


def locate(value: Path) -> Path:
    """Return the file that a value of ``--analysis-file`` means, as an absolute path."""
    return shipped_file(str(value)) if is_shipped(value) else value.absolute()
