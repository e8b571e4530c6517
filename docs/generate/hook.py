"""Put what is generated into the pages, for MkDocs (``hooks`` in ``mkdocs.yml``).

A line ``{{ name }}`` or ``{{ name argument ... }}`` of a page is replaced by what the function of
that name in `PARTS` returns. A name that is not there ends the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.generate import analyses, architecture, demo, excerpts, formulas, outputs, usage

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_LINE = re.compile(r"^\{\{ (\w+)((?: \S+)*) \}\}$", re.MULTILINE)

PARTS: Mapping[str, Callable[..., str]] = {
    "options": usage.options,
    "launcher": usage.launcher,
    "exit_codes": usage.exit_codes,
    "columns": outputs.columns,
    "table": outputs.table,
    "contrasts": outputs.contrasts,
    "analyses": analyses.analyses,
    "analysis_keys": analyses.keys,
    "shipped": analyses.shipped,
    "default_file": analyses.default_file,
    "formulas": formulas.formulas,
    "references": formulas.references,
    "layers": architecture.layers,
    "decisions": architecture.decisions,
    "document": excerpts.document,
    "constant": excerpts.constant,
    "module": excerpts.module,
    "demo": demo.links,
}


def fill(markdown: str) -> str:
    """Replace the lines that name a part by the part.

    Raises
    ------
    KeyError
        If there is no part of a name.
    """
    return _LINE.sub(lambda line: PARTS[line[1]](*line[2].split()), markdown)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every record of a decision in the navigation, below their index."""
    folder = Path(config.docs_dir) / "decisions"
    records = [f"decisions/{path.name}" for path in sorted(folder.glob("[0-9]*.md"))]
    for section in config.nav or ():
        for entry in next(iter(section.values())):
            if isinstance(entry, dict) and entry.get("Decisions") == "decisions/index.md":
                entry["Decisions"] = ["decisions/index.md", *records]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 (MkDocs')
    """Fill a page before it is rendered."""
    return fill(markdown)


def on_post_page(output: str, **_: Any) -> str:  # noqa: ANN401 (MkDocs')
    """Name the dialog of the search, which the theme does not, for those who hear the page."""
    return output.replace(
        'data-md-component="search" role="dialog"',
        'data-md-component="search" role="dialog" aria-label="Search"',
    )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of a finished demo cohort, if there is one."""
    for file in demo.files(config):
        files.append(file)
    return files
