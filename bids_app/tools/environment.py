"""Programs in a virtual environment of their own, apart from the packages of thalbids."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bids_app.errors import MissingInputError
from bids_app.tools.local import Local

# What ``--tool-image`` takes for a virtual environment begins with this.
PREFIX = "venv:"


class Environment(Local):
    """A back end that runs programs of one virtual environment.

    Parameters
    ----------
    folder : Path
        The environment, as ``python -m venv`` makes it.
    """

    back_end = "venv"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def _path_of(self, executable: str | None) -> str:
        programs = self.folder / "bin"
        # A link to an interpreter that has gone is no file.
        if not (programs / "python").is_file():
            raise MissingInputError(
                f"{self.folder} is no virtual environment that works: expected its interpreter "
                f"{programs / 'python'}. Make it with 'python3 -m venv {self.folder}'."
            )
        path = programs / (executable or "")
        if executable is None or not os.access(path, os.X_OK):
            raise MissingInputError(
                f"{self.folder} ({self._python()}) has no {executable or 'such program'}. "
                f"Install it there with {programs / 'pip'}."
            )
        return str(path)

    def _variables(self) -> Mapping[str, str]:
        # Paths to the packages of another interpreter would precede those of the environment.
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "PYTHONHOME")
        }
        path = os.pathsep.join([str(self.folder / "bin"), kept.get("PATH", os.defpath)])
        return {**kept, "PATH": path, "VIRTUAL_ENV": str(self.folder), "PYTHONNOUSERSITE": "1"}

    def _version(self, path: str, arguments: tuple[str, ...]) -> str:  # noqa: ARG002 - not started
        """Name the package that installed the program, with its version."""
        from importlib.metadata import distributions

        folders = [str(folder) for folder in self.folder.glob("lib/python*/site-packages")]
        for package in distributions(path=folders):
            scripts = package.entry_points.select(group="console_scripts")
            if Path(path).name in scripts.names:
                return f"{package.name} {package.version}"
        return "unknown"

    def _python(self) -> str:
        """Name the version of Python that the environment was made with."""
        try:
            lines = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        pairs = (line.partition("=") for line in lines)
        values = {key.strip(): value.strip() for key, _, value in pairs}
        # The first is written by venv, the second by virtualenv.
        return f"Python {values.get('version') or values.get('version_info') or 'unknown'}"
