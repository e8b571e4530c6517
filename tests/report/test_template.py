"""All pages: self-contained, accessible, escaped."""

from __future__ import annotations

import pytest

from tests.report.examples import ATTACK, Page, html_of


@pytest.fixture(
    params=[
        f"{page} {kind}"
        for page in ("session", "cohort", "visits")
        for kind in ("minimal", "full", "attacked")
    ]
)
def html(request: pytest.FixtureRequest) -> str:
    return html_of(request.param)


def test_pages_load_nothing_and_are_whole(html: str) -> None:
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert not page.all("link")
    assert "@import" not in html
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            target = attributes.get(name, "data:")
            assert target.startswith(("data:image/png;base64,", "data:", "#", "./")), target
    policy = page.all("meta")[2]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'")


def test_pages_say_what_they_are_not_for(html: str) -> None:
    assert "Not for clinical decisions" in html


def test_pages_are_accessible(html: str) -> None:
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(heading["scope"] in {"col", "row"} for heading in page.all("th"))
    drawings = [each for each in page.all("svg") if each.get("aria-hidden") != "true"]
    assert all(drawing["aria-label"] for drawing in drawings)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["session", "cohort", "visits"])
def test_everything_is_escaped(name: str) -> None:
    attack = html_of(f"{name} attacked")
    harmless, attacked = Page(html_of(f"{name} full")), Page(attack)
    assert [tag for tag, _ in attacked.tags] == [tag for tag, _ in harmless.tags]
    assert attacked.text.count(ATTACK) >= 10
    assert ATTACK not in attack
