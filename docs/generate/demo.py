"""The pages of the demo cohort, which are part of the site where a finished one is given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import File

# Names the output folder of the demo; set by `make docs`.
VARIABLE = "THALBIDS_DEMO"
_FOLDER = "demo-cohort"
_KINDS = {
    "group.html": "The cohort",
    "qc.html": "All scans, to be rated by eye",
    "sub-*_visits.html": "Visits of a participant",
    "sub-*.html": "A session",
}


def pages(folder: Path) -> list[Path]:
    """List the pages of an output folder.

    Raises
    ------
    FileNotFoundError
        If there is no page of the cohort.
    """
    if not (folder / "group.html").is_file():
        raise FileNotFoundError(f"{folder} is not a finished demo: there is no group.html in it.")
    thumbnails = folder.glob("sub-*/**/figures/*_thumbnail.webp")
    return [*sorted(folder.glob("*.html")), *sorted(thumbnails)]


def files(config: MkDocsConfig) -> list[File]:
    """Describe the pages of the demo as files of the site."""
    from mkdocs.structure.files import File

    folder = _folder()
    if folder is None:
        return []
    return [
        File.generated(
            config, f"{_FOLDER}/{path.relative_to(folder).as_posix()}", abs_src_path=str(path)
        )
        for path in pages(folder)
    ]


def links() -> str:
    """Link the pages of the demo, or state how to make them."""
    folder = _folder()
    if folder is None:
        return (
            "This copy of the documentation was built without the pages of the demo: "
            "`make demo docs` makes them in a few minutes and adds them here."
        )
    return "\n".join(f"* {line}" for line in _lines(pages(folder)))


def _lines(paths: list[Path]) -> Iterator[str]:
    listed: set[Path] = set()
    for pattern, title in _KINDS.items():
        kind = [each for each in paths if each.match(pattern) and each not in listed]
        listed.update(kind)
        named = [f"[{each.stem}]({_FOLDER}/{each.name})" for each in kind]
        if named:
            yield f"{title}: {', '.join(named)}"


def _folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else None
