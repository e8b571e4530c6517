"""The layers of the packages and the index of the decisions."""

from __future__ import annotations

import html
import tomllib
from pathlib import Path

from docs.generate.tables import prose, table

_ROOT = Path(__file__).resolve().parents[2]


def layers() -> str:
    """Draw the layers that ``lint-imports`` checks, the highest first."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each for each in settings["tool"]["importlinter"]["contracts"] if each["id"] == "layers"
    )
    rows = []
    for layer in contract["layers"]:
        names = layer.replace("|", ":").split(":")
        boxes = "".join(f"<code>{html.escape(name.strip())}</code>" for name in names)
        rows.append(f"<li>{boxes}</li>")
    return f'<ol class="layers" aria-label="Layers, the highest first">{"".join(rows)}</ol>'


def decisions() -> str:
    """Write the table of the records of decisions."""
    rows = []
    for path in sorted((_ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        heading = path.read_text(encoding="utf-8").partition("\n")[0]
        number, _, title = heading.removeprefix("# ").partition(". ")
        rows.append([number, f"[{prose(title)}]({path.name})"])
    return table(["", "decision"], rows)
