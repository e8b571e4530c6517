"""Whether the files of an output folder are documented in ``docs/outputs.md``."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from tests.docs.conftest import ROOT


def patterns() -> list[str]:
    """List the patterns in the tables of files."""
    text = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    tables = text.partition("## Files")[2].partition("## Columns")[0]
    cells = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    return [pattern for cell in cells for pattern in re.findall(r"`([^`]+)`", cell)]


def undocumented(output_dir: Path) -> list[str]:
    """List the files that no pattern describes; metadata belong to their image or table."""
    known = patterns()
    names = [path.relative_to(output_dir) for path in output_dir.rglob("*") if path.is_file()]
    return sorted(
        name.as_posix() for name in names if not any(_is(name, pattern) for pattern in known)
    )


def _is(name: Path, pattern: str) -> bool:
    path = PurePosixPath(name)
    if pattern.endswith("/"):
        return path.as_posix().startswith(pattern)
    if path.match(pattern):
        return True
    described = pattern.partition(".")[0]
    return path.suffix == ".json" and path.match(f"{described}.json")
