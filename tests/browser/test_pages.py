"""Every page in a real browser: no errors, no requests, accessible, legible everywhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from bids_app.check.page import page_of
from bids_app.check.summary import summarise
from bids_app.report.check_page import check_page
from tests.browser.conftest import Open, Opened
from tests.check.test_summary import pairs as pairs_of
from tests.conftest import describe, options_of
from tests.report.examples import html_of

PAGES = ("session", "cohort", "visits", "board", "check")


def _axe() -> str:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core is not installed (requirements-test.lock)")
    return (Path(found.origin).parent / "axe.min.js").read_text()


def faults(shown: Opened) -> list[str]:
    """Return the serious and critical faults that axe-core finds, with their elements."""
    shown.page.evaluate(_axe())
    results = shown.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{fault['id']}: {node['target']}"
        for fault in results["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_quiet_and_accessible(opened: Open, name: str, scheme: str) -> None:
    shown = opened(html_of(f"{name} attacked"), color_scheme=scheme)
    assert shown.complaints == []
    assert shown.requests == []
    for details in shown.page.locator("details").all():
        details.evaluate("each => { each.open = true; }")
    assert faults(shown) == []
    colour = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_telephone(opened: Open, name: str) -> None:
    shown = opened(html_of(f"{name} full"), viewport={"width": 390, "height": 800})
    width = shown.number("document.documentElement.scrollWidth")
    assert width <= 390


@pytest.mark.parametrize("name", ["session", "cohort", "visits", "check"])
def test_pages_can_be_printed(opened: Open, name: str) -> None:
    shown = opened(html_of(f"{name} full"), color_scheme="dark")
    shown.page.emulate_media(media="print", color_scheme="light")
    colour = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    for navigation in shown.page.locator("nav, .controls").all():
        assert not navigation.is_visible()
    assert len(shown.page.pdf()) > 10_000


def test_the_tables_of_the_check_fit_a_window_of_980_pixels(opened: Open, tmp_path: Path) -> None:
    pairs = pd.concat([pairs_of(1.02, 0.31, contrast) for contrast in ("FLAIR", "R1map")])
    pairs["scan"] = pairs["scan"].str.replace("_", "_ses-01_")
    options = options_of(describe(tmp_path / "bids"), tmp_path / "out", "check")
    html = check_page(page_of(pairs, summarise(pairs), (), options))
    shown = opened(html, viewport={"width": 980, "height": 900})
    shown.page.locator("details").first.evaluate("each => { each.open = true; }")
    tables = shown.page.locator(".scroll").all()
    assert len(tables) == 2
    for table in tables:
        assert table.evaluate("each => each.scrollWidth - each.clientWidth") == 0
