"""The documentation in a real browser, from the file system and without any network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Open, Opened
from tests.browser.test_pages import faults
from tests.docs.conftest import build_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


def _visit(opened: Open, page: Path, **context: object) -> Opened:
    shown = opened("<title>Empty</title>", **context)
    shown.page.goto(page.as_uri())
    return shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "how-do-i", "quality-control"])
def test_pages_are_quiet_and_accessible(site: Path, opened: Open, name: str, scheme: str) -> None:
    shown = _visit(opened, site / f"{name}.html", color_scheme=scheme)
    assert shown.complaints == []
    assert [each for each in shown.requests if not each.startswith("file:")] == []
    assert faults(shown) == []


def test_search_works_from_the_file_system(site: Path, opened: Open) -> None:
    shown = _visit(opened, site / "index.html")
    # Keys, as a user presses: the search does not hear of text that is put in at once.
    shown.page.locator("input[name=query]").press_sequentially("unringing")
    links = shown.page.locator(".md-search-result__item a")
    links.first.wait_for(state="attached")
    targets = [str(each.get_attribute("href")) for each in links.all()]
    assert any("usage.html" in target for target in targets)
    assert shown.complaints == []


@pytest.mark.parametrize("name", ["index", "outputs", "architecture"])
def test_pages_fit_a_telephone(site: Path, opened: Open, name: str) -> None:
    shown = _visit(opened, site / f"{name}.html", viewport={"width": 390, "height": 800})
    assert shown.number("document.documentElement.scrollWidth") <= 390
