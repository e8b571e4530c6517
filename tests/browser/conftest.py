"""A browser that opens pages from files and records what they complain about and ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.pages import chromium_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

# Milliseconds; of use on a machine that has much else to do.
_PATIENCE = 120_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window; skips where it or Playwright is missing."""
    reason = "Playwright is not installed (requirements-test.lock)"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    program = chromium_program()
    if program is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@dataclass
class Opened:
    """A page in the browser.

    Attributes
    ----------
    page : playwright.sync_api.Page
    path : Path
        Its file.
    complaints, requests : list of str
        Errors and dialogs; addresses in addition to the page itself and its data.
    """

    page: Page
    path: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def number(self, script: str) -> float:
        """Return the value of an expression."""
        return float(self.page.evaluate(script))


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open HTML from a file; keywords are those of a browser context."""
    contexts = []

    def open_page(html: str, **context: object) -> Opened:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        contexts.append(
            browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(_PATIENCE)
        shown = Opened(page, path)

        def refuse(dialog: Dialog) -> None:
            shown.complaints.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", refuse)
        page.on("pageerror", lambda error: shown.complaints.append(str(error)))

        def listen(text: ConsoleMessage) -> None:
            if text.type == "error":
                shown.complaints.append(text.text)

        page.on("console", listen)

        def note(request: Request) -> None:
            if not request.url.startswith(("data:", "blob:")) and request.url != path.as_uri():
                shown.requests.append(request.url)

        page.on("request", note)
        page.goto(path.as_uri())
        return shown

    yield open_page
    for context in contexts:
        context.close()
