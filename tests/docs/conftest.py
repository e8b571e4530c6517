"""The documentation site, built once."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from docs.generate.demo import VARIABLE

ROOT = Path(__file__).resolve().parents[2]


class Html(HTMLParser):
    """The links, what is loaded, the anchors and the words of a page.

    Attributes
    ----------
    links, loaded : list of str
        Targets of ``a``; those of scripts, style sheets, images and frames.
    anchors : set of str
    text : list of str
    """

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.text: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if tag == "link" and named.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(named["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in named:
            self.loaded.append(named["src"])
        if "id" in named:
            self.anchors.add(named["id"])

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def build_site(folder: Path) -> Path:
    """Build the site without a demo, and return its folder; a warning is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="package")
def pages(site: Path) -> dict[str, Html]:
    """All pages by their paths in the site."""
    return {
        path.relative_to(site).as_posix(): Html(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
