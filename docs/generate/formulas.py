"""The formulas and their sources, from the docstrings of the code that computes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bids_app.derivatives.references import REFERENCES
from docs.generate.tables import prose, table

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = {
    "statistics": "Statistics",
    "qmri": "Quantitative maps",
    "alignment": "Alignment and deformation",
    "segmentation": "Segmentation, fusion and volumes",
    "images": "Images",
}
_REFERENCES = re.compile(r"^References\n-+\n(.+?)(?:\n\n\w+\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
_SOURCE = re.compile(r"\b(?:18|19|20)\d\d[,)]|doi:|arXiv:")


def formulas() -> str:
    """Write one table per package: each function with a source, what it computes, the source."""
    parts = []
    for package, title in _PACKAGES.items():
        rows = sorted(_sourced(package))
        parts.append(f"### {title}\n\n" + table(["in", "what it computes", "source"], rows))
    return "\n\n".join(parts)


def references() -> str:
    """List the works that the methods sections of results cite."""
    return "\n".join(f"* {prose(text)}" for text in sorted(REFERENCES.values()))


def _sourced(package: str) -> Iterator[list[str]]:
    """Yield a row for each module, class and function whose docstring gives a source."""
    for path in sorted((_ROOT / "bids_app" / package).rglob("*.py")):
        name = path.relative_to(_ROOT / "bids_app").with_suffix("").as_posix().replace("/", ".")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            text = ast.get_docstring(node)
            if text and (source := _source(text)):
                where = name if isinstance(node, ast.Module) else f"{name}.{node.name}"
                yield [_breakable(where), prose(_what(text)), prose(source)]


def _what(docstring: str) -> str:
    """Return what comes before the sections of numpydoc, without the sentences of the source."""
    body = re.split(r"\n\n\w[\w ]*\n-+\n", docstring)[0]
    return " ".join(body.split())


def _source(docstring: str) -> str:
    """Return the section of references, or the sentence that names a work."""
    section = _REFERENCES.search(docstring)
    if section:
        return " ".join(section[1].split())
    body = " ".join(re.split(r"\n\n\w[\w ]*\n-+\n", docstring)[0].split())
    cited = [each for each in re.split(r"(?<=[.;:])\s+(?=[A-Z])", body) if _SOURCE.search(each)]
    return " ".join(cited)


def _breakable(name: str) -> str:
    """Set a dotted name in the type of code, with places for the end of a line."""
    return f"<code>{name.replace('.', '.<wbr>').replace('_', '_<wbr>')}</code>"
