"""Every page in a real browser: no errors, no requests, accessible, legible everywhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.conftest import Open, Opened
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
