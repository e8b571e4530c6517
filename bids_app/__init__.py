"""thalbids: measures the thalamus in BIDS datasets, and how far the measurement can be trusted."""

from __future__ import annotations


def _version() -> str:
    """Read the version that the build has written; sources that were never built have none."""
    # Nothing is imported yet, as the working folder may still be searched for modules.
    try:
        with open(f"{__path__[0]}/assets/version.txt", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().strip()
    except FileNotFoundError:
        return "0.dev0"


__version__ = _version()
